"""The way in: Traefik behind the region's load balancer, open to Cloudflare's client certificate alone."""

from .chain import (
    AUTHENTICATED,
    CHAIN,
    IDENTITY_HEADERS,
    STRIPPED_HEADERS,
    authenticated,
    middlewares,
)
from .flows import TENANCY_LABEL, flows
from .ingress import ForwardAuthentication, Ingress, IngressArgs
from .settings import CERTIFICATES, dynamic_configuration, values

__all__ = [
    "AUTHENTICATED",
    "CERTIFICATES",
    "CHAIN",
    "IDENTITY_HEADERS",
    "STRIPPED_HEADERS",
    "TENANCY_LABEL",
    "ForwardAuthentication",
    "Ingress",
    "IngressArgs",
    "authenticated",
    "dynamic_configuration",
    "flows",
    "middlewares",
    "values",
]
