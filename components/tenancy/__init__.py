"""Tenants: a namespace for each environment, what they may have, whom they may reach."""

from .flows import platform_flows, tenant_flows
from .limits import QuotaArgs
from .names import (
    ENVIRONMENT_LABEL,
    LONGEST_TENANT,
    OBJECT_STORE_SECRET,
    PLATFORM_NAMESPACE,
    TENANT_NAMESPACES,
    Environment,
    Reach,
    namespace_of,
    priority_class,
    reach_label,
)
from .tenant import Tenant, TenantArgs
from .tenants import Tenants, TenantsArgs

__all__ = [
    "ENVIRONMENT_LABEL",
    "LONGEST_TENANT",
    "OBJECT_STORE_SECRET",
    "PLATFORM_NAMESPACE",
    "TENANT_NAMESPACES",
    "Environment",
    "QuotaArgs",
    "Reach",
    "Tenant",
    "TenantArgs",
    "Tenants",
    "TenantsArgs",
    "namespace_of",
    "platform_flows",
    "priority_class",
    "reach_label",
    "tenant_flows",
]
