"""One cluster of real programs in the emulated cloud: a server, two agents, and a dedicated machine with a GPU."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hcloud import Client
from hcloud.images.domain import Image
from hcloud.locations.domain import Location
from hcloud.networks.domain import NetworkSubnet
from hcloud.server_types.domain import ServerType

from sandbox.charts import read_definitions
from sandbox.clouds import Options, ThreadedClouds
from sandbox.machines.api import MERGE, Api, ApiError
from sandbox.machines.certificates import Authority
from sandbox.machines.facts import ServerFacts

from ..machines.conftest import tools
from ..machines.region import Region

T = TypeVar("T")
Object = dict[str, Any]

NAMESPACES = "/api/v1/namespaces"
TIMEOUT = 60.0
GARBAGE_SECONDS = 120.0


@dataclass
class Cluster:
    """The cluster, asked as its administrator, and the cloud that it is in."""

    clouds: ThreadedClouds
    api: Api
    client: Client

    def wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.clouds._loop).result(TIMEOUT)

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        return self.wait(self.api.ask(method, path, body, kind))

    def find(self, path: str) -> Object | None:
        try:
            return self.ask("GET", path)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def items(self, path: str) -> list[Object]:
        return self.ask("GET", path)["items"]

    def merge(self, path: str, patch: Object) -> Object:
        return self.ask("PATCH", path, patch, MERGE)

    def refusal(self, path: str, body: Object) -> str:
        """What the API says when it refuses to make something."""
        with pytest.raises(ApiError) as refused:
            self.ask("POST", path, body)
        return str(refused.value)

    def until(self, look: Callable[[], T], seconds: float = TIMEOUT) -> T:
        """What is looked for, once it is there."""
        end = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < end, f"not within {seconds:.0f} s; {self.troubles()}"
            time.sleep(0.05)
        return found

    def troubles(self) -> list[str]:
        """What the stand-ins said, the newest last."""
        room = self.clouds.clouds.room
        assert room is not None
        text = "\n".join(room.console(number) for number in list(room._machines))
        return [line for line in text.splitlines() if ": (" in line or "controller:" in line][-5:]

    def namespace(self, name: str, security: str = "privileged", **labels: str) -> str:
        """A new one, with what every namespace has: pods can be made in it. Unless it says so, they must be restricted."""
        level = {"pod-security.kubernetes.io/enforce": security} if security else {}
        self.ask("POST", NAMESPACES, {"metadata": {"name": name, "labels": {**labels, **level}}})
        self.until(lambda: self.find(f"{NAMESPACES}/{name}/serviceaccounts/default"))
        return f"{NAMESPACES}/{name}"

    def until_condition(self, path: str, type: str, status: str = "True", seconds: float = TIMEOUT) -> Object:
        """The condition, once it is so."""
        return self.until(lambda: self.condition(path, type, status), seconds)

    def condition(self, path: str, type: str, status: str = "True") -> Object | None:
        found = (self.find(path) or {}).get("status", {}).get("conditions") or []
        return next((each for each in found if each["type"] == type and each["status"] == status), None)

    def until_phase(self, path: str, phase: str) -> Object:
        """The object, once it is in this phase."""

        def look() -> Object | None:
            found = self.find(path)
            return found if found and found.get("status", {}).get("phase") == phase else None

        return self.until(look)

    def until_gone(self, path: str) -> None:
        # The garbage collector looks every half minute for kinds that are new, and deletes what they owned only then.
        self.until(lambda: self.find(path) is None, seconds=GARBAGE_SECONDS)

    def secret(self, namespace: str, name: str, **texts: str) -> None:
        self.ask("POST", f"{NAMESPACES}/{namespace}/secrets", {"metadata": {"name": name}, "stringData": texts})

    def events(self, namespace: str, name: str) -> set[tuple[str, str]]:
        """Reasons and messages about an object."""
        found = self.items(f"{NAMESPACES}/{namespace}/events")
        return {(each["reason"], each["message"]) for each in found if each["involvedObject"]["name"] == name}


def container(**more: Any) -> Object:
    return {"name": "main", "image": "registry.example.com/app:1", **more}


def pod(name: str, spec: Object | None = None, **labels: str) -> Object:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [container()], **(spec or {})}}


def workload(name: str, spec: Object | None = None, **more: Any) -> Object:
    """A Deployment, StatefulSet or DaemonSet."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container()], **(spec or {})}}
    selector = {"matchLabels": {"app": name}}
    return {"metadata": {"name": name}, "spec": {"selector": selector, "template": template, **more}}


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Cluster]:
    """The cluster, while the block runs; its administrator's files are in ``<directory>/administrator``."""
    options = Options(machines="full", tools=tools(), rate_limit=False)
    with ThreadedClouds(directory / "clouds", options) as clouds:
        client = Client(clouds.access.token, api_endpoint=clouds.access.hetzner, poll_interval=0.1)
        region = Region(int(octet(clouds)), servers=(1,))
        network = client.networks.create("fsn1", "10.0.0.0/8")
        for subnet in ("10.1.0.0/16",):
            network.add_subnet(
                NetworkSubnet(ip_range=subnet, type="cloud", network_zone="eu-central")
            ).wait_until_finished()
        region.network = network.id
        facts = region.server(1)
        server = made(client, network, facts)
        room = clouds.clouds.room
        assert room is not None
        until(lambda: "is a Node" in room.console(server), lambda: room.console(server))
        # Agents join through the load balancer of the API.
        clouds.call(lambda: room.balance(region.balancer(replace(facts, id=server))))
        for number in (1, 2):
            made(client, network, region.agent(number))
        api = clouds.call(lambda: administrator(region, directory, room.address(server)))
        started = Cluster(clouds, api, client)
        name, text, place = region.robot(
            2, labels={"nvidia.com/gpu": "present"}, taints=("nvidia.com/gpu=present:NoSchedule",)
        )
        clouds.call(lambda: room.join_robot(name, text, place))
        until(lambda: len(started.items("/api/v1/nodes")) == 4, lambda: [room.console(each) for each in room._machines])
        until(
            lambda: all(ready(node) for node in started.items("/api/v1/nodes")), lambda: started.items("/api/v1/nodes")
        )
        started.secret("kube-system", "hcloud", token=clouds.access.token)
        yield started
        started.wait(api.close())


def octet(clouds: ThreadedClouds) -> str:
    loopback = clouds.clouds._loopback
    assert loopback is not None
    return str(loopback.octet)


def made(client: Client, network: Any, facts: ServerFacts) -> int:
    """A server of the emulated cloud, as the deployment makes it."""
    answer = client.servers.create(
        facts.name,
        ServerType(name=facts.server_type),
        Image(name="ubuntu-24.04"),
        location=Location(name="fsn1"),
        user_data=facts.user_data,
        labels=dict(facts.labels),
        start_after_create=False,
    )
    answer.action.wait_until_finished()
    answer.server.attach_to_network(network, ip=facts.attachments[0].ip).wait_until_finished()
    answer.server.power_on().wait_until_finished()
    return int(answer.server.id or 0)


def ready(node: Object) -> bool:
    conditions = node["status"].get("conditions", [])
    well = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return (
        well
        and bool(node["spec"].get("podCIDR"))
        and not any(
            "uninitialized" in taint["key"] or "not-ready" in taint["key"] for taint in node["spec"].get("taints", [])
        )
    )


def administrator(region: Region, directory: Path, address: str | None) -> Api:
    own = directory / "administrator"
    own.mkdir()
    client = region.authorities["client-ca"]
    (own / "ca.crt").write_text(client.pem + region.root.pem)
    (own / "ca.key").write_text(client.key_pem)
    (own / "root.crt").write_text(region.root.pem)
    Authority(own / "ca").issue(own / "admin", "admin", organization="system:masters")
    return Api(f"https://{address}:6443", own / "root.crt", own / "admin")


def until(look: Callable[[], T], why: Callable[[], object], seconds: float = 120) -> T:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {why()}"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="package")
def defined(cluster: Cluster) -> Cluster:
    """The cluster, once it knows the kinds of the controllers that are stood in for."""
    charts = ("cert-manager", "trust-manager", "gatekeeper", "external-secrets")
    names: list[str] = []
    for each in read_definitions():
        if each.chart in charts:
            cluster.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", each.manifest())
            names.append(each.name)
    for name in names:
        cluster.until_condition(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}", "Established")
    cluster.namespace("cert-manager")
    return cluster
