"""Objects and parts of objects, by the same kind and id in the clouds and in the stacks' states."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .state import Resource

Key = tuple[str, str]
"""Kind and id; ids of parts are made here, the same from both sides."""

HETZNER: Final = {
    "hcloud:index/firewall:Firewall": "firewall",
    "hcloud:index/loadBalancer:LoadBalancer": "load-balancer",
    "hcloud:index/network:Network": "network",
    "hcloud:index/placementGroup:PlacementGroup": "placement-group",
    "hcloud:index/primaryIp:PrimaryIp": "primary-ip",
    "hcloud:index/server:Server": "server",
    "hcloud:index/sshKey:SshKey": "ssh-key",
    "hcloud:index/uploadedCertificate:UploadedCertificate": "certificate",
    "hcloud:index/volume:Volume": "volume",
    "hcloud:index/networkSubnet:NetworkSubnet": "subnet",
    "hcloud:index/networkRoute:NetworkRoute": "route",
    "hcloud:index/loadBalancerNetwork:LoadBalancerNetwork": "load-balancer-network",
    "hcloud:index/loadBalancerService:LoadBalancerService": "load-balancer-service",
    "hcloud:index/loadBalancerTarget:LoadBalancerTarget": "load-balancer-target",
    "hcloud:index/serverNetwork:ServerNetwork": "server-network",
}
CLOUDFLARE: Final = {
    "cloudflare:index/dnsRecord:DnsRecord": "dns-record",
    "cloudflare:index/ruleset:Ruleset": "ruleset",
    "cloudflare:index/originCaCertificate:OriginCaCertificate": "origin-certificate",
    "cloudflare:index/authenticatedOriginPullsCertificate:AuthenticatedOriginPullsCertificate": "origin-pull-certificate",
    "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared": "tunnel",
}
KINDS: Final = HETZNER | CLOUDFLARE
TYPES: Final = {kind: type for type, kind in KINDS.items()}
PARTS: Final = frozenset(
    {"subnet", "route", "load-balancer-network", "load-balancer-service", "load-balancer-target", "server-network"}
)
"""They are of no use without the object that they are in, and go with it."""


@dataclass(frozen=True)
class CloudObject:
    """Something that exists in a cloud.

    Args:
        kind: See `KINDS`.
        id: As `key` has it.
        name: For people; a part's says what it is in.
        labels: Hetzner's labels.
        protected: Whether the cloud refuses to delete it; None where it has no such protection.
        whole: What it is a part of, or goes together with.
        attributes: Whatever else tells what it is for, such as ``location``.
    """

    kind: str
    id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    protected: bool | None = None
    whole: Key | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def key(self) -> Key:
        """Kind and id."""
        return self.kind, self.id

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} ({self.id})"


def keys(resource: Resource) -> Iterator[Key]:
    """What a resource of a state is in the clouds: one object or part, and a server's attachments too.

    Of what was only half made the state may not know everything.
    """
    kind = KINDS.get(resource.type)
    if kind is None or not resource.id or resource.deleted:
        return
    if kind == "load-balancer-target":
        if "loadBalancerId" in resource.outputs and "type" in resource.outputs:
            yield kind, _target(resource)
    else:
        # Cloudflare's composite ids end with the object's own.
        yield kind, resource.id.rpartition("/")[2] if kind in CLOUDFLARE.values() else resource.id
    if kind == "server":
        networks: list[dict[str, Any]] = resource.outputs.get("networks") or []
        for network in networks:
            # Until it has been read, there is only what was asked for: the subnet, <network>-<range>.
            id = network.get("networkId") or str(network.get("subnetId") or "").partition("-")[0]
            if id:
                yield "server-network", f"{resource.id}-{int(id)}"


def target_id(balancer: int | str, type: str, value: int | str) -> str:
    """Id of a load balancer's target."""
    return f"{balancer} {type} {value}"


def _target(resource: Resource) -> str:
    outputs = resource.outputs
    value = outputs.get({"server": "serverId", "label_selector": "labelSelector"}.get(outputs.get("type", ""), "ip"))
    return target_id(
        int(outputs["loadBalancerId"]), outputs["type"], int(value) if isinstance(value, float) else value or ""
    )
