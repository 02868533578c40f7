"""What tenants may run, and who may do what."""

from .constraints import (
    BREAK_GLASS_GROUP,
    ENFORCEMENTS,
    EXEMPT_NAMESPACES,
    MESH_CALLERS,
    Enforcement,
    Rules,
    admission,
    config,
    constraints,
    isolation,
    problems,
)
from .escalation import Finding, escalations
from .marks import tenant_annotations
from .personas import (
    CLUSTER_PERSONAS,
    OPERATED_NAMESPACES,
    SYNC_ACCOUNT,
    TenantGroups,
    cluster_roles,
    persona_bindings,
    persona_problems,
    reserved_group,
    tenant_role_bindings,
)
from .policy import Policy, PolicyArgs
from .templates import constraint_templates, kind_of

__all__ = [
    "BREAK_GLASS_GROUP",
    "CLUSTER_PERSONAS",
    "ENFORCEMENTS",
    "EXEMPT_NAMESPACES",
    "MESH_CALLERS",
    "OPERATED_NAMESPACES",
    "SYNC_ACCOUNT",
    "Enforcement",
    "Finding",
    "Policy",
    "PolicyArgs",
    "Rules",
    "TenantGroups",
    "admission",
    "cluster_roles",
    "config",
    "constraint_templates",
    "constraints",
    "escalations",
    "isolation",
    "kind_of",
    "persona_bindings",
    "persona_problems",
    "problems",
    "reserved_group",
    "tenant_annotations",
    "tenant_role_bindings",
]
