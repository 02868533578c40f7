"""Gatekeeper, the constraints on what tenants run, and who may do what in the cluster."""

from collections.abc import Mapping, Sequence
from typing import Final, NotRequired, TypedDict

import pulumi

from ..component import check_arguments
from ..layer import ChartPin, Layer, from_api_server, from_prometheus, to_api_server, unpinned, within
from ..problem import refuse
from .constraints import EXEMPT_NAMESPACES, Enforcement, Rules, admission, config, constraints, problems
from .personas import cluster_roles, persona_bindings, persona_problems
from .templates import constraint_templates

NAMESPACE: Final = "gatekeeper-system"
CHART: Final = "gatekeeper"
_WEBHOOK_PORT: Final = 8443
_METRICS_PORT: Final = 8888
_UNMANAGED: Final = {"admission.gatekeeper.sh/ignore": "no-self-managing"}


class PolicyArgs(TypedDict):
    charts: Mapping[str, ChartPin]
    """Pin of ``gatekeeper``."""
    enforcement: Enforcement
    """``dryrun`` records, ``warn`` tells, ``deny`` refuses. What keeps tenants apart is always refused."""
    registries: Sequence[str]
    """Where tenants' images may come from: prefixes, each ending with ``/``."""
    overrides: NotRequired[Mapping[str, Enforcement]]
    """By kind of constraint, where it differs; none unless told."""
    personas: NotRequired[Mapping[str, Sequence[str]]]
    """Persona → groups as the API server knows them, for those that hold in the whole cluster; nobody unless told."""
    storage_classes: NotRequired[Sequence[str]]
    """What tenants' claims may be made of; the platform's two unless told."""
    exempt_namespaces: NotRequired[Sequence[str]]
    """Where tenants' rules do not hold; `EXEMPT_NAMESPACES` unless told."""


class Policy(Layer):
    """What tenants may run, and what people may do.

    The webhook fails open: one that fails closed can lock everybody out. What must hold while it is away is held by others:
    Pod Security, RBAC (what the ingress and the stores read is not a tenant's to write), quotas, network policies, and for
    the hosts of routes and for tenants' own network policies the API server itself, by admission policies that fail closed.

    Raises:
        ProblemsError: an override names no constraint or would weaken what keeps tenants apart, a registry does not end
            with ``/``, a persona is unknown, the chart is not pinned; nothing has been registered then.
    """

    def __init__(
        self,
        name: str,
        args: PolicyArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        check_arguments("Policy", name, args, PolicyArgs)
        personas = args.get("personas", {})
        namespaces = tuple(args.get("exempt_namespaces", EXEMPT_NAMESPACES))
        rules = Rules(
            args["enforcement"],
            tuple(args["registries"]),
            dict(args.get("overrides", {})),
            tuple(args.get("storage_classes", Rules.storage_classes)),
            namespaces,
        )
        found = [*problems(rules), *persona_problems(personas), *unpinned(args["charts"], [CHART])]
        refuse(f"Policy {name!r}", found)
        super().__init__("Policy", name, args, PolicyArgs, opts, after)
        for manifest in [*admission(namespaces), *cluster_roles()]:
            self.manifest(manifest)
        self._gatekeeper(args["charts"][CHART])
        for manifest in [
            *persona_bindings(personas),
            config(namespaces),
            *constraint_templates(),
            *constraints(rules),
        ]:
            self.manifest(manifest)
        self.finish()

    def _gatekeeper(self, pin: ChartPin) -> None:
        flows = [
            to_api_server(),
            from_api_server(_WEBHOOK_PORT),
            from_prometheus(_METRICS_PORT),
            # The release is done when its probe was answered by the webhook.
            *within("probe", _WEBHOOK_PORT),
        ]
        self.namespace(NAMESPACE, "restricted", flows=flows, labels=_UNMANAGED)
        self.install(CHART, pin, NAMESPACE)
