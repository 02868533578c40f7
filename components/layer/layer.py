"""The base of the components that live in a cluster."""

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeVar

import pulumi
import pulumi_kubernetes as kubernetes

from ..component import Component
from .flows import Flow, policies
from .requests import Workload, workloads
from .values import ChartPin, chart_values, merged, own_digest, own_path, own_values

LAYER_LABEL: Final = "hetzner-platform/layer"
_SECURITY: Final = "pod-security.kubernetes.io/"
_MESH_LABEL: Final = "config.linkerd.io/admission-webhooks"
_TIMEOUT: Final = 600
_HISTORY: Final = 5

_TYPED: Final[Mapping[tuple[str, str], Any]] = {
    ("networking.k8s.io/v1", "NetworkPolicy"): kubernetes.networking.v1.NetworkPolicy,
    ("v1", "ConfigMap"): kubernetes.core.v1.ConfigMap,
    ("v1", "LimitRange"): kubernetes.core.v1.LimitRange,
    ("v1", "ResourceQuota"): kubernetes.core.v1.ResourceQuota,
    ("v1", "Secret"): kubernetes.core.v1.Secret,
    ("v1", "Service"): kubernetes.core.v1.Service,
    ("v1", "ServiceAccount"): kubernetes.core.v1.ServiceAccount,
    ("apps/v1", "Deployment"): kubernetes.apps.v1.Deployment,
    ("node.k8s.io/v1", "RuntimeClass"): kubernetes.node.v1.RuntimeClass,
    ("policy/v1", "PodDisruptionBudget"): kubernetes.policy.v1.PodDisruptionBudget,
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): kubernetes.rbac.v1.ClusterRole,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): kubernetes.rbac.v1.ClusterRoleBinding,
    ("rbac.authorization.k8s.io/v1", "Role"): kubernetes.rbac.v1.Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): kubernetes.rbac.v1.RoleBinding,
    ("scheduling.k8s.io/v1", "PriorityClass"): kubernetes.scheduling.v1.PriorityClass,
}
"""Kinds that are made from manifests here; all others are custom resources."""

Part = TypeVar("Part", bound=pulumi.Resource)
"""A resource that belongs to a layer."""

Security = Literal["privileged", "baseline", "restricted"]


class Layer(Component):
    """A component in a cluster.

    Its parts come one after the other, in the order in which they are written, each waiting for the one before: a namespace
    before its policies, these before what they let talk, a kind's definition and its webhook before the first object of
    that kind. They go in the opposite order. It also keeps the paths through the graph few: Pulumi walks each of them when
    a deletion fails, so neither `abreast` nor ``deleted_with`` is for what many others come after.

    Args:
        kind, name, args, accepted, opts: As of a `Component`.
        after: What its first part waits for: the `ready_resources` of the layers below.
    """

    ready: pulumi.Output[bool]
    """Resolves once every part is available."""
    workloads: list[Workload]
    """What it runs, and what that requests."""

    def __init__(
        self,
        kind: str,
        name: str,
        args: Mapping[str, Any],
        accepted: type,
        opts: pulumi.ResourceOptions | None,
        after: Sequence[pulumi.Resource],
    ) -> None:
        super().__init__(kind, name, args, accepted, opts)
        self.label = name
        self.workloads = []
        self._last = list(after)
        self._abreast: list[pulumi.Resource] | None = None

    @property
    def ready_resources(self) -> list[pulumi.Resource]:
        """What a layer above waits for: the last part, which waited for all others."""
        return list(self._last)

    @contextmanager
    def abreast(self) -> Generator[None]:
        """Parts that are made in it do not wait for each other; what comes after waits for them all."""
        self._abreast = []
        try:
            yield
        finally:
            self._last, self._abreast = self._abreast or self._last, None

    def wait(self, **overrides: Any) -> pulumi.ResourceOptions:
        """Options of the next part: it waits for the one before it."""
        return self.child(depends_on=self._last, **overrides)

    def part(self, resource: Part) -> Part:
        """Count a resource, made with the options of `wait`, as the last part until now."""
        if self._abreast is None:
            self._last = [resource]
        else:
            self._abreast.append(resource)
        return resource

    def namespace(
        self,
        name: str,
        security: Security,
        *,
        flows: Sequence[Flow],
        meshed: bool = False,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        protect: bool = False,
    ) -> kubernetes.core.v1.Namespace:
        """A namespace whose pods must keep a Pod Security level, and talk to nobody but whom its flows name.

        The service account that pods get unless they name one carries no token.

        Args:
            name: Its name.
            security: Pod Security level, enforced.
            flows: What is let through.
            meshed: Whether the mesh may put its proxies into pods here. Where it may not, pods start without asking it.
            labels: Further labels.
            annotations: Annotations.
            protect: Whether Pulumi refuses to delete it.
        """
        levels = {f"{_SECURITY}{mode}": security for mode in ("enforce", "audit", "warn")}
        if not meshed:
            levels[_MESH_LABEL] = "disabled"
        namespace = self.part(
            kubernetes.core.v1.Namespace(
                f"{self.label}-{name}-namespace",
                metadata={
                    "name": name,
                    "labels": {LAYER_LABEL: self.label, **levels, **(labels or {})},
                    "annotations": dict(annotations or {}),
                },
                opts=self.wait(protect=protect or None),
            )
        )
        self.part(
            kubernetes.core.v1.ServiceAccountPatch(
                f"{self.label}-{name}-default-account",
                metadata={"name": "default", "namespace": name},
                automount_service_account_token=False,
                opts=self.wait(),
            )
        )
        self.admit(name, flows)
        return namespace

    def admit(self, namespace: str, flows: Sequence[Flow]) -> None:
        """Default deny in a namespace, and the flows that it allows."""
        for policy in policies(namespace, flows):
            self.manifest(policy)

    def manifest(self, manifest: Mapping[str, Any]) -> pulumi.CustomResource:
        """An object from its manifest; its Pulumi name is made of its kind, namespace and name.

        Args:
            manifest: ``apiVersion``, ``kind``, ``metadata`` with a name, and the rest, as YAML would say it.
        """
        metadata = manifest["metadata"]
        place = "-".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
        name = f"{self.label}-{place}-{_kebab(manifest['kind'])}"
        return self.part(_typed(manifest, name, self.wait()))

    def secret(
        self,
        namespace: str,
        name: str,
        texts: Mapping[str, pulumi.Input[str]] | pulumi.Output[Mapping[str, str]],
        *,
        type: str = "Opaque",
    ) -> kubernetes.core.v1.Secret:
        """A Secret of texts; it is secret in the state as well.

        Args:
            namespace: Where it is.
            name: Its name.
            texts: By key.
            type: As Kubernetes names it.
        """
        return self.part(
            kubernetes.core.v1.Secret(
                f"{self.label}-{namespace}-{name}-secret",
                metadata={"name": name, "namespace": namespace},
                type=type,
                string_data=pulumi.Output.secret(texts if isinstance(texts, pulumi.Output) else dict(texts)),
                opts=self.wait(),
            )
        )

    def install(
        self,
        chart: str,
        pin: ChartPin | None,
        namespace: str,
        *,
        values: Mapping[str, Any] | None = None,
        awaited: bool = True,
        timeout: int = _TIMEOUT,
    ) -> kubernetes.helm.v3.Release:
        """Install a pinned release of an upstream chart, or a chart of ours; the release is named as the chart.

        Args:
            chart: Its name; static values are in ``charts/values/<chart>.yaml``, or in the chart if it is ours.
            pin: Where it is, and which version; None for ours in ``charts/<chart>``.
            namespace: Where it goes; it must exist.
            values: What is laid over the static values. No secrets: charts are given the names of Secrets.
            awaited: Whether to wait until all of it is available.
            timeout: Seconds to wait for that.
        """
        given = merged(chart_values(chart), values or {})
        self.workloads += workloads(chart, merged(own_values(chart), given) if pin is None else given)
        return self.part(
            kubernetes.helm.v3.Release(
                f"{self.label}-{chart}",
                name=chart,
                **_where(chart, pin),
                namespace=namespace,
                values=given,
                skip_await=not awaited,
                timeout=timeout,
                max_history=_HISTORY,
                opts=self.wait(),
            )
        )

    def finish(self, outputs: Mapping[str, Any] | None = None) -> None:
        """Register the outputs, ``ready`` among them; the last line of a layer."""
        self.ready = pulumi.Output.all(*(part.urn for part in self._last)).apply(lambda _: True)
        self.register_outputs({**(outputs or {}), "ready": self.ready})


def _where(chart: str, pin: ChartPin | None) -> dict[str, Any]:
    """The arguments that tell a release where its chart is."""
    if pin is None:
        # A chart of ours has no version that says that it was edited.
        return {"chart": own_path(chart), "description": f"{chart} {own_digest(chart)}"}
    if pin["repository"].startswith("oci://"):
        return {"chart": f"{pin['repository'].rstrip('/')}/{chart}", "version": pin["version"]}
    return {"chart": chart, "repository_opts": {"repo": pin["repository"]}, "version": pin["version"]}


def _kebab(kind: str) -> str:
    """``NetworkPolicy`` as ``network-policy``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", kind).lower()


def _typed(manifest: Mapping[str, Any], name: str, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
    """The SDK's own class of the kind where it has one, so that its type is checked; a custom resource otherwise."""
    known = _TYPED.get((manifest["apiVersion"], manifest["kind"]))
    rest = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
    if known is kubernetes.core.v1.Secret:
        # Whoever wrote the manifest may have forgotten it.
        rest = {
            key: value if key in ("metadata", "type") else pulumi.Output.secret(value) for key, value in rest.items()
        }
    if known is not None:
        return known(name, **{_snake(key): value for key, value in rest.items()}, opts=opts)
    custom = {key: value for key, value in rest.items() if key != "metadata"}
    return kubernetes.apiextensions.CustomResource(
        name,
        api_version=manifest["apiVersion"],
        kind=manifest["kind"],
        metadata=manifest["metadata"],
        opts=opts,
        **custom,
    )


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
