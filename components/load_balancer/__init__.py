"""The region's load balancers: ingress (public) and Kubernetes API (private only)."""

from .load_balancer import ApiLoadBalancer, ApiLoadBalancerArgs, IngressLoadBalancer, IngressLoadBalancerArgs
from .services import INGRESS_HTTP_NODE_PORT, INGRESS_HTTPS_NODE_PORT

__all__ = [
    "INGRESS_HTTPS_NODE_PORT",
    "INGRESS_HTTP_NODE_PORT",
    "ApiLoadBalancer",
    "ApiLoadBalancerArgs",
    "IngressLoadBalancer",
    "IngressLoadBalancerArgs",
]
