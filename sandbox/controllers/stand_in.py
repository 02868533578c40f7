"""What all stand-ins of controllers share: they hear of objects, look at each once, and say what they found in its status."""

import json
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, ClassVar, Final

from ..machines.api import MERGE, ApiError
from ..machines.pod_status import now
from ..machines.watching import Heard, Key, Kind, Mirror, Object, Watching, each_of, key_of, part_of
from ..machines.work_queue import WorkQueue

MADE_BY: Final = "sandbox/stand-in"
"""Label of what stand-ins make: its content is not what the real controller would bring."""

Concerned = Callable[[Object], Iterable[tuple[Kind, Key]]]
"""Which objects are to be looked at again when this one has changed."""


class StandIn:
    """A controller of one cluster.

    Args:
        watching: The cluster, watched.
        say: Where troubles are told.
    """

    name: ClassVar[str]

    def __init__(self, watching: Watching, say: Callable[[str], None]) -> None:
        self.watching, self.cluster = watching, watching.cluster
        self._queue = WorkQueue[tuple[Kind, Key]](self._do, lambda text: say(f"{self.name}: {text}"))
        self._mirrors: dict[Kind, Mirror] = {}

    async def work(self) -> None:
        """For ever."""
        await self._queue.work()

    async def look(self, kind: Kind, object: Object) -> None:
        """Do what an object asks for."""
        raise NotImplementedError

    async def release(self, kind: Kind, object: Object) -> None:
        """Do what is to be done before an object that is being deleted can go."""

    def responsible_for(self, kind: Kind) -> Mirror:
        """Look at all objects of a kind."""

        def heard(_: Kind, key: Key, __: Object, gone: bool) -> None:
            if not gone:
                self._queue.put((kind, key))

        self._mirrors[kind] = self.watching.follow(kind, heard)
        return self._mirrors[kind]

    def depends_on(self, kind: Kind, concerned: Concerned) -> Mirror:
        """Look again at what is concerned, when an object of another kind has changed or is gone."""

        def heard(_: Kind, __: Key, object: Object, ___: bool) -> None:
            for each in concerned(object):
                self._queue.put(each)

        told: Heard = heard
        return self.watching.follow(kind, told)

    async def _do(self, named: tuple[Kind, Key]) -> None:
        kind, key = named
        object = self._mirrors[kind].get(*key)
        if object is not None:
            ends = object["metadata"].get("deletionTimestamp")
            await (self.release(kind, object) if ends else self.look(kind, object))

    # -- answers

    async def report(self, kind: Kind, object: Object, status: Object) -> None:
        """Write a part of the status, unless it says so already."""
        before = part_of(object, "status")
        if all(before.get(key) == value for key, value in status.items()):
            return
        path = kind.path(*key_of(object))
        try:
            await self.cluster.ask("PATCH", f"{path}/status", {"status": status}, MERGE)
        except ApiError as error:
            if error.status != 404:
                raise
            # A definition without the subresource: the status is a part like any other.
            await self.cluster.ask("PATCH", path, {"status": status}, MERGE)

    async def apply(self, kind: Kind, wanted: Object) -> None:
        """Make an object, or make its content what is wanted."""
        namespace, name = key_of(wanted)
        try:
            await self.cluster.ask("POST", kind.path(namespace), wanted)
        except ApiError as error:
            if error.status != 409:
                raise
            found = await self.cluster.ask("GET", kind.path(namespace, name))
            metadata = {**found["metadata"]}
            for part in ("labels", "annotations"):
                metadata[part] = {**part_of(metadata, part), **part_of(wanted["metadata"], part)}
            await self.cluster.ask("PUT", kind.path(namespace, name), {**found, **wanted, "metadata": metadata})


def condition(object: Object, type: str, *, holds: bool, reason: str, message: str) -> list[Object]:
    """An object's conditions with one that holds, or does not; the time stays while it says the same."""
    others = each_of(object.get("status"), "conditions")
    nothing: Object = {}
    old = next((each for each in others if each["type"] == type), nothing)
    status = "True" if holds else "False"
    same = old.get("status") == status and "lastTransitionTime" in old
    made = {
        "type": type,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": old["lastTransitionTime"] if same else now(),
        "observedGeneration": object["metadata"].get("generation", 1),
    }
    return [*(each for each in others if each["type"] != type), made]


def holds(object: Object, type: str = "Ready") -> bool:
    """Whether a condition is told to hold."""
    return any(
        each["type"] == type and each["status"] == "True" for each in each_of(object.get("status"), "conditions")
    )


def digest(content: Any) -> str:
    """A short text that changes with the content."""
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def owner(api_version: str, kind: str, object: Object) -> Object:
    """What makes an object go with another one."""
    metadata = object["metadata"]
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
