"""What there is in a cluster, kept up to date by watching: one connection a kind, shared by all that look."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .api import ApiError
from .cluster import Cluster

_SECONDS: Final = 300
"""Of a watch, until it begins again where it ended."""
_PAUSE: Final = 0.3

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace, empty where there is none, and name."""
Heard = Callable[["Kind", Key, Object, bool], None]
"""Kind, key, object, and whether it is gone."""


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Args:
        version: With its group, such as ``apps/v1``.
        plural: As paths spell it.
        namespaced: Whether its objects are in namespaces.
        fields: A field selector: the others are not looked at.
        bare: Whether metadata are enough.
        defined: Whether a CustomResourceDefinition makes it, so that it may not be there yet.
    """

    version: str
    plural: str
    namespaced: bool = True
    fields: str = ""
    bare: bool = False
    defined: bool = False

    def path(self, namespace: str = "", name: str = "") -> str:
        """Of an object, or of all in a namespace, or of all."""
        parts = ["", "apis" if "/" in self.version else "api", self.version]
        if namespace:
            parts += ["namespaces", namespace]
        return "/".join([*parts, self.plural, *([name] if name else [])])

    @property
    def definition(self) -> str:
        """Name of its CustomResourceDefinition."""
        return f"{self.plural}.{self.version.partition('/')[0]}"

    def accepted(self, suffix: str) -> str:
        """Media type to ask for."""
        part = f"application/json;as=PartialObjectMetadata{suffix};g=meta.k8s.io;v=v1"
        return part if self.bare else "application/json"


POD: Final = Kind("v1", "pods")
NODE: Final = Kind("v1", "nodes", namespaced=False)
NAMESPACE: Final = Kind("v1", "namespaces", namespaced=False)
# Releases of Helm are large, and nothing refers to them.
SECRET: Final = Kind("v1", "secrets", fields="type!=helm.sh/release.v1")
CONFIG_MAP: Final = Kind("v1", "configmaps")
SERVICE_ACCOUNT: Final = Kind("v1", "serviceaccounts", bare=True)
CLAIM: Final = Kind("v1", "persistentvolumeclaims")
VOLUME: Final = Kind("v1", "persistentvolumes", namespaced=False)
ATTACHMENT: Final = Kind("storage.k8s.io/v1", "volumeattachments", namespaced=False)
STORAGE_CLASS: Final = Kind("storage.k8s.io/v1", "storageclasses", namespaced=False)
DEFINITION: Final = Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False, bare=True)


def key_of(object: Object) -> Key:
    """Its namespace and name."""
    return object["metadata"].get("namespace", ""), object["metadata"]["name"]


def each_of(part: Mapping[str, Any] | None, key: str) -> list[Object]:
    """A list that may be missing, of a part that may be missing."""
    return (part or {}).get(key) or []


def part_of(object: Mapping[str, Any], key: str) -> Object:
    """A mapping that may be missing."""
    return object.get(key) or {}


class Mirror:
    """The objects of a kind, as far as has been heard.

    Args:
        cluster: Where they are.
        kind: See `Kind`.
        served: Set while the kind is served.
        say: Where troubles are told.
    """

    def __init__(self, cluster: Cluster, kind: Kind, served: asyncio.Event, say: Callable[[str], None]) -> None:
        self.kind = kind
        self._say = say
        self.served = served
        self._objects: dict[Key, Object] = {}
        self._cluster = cluster
        self._heard: list[Heard] = []
        self._since = ""

    def get(self, namespace: str, name: str) -> Object | None:
        """The object; None when there is none."""
        return self._objects.get((namespace, name))

    def __iter__(self) -> Iterator[Object]:
        return iter(list(self._objects.values()))

    def tell(self, heard: Heard) -> None:
        """Tell somebody about every object that there is, and about every change from now on."""
        self._heard.append(heard)
        for key, object in list(self._objects.items()):
            heard(self.kind, key, object, False)

    async def work(self) -> None:
        """Listen, for ever."""
        while True:
            await self.served.wait()
            try:
                await self._listen()
            except ApiError as error:
                self._since = ""
                if error.status not in (0, 404, 410, 429):
                    self._say(f"watching {self.kind.plural}: {error}")
                if error.status == 404:
                    # It is not served yet, or no more.
                    self._replace([])
                await asyncio.sleep(_PAUSE)
            # Whoever listens must not make all others deaf.
            except Exception as error:
                self._since = ""
                self._say(f"watching {self.kind.plural}: {type(error).__name__}: {error}")
                await asyncio.sleep(_PAUSE)

    async def _listen(self) -> None:
        query = f"?fieldSelector={self.kind.fields}&" if self.kind.fields else "?"
        if not self._since:
            accept = self.kind.accepted("List")
            listed = await self._cluster.ask("GET", self.kind.path() + query, accept=accept)
            self._replace(each_of(listed, "items"))
            self._since = listed["metadata"]["resourceVersion"]
        query += f"watch=true&allowWatchBookmarks=true&timeoutSeconds={_SECONDS}&resourceVersion={self._since}"
        stream = self._cluster.stream(self.kind.path() + query, _SECONDS, self.kind.accepted(""))
        async with contextlib.aclosing(stream) as events:
            async for event in events:
                if event["type"] == "ERROR":
                    raise ApiError(int(event["object"].get("code", 0)), "the watch must begin anew")
                self._since = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._take(event["object"], gone=event["type"] == "DELETED")

    def _replace(self, objects: list[Object]) -> None:
        there = {key_of(object): object for object in objects}
        for key in self._objects.keys() - there.keys():
            self._take(self._objects[key], gone=True)
        for object in there.values():
            self._take(object, gone=False)

    def _take(self, object: Object, *, gone: bool) -> None:
        key = key_of(object)
        if gone:
            self._objects.pop(key, None)
        else:
            self._objects[key] = object
        for heard in self._heard:
            heard(self.kind, key, object, gone)


class Watching:
    """All mirrors of a cluster.

    Args:
        cluster: The cluster.
        say: Where troubles are told.
    """

    def __init__(self, cluster: Cluster, say: Callable[[str], None]) -> None:
        self.cluster = cluster
        self._say = say
        self._mirrors: dict[Kind, Mirror] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def follow(self, kind: Kind, *heard: Heard) -> Mirror:
        """The mirror of a kind, and who is told of its changes; in the running event loop."""
        if kind not in self._mirrors:
            served = asyncio.Event()
            self._mirrors[kind] = Mirror(self.cluster, kind, served, self._say)
            self._tasks.append(asyncio.get_running_loop().create_task(self._mirrors[kind].work()))
            if kind.defined:
                self.follow(DEFINITION, self._serve(kind, served))
            else:
                served.set()
        for each in heard:
            self._mirrors[kind].tell(each)
        return self._mirrors[kind]

    async def close(self) -> None:
        """Hear nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @staticmethod
    def _serve(kind: Kind, served: asyncio.Event) -> Heard:
        def heard(_: Kind, key: Key, __: Object, gone: bool) -> None:
            if key[1] == kind.definition:
                served.clear() if gone else served.set()

        return heard
