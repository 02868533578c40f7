"""Whom a tenant's pods may talk to. The ports of its own services are opened by these services (charts/service)."""

from collections.abc import Iterable, Sequence
from typing import Final

from ..layer import INTERNET, Addresses, Flow, Peer, Pods, to_api_server
from .names import Reach, reach_label

INGRESS_NAMESPACE: Final = "traefik"
MESH_NAMESPACE: Final = "linkerd"
MONITORING_NAMESPACE: Final = "monitoring"
MESH_PORTS: Final = (8080, 8086, 8090)
"""Of Linkerd's control plane: identity, destination, policy."""
MESH_INBOUND: Final = 4143
"""Where a proxy receives what other proxies carry as it is, whatever port it was sent to."""
MESH_METRICS: Final = 4191
POSTGRES_PORT: Final = 5432
REDIS_PORT: Final = 6379
HTTPS: Final = 443


def mesh_flows() -> list[Flow]:
    """What every meshed pod needs: its proxy gets its identity, the routes and the rules, and hands its figures out."""
    return [
        Flow("mesh-control", "egress", [Pods(MESH_NAMESPACE)], MESH_PORTS),
        Flow("mesh-metrics", "ingress", [Pods(MONITORING_NAMESPACE)], [MESH_METRICS]),
    ]


def own_flows() -> list[Flow]:
    """Within the namespace: pods ask each other on any port that the one asked has opened, and over the mesh."""
    return [
        Flow("within-in", "ingress", [Pods()], [MESH_INBOUND]),
        Flow("within-out", "egress", [Pods()]),
    ]


def tenant_flows(
    reaches: Iterable[Reach],
    *,
    postgres: str,
    redis: str,
    object_store: Sequence[Peer],
    object_store_port: int,
) -> list[Flow]:
    """Every flow of a tenant's namespace.

    A pod gets a reach only if its tenant is permitted and it asks by label: one of the two is not enough.

    Args:
        reaches: What the tenant is permitted.
        postgres: Address of the region's PostgreSQL, without a prefix length.
        redis: Address of the region's Redis.
        object_store: Who answers as the object store.
        object_store_port: On which port.
    """
    permitted = set(reaches)
    flows = [
        *mesh_flows(),
        *own_flows(),
        Flow("ingress", "ingress", [Pods(INGRESS_NAMESPACE)], [MESH_INBOUND]),
    ]
    if "databases" in permitted:
        asked = reach_label("databases")
        flows += [
            Flow("to-postgres", "egress", [Addresses(f"{postgres}/32")], [POSTGRES_PORT], asked),
            Flow("to-redis", "egress", [Addresses(f"{redis}/32")], [REDIS_PORT], asked),
        ]
    if "object-store" in permitted:
        flows.append(Flow("to-object-store", "egress", object_store, [object_store_port], reach_label("object-store")))
    if "internet" in permitted:
        flows.append(Flow("to-internet", "egress", [INTERNET], [HTTPS], reach_label("internet")))
    if "kubernetes-api" in permitted:
        flows.append(to_api_server(reach_label("kubernetes-api")))
    return flows


def platform_flows(authentication_port: int) -> list[Flow]:
    """Of the namespace ``platform``: Traefik asks its authentication service, which asks the identity provider.

    Args:
        authentication_port: Where the authentication service listens.
    """
    return [
        *mesh_flows(),
        *own_flows(),
        Flow("authentication", "ingress", [Pods(INGRESS_NAMESPACE)], [authentication_port, MESH_INBOUND]),
        Flow("to-internet", "egress", [INTERNET], [HTTPS], reach_label("internet")),
    ]
