"""The way in: Traefik behind the region's load balancer, open to Cloudflare's client certificate alone."""

from .chain import (
    AUTHENTICATED,
    CHAIN,
    IDENTITY_HEADERS,
    STRIPPED_HEADERS,
    authenticated,
    middlewares,
)
from .flows import flows
from .ingress import ForwardAuthentication, Ingress, IngressArgs, rate_problems
from .settings import CERTIFICATES, dynamic_configuration, values

__all__ = [
    "AUTHENTICATED",
    "CERTIFICATES",
    "CHAIN",
    "IDENTITY_HEADERS",
    "STRIPPED_HEADERS",
    "ForwardAuthentication",
    "Ingress",
    "IngressArgs",
    "authenticated",
    "dynamic_configuration",
    "flows",
    "middlewares",
    "rate_problems",
    "values",
]
