"""A region's cluster: a real etcd, API server, controller manager and scheduler on what the stack gives its first server,
its agents as Nodes in name.
"""

import ssl
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml
from kubernetes import client, config

from tests.sandbox.machines.conftest import Running

from .composition import Composition, Object
from .definitions import Made, definitions

T = TypeVar("T")
SECONDS = 180
MANAGER = "hetzner-platform"
APPLY = "application/apply-patch+yaml"


class Refused(Exception):  # noqa: N818  it reads as what it tells
    """The API server refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Who:
    """Whom the administrator plays."""

    user: str = ""
    groups: tuple[str, ...] = ()

    @property
    def headers(self) -> list[tuple[str, str]]:
        named = [("Impersonate-User", self.user)] if self.user else []
        return [*named, *(("Impersonate-Group", group) for group in self.groups)]


ADMINISTRATOR = Who()


@dataclass
class RegionCluster:
    """The cluster, and what is in it.

    Args:
        composition: Of its region.
        running: The room that its machines are in.
        directory: For the administrator's files.
    """

    composition: Composition
    running: Running
    directory: Path
    plurals: dict[tuple[str, str], tuple[str, bool]] = field(default_factory=dict[tuple[str, str], tuple[str, bool]])
    warnings: list[str] = field(default_factory=list[str])
    definitions: list[Made] = field(default_factory=list[Made])

    @property
    def region(self) -> str:
        return self.composition.region

    def __enter__(self) -> "RegionCluster":
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("asked", "client"):
            if name in self.__dict__:
                getattr(self, name).close()

    # -- starting

    def start(self) -> None:
        """Power the machines on; nobody waits for them here."""
        room = self.running.room
        machines = self.composition.machines
        self._server = next(each for each in machines if each.labels["role"] == "server")
        for facts in machines:
            self.running.call(lambda facts=facts: room.power_on(facts))
        self.running.call(lambda: room.balance(self.composition.balancer))
        for name, text, place in self.composition.robots():
            self.running.call(lambda name=name, text=text, place=place: room.join_robot(name, text, place))

    def wait(self) -> None:
        """Until the API answers, and every machine is a Node that takes pods."""
        self.running.until(lambda: "is a Node" in self.running.room.console(self._server.id), SECONDS, self._consoles)
        expected = len(self.composition.machines) + len(list(self.composition.robots()))
        self.until(lambda: len(self.items("v1", "Node")) == expected)

    def _consoles(self) -> str:
        return self.running.room.console(self._server.id)[-3000:]

    def until(self, look: Callable[[], T], why: Callable[[], object] = lambda: "", pause: float = 0.1) -> T:
        """What is looked for, once it is there; looked for again after ``pause`` seconds."""
        end = time.monotonic() + SECONDS
        while not (found := look()):
            assert time.monotonic() < end, f"not within {SECONDS} s: {why()}"
            time.sleep(pause)
        return found

    # -- asking

    @cached_property
    def kubeconfig(self) -> dict[str, Any]:
        """The stack's own, for where its first server really is."""
        told: dict[str, Any] = yaml.safe_load(self.composition.kubeconfig)
        address = self.running.call(lambda: self.running.room.address(self._server.id))
        told["clusters"][0]["cluster"]["server"] = f"https://{address}:6443"
        # The certificate names the servers' steady names and addresses, and the loopback address of the first of them.
        told["clusters"][0]["cluster"].pop("tls-server-name", None)
        return told

    @cached_property
    def asked(self) -> httpx.Client:
        """Requests by the thousand, without the official client's models."""
        cluster, user = self.kubeconfig["clusters"][0]["cluster"], self.kubeconfig["users"][0]["user"]
        files = {"ca": cluster["certificate-authority-data"], "crt": user["client-certificate-data"]}
        files["key"] = user["client-key-data"]
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data in files.items():
            path = self.directory / f"administrator.{name}"
            path.touch(mode=0o600)
            path.write_bytes(b64decode(data))
        context = ssl.create_default_context(cafile=str(self.directory / "administrator.ca"))
        context.load_cert_chain(self.directory / "administrator.crt", self.directory / "administrator.key")
        return httpx.Client(base_url=cluster["server"], verify=context, trust_env=False, timeout=30)

    @cached_property
    def client(self) -> client.ApiClient:
        """The official client."""
        return config.new_client_from_config_dict(self.kubeconfig)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: Who = ADMINISTRATOR,
        kind: str = "application/json",
        **query: str,
    ) -> Any:
        """The answer.

        Raises:
            Refused: it is none of success.
        """
        headers = [*who.headers, ("Content-Type", kind)]
        answer = self.asked.request(method, path, json=body, headers=headers, params=query)
        if answer.status_code >= 400:
            told = answer.json() if "json" in answer.headers.get("content-type", "") else {"message": answer.text}
            raise Refused(answer.status_code, str(told.get("message")))
        self.warnings += [f"{path}: {each}" for each in answer.headers.get_list("warning")]
        return answer.json()

    def status(self, method: str, path: str, body: Any = None, *, who: Who, **query: str) -> int:
        """How it answers to somebody; of an answer that goes on, only how it begins."""
        with self.asked.stream(method, path, json=body, headers=who.headers, params=query) as answer:
            return answer.status_code

    def path(self, version: str, kind: str, namespace: str = "", name: str = "") -> str:
        """Where objects of a kind are."""
        plural, namespaced = self._known(version, kind)
        parts = ["apis" if "/" in version else "api", version]
        if namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [plural, *([name] if name else [])]
        return "/" + "/".join(parts)

    def _known(self, version: str, kind: str) -> tuple[str, bool]:
        if (version, kind) not in self.plurals:
            root = "apis" if "/" in version else "api"
            for each in self.ask("GET", f"/{root}/{version}")["resources"]:
                if "/" not in each["name"]:
                    self.plurals[version, each["kind"]] = (each["name"], each["namespaced"])
        return self.plurals[version, kind]

    def items(self, version: str, kind: str, namespace: str = "") -> list[Object]:
        return list(self.ask("GET", self.path(version, kind, namespace))["items"])

    def get(self, version: str, kind: str, name: str, namespace: str = "") -> Object:
        return dict(self.ask("GET", self.path(version, kind, namespace, name)))

    def make(self, manifest: Mapping[str, Any], *, who: Who = ADMINISTRATOR, dry: bool = False) -> Object:
        """Make an object; fields that its kind does not know are refused.

        Raises:
            Refused: it was.
        """
        query = {"fieldValidation": "Strict", "fieldManager": MANAGER, **({"dryRun": "All"} if dry else {})}
        path = self.path(manifest["apiVersion"], manifest["kind"], manifest["metadata"].get("namespace", ""))
        return dict(self.ask("POST", path, dict(manifest), who=who, **query))

    def apply(self, manifest: Mapping[str, Any]) -> Object:
        """Say something of an object that somebody else made."""
        metadata = {key: value for key, value in manifest["metadata"].items() if key != "annotations"}
        path = self.path(manifest["apiVersion"], manifest["kind"], metadata["namespace"], metadata["name"])
        query = {"fieldValidation": "Strict", "fieldManager": MANAGER, "force": "true"}
        return dict(self.ask("PATCH", path, {**manifest, "metadata": metadata}, kind=APPLY, **query))

    def refusal(self, manifest: Mapping[str, Any], *, who: Who = ADMINISTRATOR) -> str:
        """Why an object is not taken; nothing when it would be. It is not made."""
        try:
            self.make(manifest, who=who, dry=True)
        except Refused as refused:
            return str(refused)
        return ""

    # -- filling

    def define(self) -> None:
        """Make the definitions, and wait until they are served."""
        self.definitions = definitions(self.composition.objects())
        version, kind = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
        each_of(lambda made: self.make({**made.manifest, "apiVersion": version, "kind": kind}), self.definitions)
        wanted = {made.name for made in self.definitions}
        # What upstream's own definitions are warned of is not ours.
        self.warnings.clear()
        self.until(lambda: wanted <= self._established(), why=lambda: sorted(wanted - self._established()))
        # Each is served a moment after it says so.
        for made in self.definitions:
            self.until(lambda made=made: all(map(self._is_served, made.places)), why=lambda made=made: made.name)

    def _is_served(self, place: str) -> bool:
        group, _, plural = place.rpartition("/")
        listed = self.asked.get(f"/apis/{group}")
        known = listed.json()["resources"] if listed.status_code == 200 else []
        return plural in {each["name"] for each in known} and self.asked.get(f"/apis/{place}").status_code == 200

    def _established(self) -> set[str]:
        found = self.items("apiextensions.k8s.io/v1", "CustomResourceDefinition")
        return {each["metadata"]["name"] for each in found if "Established" in _true(each)}

    def fill(self) -> dict[str, list[str]]:
        """Make everything that the region composes: what was taken, by kind, and under ``refused`` what was not."""
        made: dict[str, list[str]] = {}
        for objects in waves(self.composition.objects()):
            for kind, said in each_of(self._attempt, objects):
                made.setdefault(kind, []).append(said)
        self._known("v1", "ServiceAccount")
        for kind, said in each_of(self._attempt_patch, self.composition.patches()):
            made.setdefault(kind, []).append(said)
        return made

    def _attempt(self, manifest: Object) -> tuple[str, str]:
        try:
            self.make(manifest)
        except Refused as refused:
            return "refused", f"{_name(manifest)}: {refused}"
        return manifest["kind"], _name(manifest)

    def _attempt_patch(self, manifest: Object) -> tuple[str, str]:
        try:
            self.apply(manifest)
        except Refused as refused:
            return "refused", f"{_name(manifest)}: {refused}"
        return f"{manifest['kind']}Patch", _name(manifest)


def _name(manifest: Mapping[str, Any]) -> str:
    metadata = manifest["metadata"]
    return "/".join(filter(None, (manifest["kind"], metadata.get("namespace"), metadata["name"])))


def _true(held: Mapping[str, Any]) -> set[str]:
    """Conditions that hold of an object."""
    conditions = held.get("status", {}).get("conditions") or ()
    return {each["type"] for each in conditions if each["status"] == "True"}


def each_of(work: Callable[[T], Any], things: Iterable[T]) -> list[Any]:
    """The results, in order; some at the same time."""
    with ThreadPoolExecutor(4) as workers:
        return list(workers.map(work, things))


def waves(objects: Iterable[Object]) -> list[list[Object]]:
    """Namespaces, then what is in them."""
    given = list(objects)
    return [[each for each in given if (each["kind"] == "Namespace") is first] for first in (True, False)]
