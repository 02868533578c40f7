"""Whether the clouds hold exactly what the stacks' states say: a map per kind, since parts of objects have no labels.

It reads the emulators' own memory, and so is a witness against plugins and program alike.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Found = set[tuple[str, str]]
"""Kind and id."""

OBJECTS = {
    "hcloud:index/firewall:Firewall": "firewalls",
    "hcloud:index/loadBalancer:LoadBalancer": "load_balancers",
    "hcloud:index/network:Network": "networks",
    "hcloud:index/placementGroup:PlacementGroup": "placement_groups",
    "hcloud:index/primaryIp:PrimaryIp": "primary_ips",
    "hcloud:index/server:Server": "servers",
    "hcloud:index/sshKey:SshKey": "ssh_keys",
    "hcloud:index/uploadedCertificate:UploadedCertificate": "certificates",
    "hcloud:index/volume:Volume": "volumes",
    "cloudflare:index/dnsRecord:DnsRecord": "dns_records",
    "cloudflare:index/ruleset:Ruleset": "rulesets",
    "cloudflare:index/originCaCertificate:OriginCaCertificate": "origin_certificates",
    "cloudflare:index/authenticatedOriginPullsCertificate:AuthenticatedOriginPullsCertificate": "origin_pull_certificates",
    "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared": "tunnels",
    "minio:index/s3Bucket:S3Bucket": "buckets",
}
PARTS = {
    "hcloud:index/networkSubnet:NetworkSubnet": "subnets",
    "hcloud:index/networkRoute:NetworkRoute": "routes",
    "hcloud:index/loadBalancerNetwork:LoadBalancerNetwork": "load_balancer_networks",
    "hcloud:index/loadBalancerService:LoadBalancerService": "services",
    "hcloud:index/loadBalancerTarget:LoadBalancerTarget": "targets",
    "hcloud:index/serverNetwork:ServerNetwork": "server_networks",
}
NO_OBJECTS = (
    "cloudflare:index/zoneSetting:ZoneSetting",
    "cloudflare:index/authenticatedOriginPullsSettings:AuthenticatedOriginPullsSettings",
    "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig",
    "minio:index/ilmPolicy:IlmPolicy",
    "minio:index/s3BucketPolicy:S3BucketPolicy",
    "minio:index/s3BucketVersioning:S3BucketVersioning",
)
"""Settings of what exists anyway: they cannot be there or gone."""

ELSEWHERE = ("pulumi:", "random:", "tls:", "kubernetes:", "hetzner-platform:")
"""Resources that are in no cloud's API."""


def in_states(states: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What the exported states name, a line each: the same object twice shows."""
    found: list[tuple[str, str]] = []
    for state in states:
        for resource in state["deployment"].get("resources", []):
            type, id = resource["type"], resource.get("id", "")
            if resource.get("pendingReplacement"):
                continue  # It is deleted, and its replacement is not made yet.
            if type in OBJECTS:
                found.append((OBJECTS[type], id.rpartition("/")[2]))
            elif type in PARTS:
                found.append((PARTS[type], _part(resource)))
            elif type not in NO_OBJECTS and not type.startswith(ELSEWHERE):
                raise AssertionError(f"no rule says what {type} is in the clouds")
            if type == "hcloud:index/server:Server":
                found += [("server_networks", f"{id}-{net}") for net in _networks(resource)]
    return found


def in_clouds(hetzner: Mapping[str, Any], cloudflare: Mapping[str, Iterable[str]], buckets: Iterable[str]) -> Found:
    """What the clouds hold.

    Args:
        hetzner: The dump of the project's objects by kind.
        cloudflare: Ids by kind.
        buckets: Names.
    """
    found = set(_hetzner(hetzner))
    found |= {(kind, id) for kind, ids in cloudflare.items() for id in ids}
    return found | {("buckets", name) for name in buckets}


def differences(states: Iterable[Mapping[str, Any]], clouds: Found) -> list[str]:
    """What is on one side alone, or twice; empty when both map one to one."""
    named = in_states(states)
    told = [
        f"{kind} {id}: in two states, or twice in one" for kind, id in sorted(set(named)) if named.count((kind, id)) > 1
    ]
    told += [f"{kind} {id}: in a state, not in the cloud" for kind, id in sorted(set(named) - clouds)]
    return told + [f"{kind} {id}: in the cloud, in no state" for kind, id in sorted(clouds - set(named))]


def _hetzner(kinds: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for kind in set(OBJECTS.values()) & set(kinds):
        for entry in kinds[kind]:
            # Addresses that the cloud made for a machine go with it, and belong to no stack.
            if kind != "primary_ips" or not entry["auto_delete"]:
                yield kind, str(entry["id"])
    for network in kinds["networks"]:
        for subnet in network["subnets"]:
            yield "subnets", f"{network['id']}-{subnet['ip_range']}"
        for route in network["routes"]:
            yield "routes", f"{network['id']}-{route['destination']}"
    for server in kinds["servers"]:
        for net in server["private_net"]:
            yield "server_networks", f"{server['id']}-{net['network']}"
    for balancer in kinds["load_balancers"]:
        for net in balancer["private_net"]:
            yield "load_balancer_networks", f"{balancer['id']}-{net['network']}"
        for service in balancer["services"]:
            yield "services", f"{balancer['id']}__{service['listen_port']}"
        for target in balancer["targets"]:
            yield "targets", f"{balancer['id']} {_target(target)}"


def _target(target: Mapping[str, Any]) -> str:
    match target["type"]:
        case "server":
            return f"server {target['server']['id']}"
        case "label_selector":
            return f"label_selector {target['label_selector']['selector']}"
        case _:
            return f"ip {target['ip']['ip']}"


def _part(resource: Mapping[str, Any]) -> str:
    if not resource["type"].endswith(":LoadBalancerTarget"):
        return str(resource["id"])
    outputs = resource["outputs"]
    value = {"server": "serverId", "label_selector": "labelSelector", "ip": "ip"}[outputs["type"]]
    return f"{int(outputs['loadBalancerId'])} {outputs['type']} {outputs[value]}"


def _networks(resource: Mapping[str, Any]) -> list[int]:
    """Ids; of a server that was only half made there is only what was asked for: subnets, <network>-<range>."""
    nets = resource["outputs"].get("networks") or []
    return [int(net.get("networkId") or str(net["subnetId"]).partition("-")[0]) for net in nets]
