"""What a namespace needs whose pods are in the mesh: flows, annotations, and leave for Prometheus to read the proxies."""

from collections.abc import Mapping, Sequence
from typing import Final

from ..layer import MONITORING, Flow, Pods, from_api_server, from_prometheus, to_api_server, within
from .chain import NAMESPACE, Manifest

CONTROL_PORTS: Final = (8080, 8086, 8090)
"""Identity, destination and policy of the control plane: what proxies ask."""
INBOUND_PORT: Final = 4143
"""Where a proxy receives what other proxies carry as it is, whatever port it was sent to."""
PROXY_METRICS_PORT: Final = 4191
METRICS_AUTHENTICATION: Final = "proxy-metrics"
"""What `metrics_policy` makes in each namespace: Prometheus is not in the mesh, and services name it for their own figures."""
_WEBHOOK_PORTS: Final = (8443, 9443)
"""Containers' ports: injector and service profiles' validator; policies' validator."""
_ADMIN_PORTS: Final = (9990, 9995, 9996, 9997)
"""Metrics of identity and policy, injector, destination, service profiles' validator."""

ANNOTATIONS: Final[Mapping[str, str]] = {
    "linkerd.io/inject": "enabled",
    # Read by a proxy when it starts: a service is reached by whom its own policy names, and by nobody else.
    "config.linkerd.io/default-inbound-policy": "deny",
}
"""Of a namespace of tenants."""


def to_control_plane() -> Flow:
    """What every proxy asks for, whatever else is let through."""
    return Flow("mesh-control", "egress", [Pods(NAMESPACE)], CONTROL_PORTS)


def mesh_flows() -> list[Flow]:
    """What every meshed pod needs beside its own: its proxy gets identity, routes and rules, talks to other proxies of the
    namespace, and hands its figures out.
    """
    return [
        to_control_plane(),
        Flow("mesh-metrics", "ingress", [Pods(MONITORING)], [PROXY_METRICS_PORT]),
        *within("mesh", INBOUND_PORT),
    ]


def metrics_policy(namespace: str, networks: Sequence[str] = ("0.0.0.0/0",)) -> list[Manifest]:
    """Lets what is not meshed read the proxies' metrics, and nothing else; which pods reach the port, the flows say.

    Args:
        namespace: Whose proxies.
        networks: Of the pods that read.
    """
    name = METRICS_AUTHENTICATION
    metadata = {"name": name, "namespace": namespace}
    server: Manifest = {"podSelector": {}, "port": PROXY_METRICS_PORT, "proxyProtocol": "HTTP/1"}
    target = {"group": "policy.linkerd.io", "kind": "Server", "name": name}
    allowed = {"group": "policy.linkerd.io", "kind": "NetworkAuthentication", "name": name}
    return [
        {"apiVersion": "policy.linkerd.io/v1beta3", "kind": "Server", "metadata": metadata, "spec": server},
        {
            "apiVersion": "policy.linkerd.io/v1alpha1",
            "kind": "NetworkAuthentication",
            "metadata": metadata,
            "spec": {"networks": [{"cidr": network} for network in networks]},
        },
        {
            "apiVersion": "policy.linkerd.io/v1alpha1",
            "kind": "AuthorizationPolicy",
            "metadata": metadata,
            "spec": {"targetRef": target, "requiredAuthenticationRefs": [allowed]},
        },
    ]


def control_plane_flows() -> list[Flow]:
    """Of the namespace ``linkerd``: any proxy may ask; whom it answers, a proxy's token and certificate say."""
    everybody = Pods(namespace_labels={})
    return [
        Flow("from-proxies", "ingress", [everybody], [*CONTROL_PORTS, INBOUND_PORT]),
        from_api_server(*_WEBHOOK_PORTS),
        from_prometheus(PROXY_METRICS_PORT, *_ADMIN_PORTS),
        Flow("within-out", "egress", [Pods()], [*CONTROL_PORTS, INBOUND_PORT]),
        to_api_server(),
    ]
