"""The mesh: Linkerd with its chain of trust, and what namespaces need that are in it."""

from .chain import IDENTITY_ISSUER, ISSUER, TRUST_ROOTS, WEBHOOKS, cluster_issuer, identity_issuer, trust_roots, webhook
from .mesh import Mesh, MeshArgs
from .meshed import (
    ANNOTATIONS,
    CONTROL_PORTS,
    INBOUND_PORT,
    METRICS_AUTHENTICATION,
    PROXY_METRICS_PORT,
    control_plane_flows,
    mesh_flows,
    metrics_policy,
    to_control_plane,
)

__all__ = [
    "ANNOTATIONS",
    "CONTROL_PORTS",
    "IDENTITY_ISSUER",
    "INBOUND_PORT",
    "ISSUER",
    "METRICS_AUTHENTICATION",
    "PROXY_METRICS_PORT",
    "TRUST_ROOTS",
    "WEBHOOKS",
    "Mesh",
    "MeshArgs",
    "cluster_issuer",
    "control_plane_flows",
    "identity_issuer",
    "mesh_flows",
    "metrics_policy",
    "to_control_plane",
    "trust_roots",
    "webhook",
]
