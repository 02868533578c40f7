"""Tenants of config/tenants.yaml as components take them: what each namespace gets from every layer below."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pulumi

from components.ingress import authenticated
from components.layer import Flow
from components.mesh import metrics_policy
from components.network import AddressPlan, Subnet
from components.policy import tenant_annotations, tenant_role_bindings
from components.secrets import Engine, store
from components.storage import TenantBucket, TenantBuckets
from components.tenancy import Environment, QuotaArgs, TenantArgs, namespace_of, tenant_flows

from .tenant_models import Quota, Tenant, TenantEnvironment

POSTGRES, REDIS = 1, 2
"""Numbers of the machines in a region's data subnet."""


def namespaces(tenants: Mapping[str, Tenant]) -> list[str]:
    """Of all tenants and environments."""
    return [namespace_of(name, environment) for name, tenant in tenants.items() for environment in tenant.environments]


def object_store_buckets(tenants: Mapping[str, Tenant]) -> list[TenantBuckets]:
    """Buckets of the object store, for those who have any."""
    return [
        TenantBuckets(
            name,
            environment,
            [TenantBucket(bucket, each.versioned, public=each.public) for bucket, each in block.buckets.items()],
        )
        for name, tenant in tenants.items()
        for environment, block in tenant.environments.items()
        if block.buckets
    ]


def tenant_args(
    name: str,
    tenant: Tenant,
    environment: Environment,
    block: TenantEnvironment,
    *,
    region: str,
    plan: AddressPlan,
    engine: Engine,
    object_store: Flow,
    object_store_secret: pulumi.Output[Mapping[str, str]] | None,
    authentication: str | None,
    protection: bool,
) -> TenantArgs:
    """A tenant's environment in one region.

    Args:
        name: The tenant.
        tenant: Its block of config/tenants.yaml.
        environment: Which of its environments.
        block: That environment's part.
        region: The region, for its share of GPUs.
        plan: The region's addresses.
        engine: Where secrets are kept.
        object_store: The flow to the object store.
        object_store_secret: Its credential there, if it has buckets.
        authentication: Who is asked about authenticated routes, if anybody is.
        protection: Whether the stack is protected.
    """
    namespace = namespace_of(name, environment)
    quota = _quota(block.quota, region)
    objects: list[Mapping[str, Any]] = [
        *store(engine, namespace, tenant.groups.admin),
        *tenant_role_bindings(
            namespace,
            environment,
            {"admin": tenant.groups.admin, "developer": tenant.groups.developer, "viewer": tenant.groups.viewer},
        ),
        *metrics_policy(namespace),
    ]
    if authentication is not None:
        objects.append(authenticated(namespace, authentication))
    args: TenantArgs = {
        "tenant": name,
        "environment": environment,
        "owner": tenant.owner,
        "quota": quota,
        "flows": tenant_flows(
            tenant.reaches,
            postgres=str(plan.machine(Subnet.DATA, POSTGRES)),
            redis=str(plan.machine(Subnet.DATA, REDIS)),
            object_store=object_store,
        ),
        "objects": objects,
        "annotations": tenant_annotations(block.hosts, tenant.reaches, quota["gpus"]),
        # Production holds what people use: its namespace goes in two steps.
        "protect": protection and environment == "production" and not block.unprotected,
    }
    if object_store_secret is not None:
        args["object_store"] = object_store_secret
    return args


def _quota(quota: Quota, region: str) -> QuotaArgs:
    return {
        "cpu": quota.cpu,
        "memory": quota.memory,
        "pods": quota.pods,
        "storage": quota.storage,
        "gpus": quota.gpus.get(region, 0),
    }


def authentication_port(address: str | None) -> int:
    """Where the authentication service listens, for the policies of the namespace ``platform``."""
    port = urlsplit(address or "").port
    return port or 4180
