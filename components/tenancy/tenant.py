"""Everything of one tenant in one environment."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from ..layer import Flow, Layer, Part
from ..mesh import ANNOTATIONS
from .limits import QuotaArgs, limits, priority_quota, quota
from .names import (
    ENVIRONMENT_LABEL,
    OBJECT_STORE_SECRET,
    OWNER_LABEL,
    TENANT_LABEL,
    TENANT_NAMESPACES,
    Environment,
    namespace_of,
)

LAYER: Final = "tenants"


class TenantArgs(TypedDict):
    """A tenant in an environment of one region."""

    tenant: str
    """Its name: a DNS label of at most 52 characters."""
    environment: Environment
    owner: str
    """The team that answers for it; a label's value."""
    quota: QuotaArgs
    flows: Sequence[Flow]
    """See `tenant_flows`."""
    objects: NotRequired[Sequence[Mapping[str, Any]]]
    """Manifests that other layers give it: secret store, role bindings, middleware, constraints; in its namespace or in none."""
    object_store: NotRequired[Mapping[str, pulumi.Input[str]] | pulumi.Output[Mapping[str, str]]]
    """Content of its Secret ``object-store``; it is secret from here on. None of it: no such Secret."""
    annotations: NotRequired[Mapping[str, str]]
    """Of its namespace, beside those of the mesh."""
    protect: NotRequired[bool]
    """Whether Pulumi refuses to delete its namespace; false unless told."""


class Tenant(Layer):
    """The namespace ``<tenant>-<environment>`` and all that is in it.

    It is all deleted by deleting the namespace: pods never stand there without their policies because these went first.
    Constraints on the namespace are in none; they go after it.

    Args:
        name: Pulumi name, unique among tenants; its children are named by their namespace.
        after: What the namespace waits for.
    """

    namespace_name: str
    """``<tenant>-<environment>``."""

    def __init__(
        self,
        name: str,
        args: TenantArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        super().__init__("Tenant", name, args, TenantArgs, opts, after)
        self.label = LAYER
        self.namespace_name = namespace_of(args["tenant"], args["environment"])
        self._namespace: pulumi.Resource | None = None
        objects = args.get("objects", ())
        for manifest in objects:
            if "namespace" not in manifest["metadata"]:
                self.manifest(manifest)
        self.namespace(
            self.namespace_name,
            "restricted",
            flows=args["flows"],
            meshed=True,
            labels={
                **TENANT_NAMESPACES,
                TENANT_LABEL: args["tenant"],
                ENVIRONMENT_LABEL: args["environment"],
                OWNER_LABEL: args["owner"],
            },
            annotations={**ANNOTATIONS, **args.get("annotations", {})},
            protect=args.get("protect", False),
        )
        self.manifest(quota(self.namespace_name, args["quota"]))
        self.manifest(priority_quota(self.namespace_name, args["environment"]))
        self.manifest(limits(self.namespace_name, args["quota"]))
        with self.abreast():
            for manifest in objects:
                if "namespace" in manifest["metadata"]:
                    self.manifest(manifest)
            if "object_store" in args:
                self.secret(self.namespace_name, OBJECT_STORE_SECRET, args["object_store"])
        self.finish()

    def part(self, resource: Part) -> Part:
        """As of every layer; the namespace is remembered."""
        if isinstance(resource, kubernetes.core.v1.Namespace):
            self._namespace = resource
        return super().part(resource)

    def wait(self, **overrides: Any) -> pulumi.ResourceOptions:
        """As of every layer; what comes after the namespace goes with it."""
        return super().wait(**overrides, deleted_with=self._namespace)
