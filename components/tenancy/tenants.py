"""All tenants of a region, and what they share."""

from collections.abc import Sequence
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from ..layer import Flow, Layer
from ..mesh import ANNOTATIONS
from .names import OWNER_LABEL, PLATFORM_NAMESPACE, TENANCY_LABEL, Environment, namespace_of, priority_class
from .tenant import LAYER, Tenant, TenantArgs

PRIORITIES: Final[dict[Environment, tuple[int, str, str]]] = {
    "production": (1000, "PreemptLowerPriority", "Tenants' services that people use."),
    # Staging waits for room; it takes none from anybody.
    "staging": (100, "Never", "Tenants' services that are tried out."),
}


class TenantsArgs(TypedDict):
    """The tenants of a region."""

    tenants: Sequence[TenantArgs]
    """One entry per tenant and environment; their order means nothing."""
    platform_flows: Sequence[Flow]
    """Of the namespace ``platform``; see `platform_flows`."""
    platform_owner: NotRequired[str]
    """Who answers for the namespace ``platform``; ``platform`` unless told."""


class Tenants(Layer):
    """The priority classes, the namespace ``platform``, and a `Tenant` for each tenant and environment.

    A tenant waits for what tenants share, not for another tenant: adding or removing one touches no other. For the same
    reason what comes above waits for what they share (`ready_resources`), not for the tenants.
    """

    namespaces: list[str]
    """Names of the tenants' namespaces, sorted."""

    def __init__(
        self,
        name: str,
        args: TenantsArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        super().__init__("Tenants", name, args, TenantsArgs, opts, after)
        self.label = LAYER
        for environment in PRIORITIES:
            self.manifest(_priority(environment))
        self.namespace(
            PLATFORM_NAMESPACE,
            "restricted",
            flows=args["platform_flows"],
            meshed=True,
            labels={TENANCY_LABEL: "platform", OWNER_LABEL: args.get("platform_owner", "platform")},
            annotations=ANNOTATIONS,
        )
        made = [self._tenant(each) for each in args["tenants"]]
        self.namespaces = sorted(tenant.namespace_name for tenant in made)
        self.finish()

    def _tenant(self, args: TenantArgs) -> Tenant:
        name = f"{LAYER}-{namespace_of(args['tenant'], args['environment'])}"
        return Tenant(name, args, self.child(), after=self.ready_resources)


def _priority(environment: Environment) -> dict[str, Any]:
    value, preemption, description = PRIORITIES[environment]
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": priority_class(environment)},
        "value": value,
        "preemptionPolicy": preemption,
        "description": description,
    }
