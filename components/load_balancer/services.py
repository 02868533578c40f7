"""What the load balancers listen on, where they pass it, and how they know that a target is healthy."""

from dataclasses import dataclass, field

INGRESS_HTTP_NODE_PORT = 30080
INGRESS_HTTPS_NODE_PORT = 30443
"""Node ports of the ingress controller; it must publish itself on exactly these."""

KUBERNETES_API = 6443


@dataclass(frozen=True)
class Service:
    """A TCP service of a load balancer."""

    name: str
    listen_port: int
    destination_port: int
    proxy_protocol: bool
    health_check: dict[str, object] = field(hash=False)
    """Shape of ``hcloud.LoadBalancerServiceHealthCheckArgs``; seconds."""


def _tcp(port: int) -> dict[str, object]:
    return {"protocol": "tcp", "port": port, "interval": 5, "timeout": 3, "retries": 2}


HTTP = Service("http", 80, INGRESS_HTTP_NODE_PORT, proxy_protocol=True, health_check=_tcp(INGRESS_HTTP_NODE_PORT))
HTTPS = Service("https", 443, INGRESS_HTTPS_NODE_PORT, proxy_protocol=True, health_check=_tcp(INGRESS_HTTPS_NODE_PORT))

API = Service(
    "api",
    KUBERNETES_API,
    KUBERNETES_API,
    proxy_protocol=False,
    health_check={
        "protocol": "http",
        "port": KUBERNETES_API,
        "interval": 3,
        "timeout": 2,
        "retries": 2,
        # 200 alone: Hetzner's default accepts redirects, and a server that answers 401 would prove nothing.
        "http": {"path": "/readyz", "tls": True, "status_codes": ["200"]},
    },
)
