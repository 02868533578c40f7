"""Whom a tenant's pods may talk to. The ports of its own services are opened by these services (charts/service)."""

from collections.abc import Iterable
from typing import Final

from ..layer import INGRESS, INTERNET, Addresses, Flow, Pods, to_api_server
from ..mesh import INBOUND_PORT, mesh_flows
from .names import Reach, reach_label

POSTGRES_PORT: Final = 5432
REDIS_PORT: Final = 6379
HTTPS: Final = 443


def own_flows() -> list[Flow]:
    """Within the namespace pods ask each other on any port; what is let in, the service that is asked says."""
    return [Flow("within", "egress", [Pods()])]


def tenant_flows(
    reaches: Iterable[Reach],
    *,
    postgres: str,
    redis: str,
    object_store: Flow,
) -> list[Flow]:
    """Every flow of a tenant's namespace.

    A pod gets a reach only if its tenant is permitted and it asks by label: one of the two is not enough.

    Args:
        reaches: What the tenant is permitted.
        postgres: Address of the region's PostgreSQL, without a prefix length.
        redis: Address of the region's Redis.
        object_store: How a pod that asks by label gets to the object store; see `ObjectStore.consumer_flow`.
    """
    permitted = set(reaches)
    flows = [
        *mesh_flows(),
        *own_flows(),
        Flow("ingress", "ingress", [Pods(INGRESS)], [INBOUND_PORT]),
    ]
    if "databases" in permitted:
        asked = reach_label("databases")
        flows += [
            Flow("to-postgres", "egress", [Addresses(f"{postgres}/32")], [POSTGRES_PORT], asked),
            Flow("to-redis", "egress", [Addresses(f"{redis}/32")], [REDIS_PORT], asked),
        ]
    if "object-store" in permitted:
        flows.append(object_store)
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
        Flow("authentication", "ingress", [Pods(INGRESS)], [authentication_port, INBOUND_PORT]),
        Flow("to-internet", "egress", [INTERNET], [HTTPS], reach_label("internet")),
    ]
