"""Models of config/tenants.yaml: who deploys to the clusters, how much they may have, whom they may reach."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, cast

from pydantic import BeforeValidator, Field

from components.problem import Problem
from components.tenancy import Environment, Reach

from .models import Model, Name

if TYPE_CHECKING:
    from .settings import Reader

TENANTS_FILE = "config/tenants.yaml"


def _as_text(value: object) -> object:
    """Kubernetes takes whole numbers as quantities too; truth values are ints in Python, and none."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Quantity = Annotated[str, BeforeValidator(_as_text)]
"""As Kubernetes writes it; `tenant_checks` says whether it is one."""


class Quota(Model):
    """What all pods of a tenant's environment may have together."""

    cpu: Quantity
    """Requested cores: ``2`` or ``500m``."""
    memory: Quantity
    """Memory that its containers are limited to: ``4Gi``."""
    pods: Annotated[int, Field(ge=1, le=500)] = 20
    """Pods at a time."""
    storage: Quantity = "10Gi"
    """Size of all its volumes together."""
    gpus: dict[Name, Annotated[int, Field(ge=0, le=8)]] = {}
    """By region: GPUs; none where nothing is said."""


class Bucket(Model):
    """A bucket of the clusters' object store."""

    public: bool = False
    """Never true: see docs/tenants.md."""
    versioned: bool = True
    """Whether what is overwritten or deleted can be had back."""


class TenantEnvironment(Model):
    """A tenant's production or staging, in every region."""

    quota: Quota
    hosts: list[str] = []
    """Names that lead to it, one label below the zone; no other tenant may have them."""
    buckets: dict[str, Bucket] = {}
    """Buckets by name; its own name is ``<tenant>-<environment>-<name>``."""
    unprotected: bool = False
    """Whether its namespace may be deleted: to be set and deployed before the environment is taken out."""


class Groups(Model):
    """Groups of people, as the identity provider names them, by what they may do."""

    admin: list[str] = []
    developer: list[str] = []
    viewer: list[str] = []


class Tenant(Model):
    """One tenant of config/tenants.yaml; its key is its name."""

    owner: Annotated[str, Field(min_length=1)]
    """The team that answers for it; becomes a label."""
    groups: Groups = Groups()
    repositories: Annotated[list[str], Field(min_length=1)]
    """Where its manifests come from."""
    reaches: list[Reach] = ["databases", "object-store"]
    """What its pods may ask to reach beside their own namespace."""
    environments: Annotated[dict[Environment, TenantEnvironment], Field(min_length=1)]
    """``production``, ``staging``, or both."""


@dataclass(frozen=True)
class TenantSettings:
    """config/tenants.yaml as it was read."""

    tenants: Mapping[str, Tenant] = field(default_factory=dict[str, Tenant])
    unreadable: frozenset[str] = frozenset()
    """Names of tenants whose block is wrong: their problems are told already."""


def read_tenants(reader: "Reader") -> TenantSettings:
    """config/tenants.yaml, with every problem remembered by ``reader``. An empty file is a platform without tenants."""
    document = reader.document(TENANTS_FILE)
    if document is None:
        return TenantSettings()
    if not isinstance(document, dict):
        reader.add(TENANTS_FILE, Problem("(file)", None, "holds no tenants", "write them by name: orders: {...}"))
        return TenantSettings()
    tenants: dict[str, Tenant] = {}
    unreadable: set[str] = set()
    for name, data in cast("dict[object, object]", document).items():
        tenant = reader.model(TENANTS_FILE, Tenant, data, str(name))
        if tenant is None:
            unreadable.add(str(name))
        else:
            tenants[str(name)] = tenant
    return TenantSettings(tenants, frozenset(unreadable))
