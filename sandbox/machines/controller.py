"""What keeps a cluster's Nodes: a stand-in for the cloud controller, and what k3s does for etcd's members."""

import asyncio
import datetime
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from .api import MERGE, STRATEGIC, ApiError
from .cluster import Cluster
from .etcd import EtcdError
from .facts import ServerFacts
from .kubelet import ETCD_FINALIZER, MEMBER, UNINITIALIZED, condition, forget_password
from .programs import keep_programs
from .tools import Tools

_INTERVAL: Final = 0.5
_HEARTBEAT_SECONDS: Final = 60
_ZONES: Final = {
    "fsn1": "fsn1-dc14",
    "nbg1": "nbg1-dc3",
    "hel1": "hel1-dc2",
    "ash": "ash-dc1",
    "hil": "hil-dc1",
    "sin": "sin-dc1",
}
"""Zone labels by location, as Hetzner's cloud controller manager sets them."""

Node = dict[str, Any]


class Controller:
    """Works for one cluster until it is cancelled.

    Args:
        cluster: The cluster.
        machine: The machine with this provider id, or else this name; None when it is gone. Dedicated ones have a
            negative id.
        addresses: Loopback addresses of all machines that there are.
        tools: The controller manager and the scheduler.
        say: Where troubles are told.
    """

    def __init__(
        self,
        cluster: Cluster,
        machine: Callable[[str, str], ServerFacts | None],
        addresses: Callable[[], Collection[str]],
        tools: Tools,
        say: Callable[[str], None],
    ) -> None:
        self._cluster, self._machine, self._addresses = cluster, machine, addresses
        self._tools, self._say = tools, say

    async def work(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except (ApiError, EtcdError, OSError) as error:
                self._say(f"controller: {error}")
            await asyncio.sleep(_INTERVAL)

    async def look(self) -> None:
        """One round. Nodes are initialised, reported on, and deleted with their machines."""
        await keep_programs(self._tools, self._cluster.live)
        if not self._cluster.live:
            return
        nodes: list[Node] = (await self._cluster.ask("GET", "/api/v1/nodes"))["items"]
        members = await self._cluster.voter().members()
        for node in nodes:
            # One Node in trouble must not keep the others waiting.
            try:
                await self._look_after(node, members)
            except (ApiError, EtcdError) as error:
                self._say(f"controller: {_name(node)}: {error}")
        await self._forget_lost_learners(members)

    # -- Nodes

    async def _look_after(self, node: Node, members: list[Node]) -> None:
        if node["metadata"].get("deletionTimestamp"):
            await self._release(node, members)
            return
        facts = self._machine(node["spec"].get("providerID", ""), _name(node))
        if facts is None:
            # As the cloud controller does with Nodes that are not ready.
            await self._cluster.ask("DELETE", f"/api/v1/nodes/{_name(node)}")
            return
        if any(taint["key"] == UNINITIALIZED for taint in _list(node["spec"], "taints")):
            await self._initialize(node, facts)
        wanted = [_readiness(running=_name(node) in self._cluster.kubelets)]
        if member := node["metadata"].get("annotations", {}).get(MEMBER):
            wanted.append(await self._membership(member, members))
        await self._report(node, wanted)

    async def _initialize(self, node: Node, facts: ServerFacts) -> None:
        """What the cloud knows of the machine; the taint that waited for it goes."""
        path = f"/api/v1/nodes/{_name(node)}"
        known = {each["type"]: each["address"] for each in _list(node["status"], "addresses")}
        if facts.public_ipv4 is not None:
            known["ExternalIP"] = facts.public_ipv4
        addresses = [{"type": type, "address": address} for type, address in known.items()]
        status = {"status": {"addresses": addresses}}
        changed: Node = await self._cluster.ask("PATCH", f"{path}/status", status, STRATEGIC)
        spec: dict[str, Any] = {
            "taints": [taint for taint in changed["spec"]["taints"] if taint["key"] != UNINITIALIZED] or None
        }
        if not node["spec"].get("providerID"):
            spec["providerID"] = f"hcloud://{facts.id}" if facts.id > 0 else f"hrobot://{-facts.id}"
        # The list of taints is replaced as a whole: with the version, a taint that came meanwhile is not lost.
        metadata = {"labels": _cloud_labels(facts), "resourceVersion": changed["metadata"]["resourceVersion"]}
        await self._cluster.ask("PATCH", path, {"metadata": metadata, "spec": spec}, MERGE)

    async def _report(self, node: Node, wanted: list[dict[str, str]]) -> None:
        """Conditions that changed, and now and then those that did not."""
        before = {each["type"]: each for each in _list(node["status"], "conditions")}
        due: list[dict[str, str]] = []
        for each in wanted:
            old = before.get(each["type"])
            if old is None or any(old.get(key) != each[key] for key in ("status", "reason", "message")):
                same = old is not None and old["status"] == each["status"]
                due.append({**each, "lastTransitionTime": old["lastTransitionTime"]} if old and same else each)
            elif each["status"] == "True" and _age(old.get("lastHeartbeatTime")) > _HEARTBEAT_SECONDS:
                due.append({**each, "lastTransitionTime": old["lastTransitionTime"]})
        if due:
            path = f"/api/v1/nodes/{_name(node)}/status"
            await self._cluster.ask("PATCH", path, {"status": {"conditions": due}}, STRATEGIC)

    async def _release(self, node: Node, members: list[Node]) -> None:
        """What goes with a Node: its member of etcd, and its claim on the name."""
        finalizers: list[str] = node["metadata"].get("finalizers") or []
        if ETCD_FINALIZER in finalizers:
            name = node["metadata"].get("annotations", {}).get(MEMBER)
            for each in members:
                if each.get("name") == name:
                    await self._cluster.voter().remove(each["ID"])
        await forget_password(self._cluster, _name(node))
        if finalizers:
            await self._cluster.ask("PATCH", f"/api/v1/nodes/{_name(node)}", {"metadata": {"finalizers": None}}, MERGE)

    # -- etcd

    async def _membership(self, name: str, members: list[Node]) -> dict[str, str]:
        """Whether a server votes, as etcd itself says, in k3s's words."""
        found = next((each for each in members if each.get("name") == name), None)
        if found is None:
            return condition("EtcdIsVoter", "False", "NotAMember", "Node is not a member of the etcd cluster")
        if found.get("isLearner"):
            said = "Node has not been promoted to voting member of the etcd cluster"
            return condition("EtcdIsVoter", "False", "MemberIsLearner", said)
        running = next((server.member for server in self._cluster.servers if server.member.name == name), None)
        if running is None or not await running.answers():
            return condition("EtcdIsVoter", "False", "Unhealthy", "Node is unhealthy")
        return condition("EtcdIsVoter", "True", "MemberNotLearner", "Node is a voting member of the etcd cluster")

    async def _forget_lost_learners(self, members: list[Node]) -> None:
        """A learner whose machine was deleted while it joined never catches up; k3s gives it five minutes."""
        addresses = self._addresses()
        for each in members:
            hosts = {urlsplit(str(url)).hostname for url in each["peerURLs"]}
            if each.get("isLearner") and not hosts & set(addresses):
                await self._cluster.voter().remove(each["ID"])


def _list(part: Mapping[str, Any], key: str) -> list[dict[str, str]]:
    """A list that may be missing."""
    return part.get(key) or []


def _name(node: Node) -> str:
    return str(node["metadata"]["name"])


def _readiness(*, running: bool) -> dict[str, str]:
    if running:
        return condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
    return condition("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")


def _cloud_labels(facts: ServerFacts) -> Mapping[str, str]:
    if facts.id < 0:
        return {"instance.hetzner.cloud/provided-by": "robot"}
    return {
        "instance.hetzner.cloud/provided-by": "cloud",
        "node.kubernetes.io/instance-type": facts.server_type,
        "topology.kubernetes.io/region": facts.location,
        "topology.kubernetes.io/zone": _ZONES.get(facts.location, facts.location),
    }


def _age(time: str | None) -> float:
    """Seconds since then."""
    if time is None:
        return float("inf")
    then = datetime.datetime.fromisoformat(time)
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()
