"""Whom the ingress talks to."""

import re
from typing import Final
from urllib.parse import urlsplit

from ..layer import INTERNET, Addresses, Flow, Pods, from_prometheus, to_api_server
from ..mesh import PROXY_METRICS_PORT, to_control_plane
from ..tenancy import TENANT_NAMESPACES

HTTP_PORT: Final = 8000
HTTPS_PORT: Final = 8443
HEALTH_PORT: Final = 8080
METRICS_PORT: Final = 9100
"""Of the container; none is privileged."""

_IN_CLUSTER: Final = re.compile(r"[a-z0-9-]+\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?\.?")


def service_namespace(address: str) -> str | None:
    """The namespace that a URL leads to; None when it leads out of the cluster."""
    found = _IN_CLUSTER.fullmatch(urlsplit(address).hostname or "")
    return found[1] if found else None


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
        url = urlsplit(forward_authentication)
        namespace = service_namespace(forward_authentication)
        if namespace is None:
            port = url.port or (443 if url.scheme == "https" else 80)
            made.append(Flow("authentication", "egress", [INTERNET], [port]))
        else:
            # Every port: the Service's number need not be the pod's.
            made.append(Flow("authentication", "egress", [Pods(namespace)]))
    return made
