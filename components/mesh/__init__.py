"""The mesh: Linkerd with its chain of trust, and what namespaces need that are in it."""

from .chain import IDENTITY_ISSUER, ISSUER, TRUST_ROOTS, WEBHOOKS, cluster_issuer, identity_issuer, trust_roots, webhook
from .mesh import Mesh, MeshArgs
from .meshed import ANNOTATIONS, CONTROL_PORTS, INBOUND_PORT, control_plane_flows, mesh_flows, metrics_policy

__all__ = [
    "ANNOTATIONS",
    "CONTROL_PORTS",
    "IDENTITY_ISSUER",
    "INBOUND_PORT",
    "ISSUER",
    "TRUST_ROOTS",
    "WEBHOOKS",
    "Mesh",
    "MeshArgs",
    "cluster_issuer",
    "control_plane_flows",
    "identity_issuer",
    "mesh_flows",
    "metrics_policy",
    "trust_roots",
    "webhook",
]
