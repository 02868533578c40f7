"""What keeps a cluster's Nodes: stand-ins for kubelet and cloud controller, and k3s's own care for etcd's members."""

import asyncio
import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .cluster import ApiFailure, Cluster
from .configuration import K3sConfig
from .etcd import EtcdError

_INTERVAL: Final = 0.5
_UNINITIALIZED: Final = "node.cloudprovider.kubernetes.io/uninitialized"
_MERGE: Final = "application/merge-patch+json"
_STRATEGIC: Final = "application/strategic-merge-patch+json"


@dataclass(frozen=True)
class Kubelet:
    """A machine on which k3s runs, as its kubelet would register it.

    Args:
        config: k3s's configuration.
        server: Whether it is a control-plane server.
        public: Its public address, if any.
        location: Hetzner location; empty for a dedicated machine.
        server_type: Its type.
    """

    config: K3sConfig
    server: bool
    public: str | None = None
    location: str = ""
    server_type: str = ""

    @property
    def name(self) -> str:
        """The Node's name."""
        return self.config.text("node-name")

    @property
    def provider_id(self) -> str:
        """``hcloud://<id>``, or empty."""
        return self.config.arguments("kubelet-arg").get("provider-id", "")

    def node(self) -> dict[str, Any]:
        """The Node that it registers."""
        labels = dict(label.split("=", 1) for label in self.config.list("node-label"))
        labels |= {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        if self.server:
            labels |= {f"node-role.kubernetes.io/{role}": "true" for role in ("control-plane", "etcd")}
        external = self.config.arguments("kubelet-arg").get("cloud-provider") == "external"
        taints = [_taint(text) for text in self.config.list("node-taint")]
        if external:
            taints.append({"key": _UNINITIALIZED, "value": "true", "effect": "NoSchedule"})
        spec: dict[str, Any] = {"taints": taints} if taints else {}
        if self.provider_id:
            spec["providerID"] = self.provider_id
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": labels}, "spec": spec}

    def initialized(self) -> dict[str, Any]:
        """What the cloud controller adds to labels."""
        if not self.location:
            return {}
        return {
            "topology.kubernetes.io/region": self.location,
            "topology.kubernetes.io/zone": self.location,
            "node.kubernetes.io/instance-type": self.server_type,
        }

    def addresses(self) -> list[dict[str, str]]:
        """The Node's addresses."""
        found = [
            {"type": "Hostname", "address": self.name},
            {"type": "InternalIP", "address": self.config.text("node-ip")},
        ]
        return found + ([{"type": "ExternalIP", "address": self.public}] if self.public else [])


@dataclass
class Controller:
    """Works for one cluster until it is cancelled.

    Args:
        cluster: The cluster.
        running: Kubelets that run now, by node name.
        exists: Whether a machine with this provider id, or node name, exists in the cloud.
        say: Where troubles are told.
    """

    cluster: Cluster
    running: Callable[[], Mapping[str, Kubelet]]
    exists: Callable[[str, str], bool]
    say: Callable[[str], None]
    _told: dict[str, str] = field(default_factory=dict[str, str])

    async def work(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except (ApiFailure, EtcdError) as error:
                self.say(f"controller: {error}")
            await asyncio.sleep(_INTERVAL)

    async def look(self) -> None:
        """One round: Nodes are registered, initialised, kept ready, and forgotten with their machines."""
        if not self.cluster.live:
            return
        nodes = {node["metadata"]["name"]: node for node in (await self.cluster.ask("GET", "/api/v1/nodes"))["items"]}
        running = self.running()
        voters = await self._voters()
        for name, kubelet in running.items():
            if name not in nodes:
                nodes[name] = await self.cluster.ask("POST", "/api/v1/nodes", kubelet.node())
            await self._initialize(nodes[name], kubelet)
            await self._report(nodes[name], kubelet, voters)
        for name, node in nodes.items():
            if name not in running:
                await self._look_after_missing(name, node)
        await self._forget_members(set(nodes) | set(running))

    async def _initialize(self, node: dict[str, Any], kubelet: Kubelet) -> None:
        taints = node["spec"].get("taints") or []
        if not any(taint["key"] == _UNINITIALIZED for taint in taints):
            return
        left = [taint for taint in taints if taint["key"] != _UNINITIALIZED]
        patch = {"metadata": {"labels": kubelet.initialized()}, "spec": {"taints": left or None}}
        await self.cluster.ask("PATCH", f"/api/v1/nodes/{kubelet.name}", patch, _MERGE)

    async def _report(self, node: dict[str, Any], kubelet: Kubelet, voters: Mapping[str, bool]) -> None:
        wanted = {"Ready": "True"}
        if kubelet.server:
            wanted["EtcdIsVoter"] = "True" if voters.get(kubelet.name) else "False"
        await self._condition(node, wanted, {"addresses": kubelet.addresses()})

    async def _condition(self, node: dict[str, Any], wanted: Mapping[str, str], more: Mapping[str, Any]) -> None:
        before = {each["type"]: each["status"] for each in node.get("status", {}).get("conditions") or []}
        if all(before.get(type) == status for type, status in wanted.items()):
            return
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [
            {
                "type": type,
                "status": status,
                "reason": "MemberNotLearner" if type == "EtcdIsVoter" else "KubeletReady",
                "message": "",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for type, status in wanted.items()
        ]
        patch = {"status": {"conditions": conditions, **more}}
        await self.cluster.ask("PATCH", f"/api/v1/nodes/{node['metadata']['name']}/status", patch, _STRATEGIC)

    async def _look_after_missing(self, name: str, node: dict[str, Any]) -> None:
        """A Node whose machine is gone is deleted; one whose machine is merely off is not ready."""
        if not self.exists(node["spec"].get("providerID", ""), name):
            await self.cluster.ask("DELETE", f"/api/v1/nodes/{name}")
            return
        await self._condition(node, {"Ready": "Unknown"}, {})

    async def _voters(self) -> dict[str, bool]:
        """Servers by node name, and whether they vote, as etcd itself lists them."""
        return {
            str(each.get("name", "")).rpartition("-")[0]: not each.get("isLearner") for each in await self._members()
        }

    async def _members(self) -> list[dict[str, Any]]:
        member = next((each.member for each in self.cluster.live if each.member is not None), None)
        return await member.members() if member is not None else []

    async def _forget_members(self, nodes: set[str]) -> None:
        """k3s takes the etcd member of a deleted Node out; what it knew of the node's password goes too."""
        for name in set(self.cluster.passwords) - nodes:
            del self.cluster.passwords[name]
        if self.cluster.joining.locked():
            return
        for each in await self._members():
            name = str(each.get("name", "")).rpartition("-")[0]
            if name and name not in nodes and not each.get("isLearner"):
                member = next(server.member for server in self.cluster.live if server.member is not None)
                await member.remove(str(each["ID"]))


def _taint(text: str) -> dict[str, str]:
    head, _, effect = text.rpartition(":")
    key, _, value = head.partition("=")
    return {"key": key, "value": value, "effect": effect}
