"""Whom the ingress talks to."""

from typing import Final
from urllib.parse import urlsplit

from ..layer import Addresses, Flow, Pods, behind, from_prometheus, to_api_server
from ..mesh import PROXY_METRICS_PORT, to_control_plane
from ..tenancy import TENANT_NAMESPACES

HTTP_PORT: Final = 8000
HTTPS_PORT: Final = 8443
HEALTH_PORT: Final = 8080
METRICS_PORT: Final = 9100
"""Of the container; none is privileged."""


def flows(load_balancer_ip: str, forward_authentication: str | None = None, *, meshed: bool = True) -> list[Flow]:
    """In from the load balancer alone, out to the tenants' pods.

    Node ports are open on every address of a machine, and a machine keeps the sender's address when it passes a
    connection on to its own pod: this rule, on the pod, is what guards them.

    Args:
        load_balancer_ip: Its private address.
        forward_authentication: URL that is asked about requests; nobody is when None.
        meshed: Whether there is a proxy of the mesh beside it.
    """
    made = [
        Flow("load-balancer", "ingress", [Addresses(f"{load_balancer_ip}/32")], [HTTP_PORT, HTTPS_PORT]),
        from_prometheus(METRICS_PORT, *([PROXY_METRICS_PORT] if meshed else [])),
        to_api_server(),
        # Every port: which one an application has, its own policies say.
        Flow("tenants", "egress", [Pods(namespace_labels=TENANT_NAMESPACES)]),
    ]
    if meshed:
        made.append(to_control_plane())
    if forward_authentication is not None:
        url, peer = urlsplit(forward_authentication), behind(forward_authentication)
        port = url.port or (443 if url.scheme == "https" else 80)
        # Of a Service every port: its number need not be the pod's.
        made.append(Flow("authentication", "egress", [peer], [] if isinstance(peer, Pods) else [port]))
    return made
