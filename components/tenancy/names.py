"""Words that a tenant's objects are known by, in the cluster and in other layers' policies."""

from typing import Final, Literal

from ..storage import CONSUMERS

Environment = Literal["production", "staging"]
Reach = Literal["databases", "internet", "object-store", "kubernetes-api"]
"""What pods may be allowed to reach beside their own namespace."""

LABEL: Final = "hetzner-platform/"
TENANCY_LABEL: Final = f"{LABEL}tenancy"
TENANT_LABEL: Final = f"{LABEL}tenant"
ENVIRONMENT_LABEL: Final = f"{LABEL}environment"
OWNER_LABEL: Final = f"{LABEL}owner"

TENANT_NAMESPACES: Final = {TENANCY_LABEL: "tenant"}
"""Labels of every namespace of a tenant, and of no other."""

PLATFORM_NAMESPACE: Final = "platform"
"""Services that all tenants share, such as the one that is asked who somebody is."""

QUOTA: Final = "quota"
LIMITS: Final = "limits"
OBJECT_STORE_SECRET: Final = "object-store"  # noqa: S105 - the name of a Secret

LONGEST_TENANT: Final = 52
"""``<tenant>-production`` is a namespace's name, which is a DNS label of at most 63 characters."""


def namespace_of(tenant: str, environment: Environment) -> str:
    """The tenant's namespace of this environment."""
    return f"{tenant}-{environment}"


def priority_class(environment: Environment) -> str:
    """The priority class of its pods."""
    return f"tenant-{environment}"


def reach_label(reach: Reach) -> dict[str, str]:
    """The label by which a pod asks for it."""
    # The store lets in whoever has its label: that is its to name.
    return dict(CONSUMERS) if reach == "object-store" else {f"{LABEL}{reach}": "allowed"}
