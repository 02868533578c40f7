"""The base of the components that live in a cluster."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

import pulumi
import pulumi_kubernetes as kubernetes

from ..component import Component
from .values import ChartPin, chart_values, merged

LAYER_LABEL: Final = "hetzner-platform/layer"
_SECURITY: Final = "pod-security.kubernetes.io/"
_TIMEOUT: Final = 600
_HISTORY: Final = 5

_Resource = TypeVar("_Resource", bound=pulumi.Resource)

Security = Literal["privileged", "baseline", "restricted"]


class Layer(Component):
    """A component in a cluster.

    Args:
        kind, name, args, accepted, opts: As of a `Component`.
        after: What its parts wait for: the `ready_resources` of the layers below.
    """

    ready: pulumi.Output[bool]
    """Resolves once every part is available."""

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
        self._after = list(after)
        self._parts: list[pulumi.Resource] = []

    @property
    def ready_resources(self) -> list[pulumi.Resource]:
        """What a layer above waits for: every part of this one."""
        return list(self._parts)

    def wait(self, *others: pulumi.Resource, **overrides: Any) -> pulumi.ResourceOptions:
        """Options of a part: it waits for the layers below, and for ``others``."""
        return self.child(depends_on=[*self._after, *others], **overrides)

    def part(self, resource: _Resource) -> _Resource:
        """Count a resource among the parts that must be there before this layer is ready."""
        self._parts.append(resource)
        return resource

    def namespace(
        self,
        name: str,
        security: Security,
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> kubernetes.core.v1.Namespace:
        """A namespace whose pods must keep a Pod Security level."""
        levels = {f"{_SECURITY}{mode}": security for mode in ("enforce", "audit", "warn")}
        return self.part(
            kubernetes.core.v1.Namespace(
                f"{self.label}-{name}-namespace",
                metadata={
                    "name": name,
                    "labels": {LAYER_LABEL: self.label, **levels, **(labels or {})},
                    "annotations": dict(annotations or {}),
                },
                opts=self.wait(),
            )
        )

    def install(
        self,
        chart: str,
        pin: ChartPin,
        namespace: pulumi.Input[str],
        *,
        values: Mapping[str, Any] | None = None,
        needs: Sequence[pulumi.Resource] = (),
        awaited: bool = True,
        timeout: int = _TIMEOUT,
    ) -> kubernetes.helm.v3.Release:
        """Install a pinned release of an upstream chart, named as the chart.

        Args:
            chart: Its name; static values are in ``charts/values/<chart>.yaml``.
            pin: Where it is, and which version.
            namespace: Where it goes; it must exist.
            values: What is laid over the static values. No secrets: charts are given the names of Secrets.
            needs: What must be there before, such as its namespace.
            awaited: Whether to wait until all of it is available.
            timeout: Seconds to wait for that.
        """
        oci = pin["repository"].startswith("oci://")
        return self.part(
            kubernetes.helm.v3.Release(
                f"{self.label}-{chart}",
                name=chart,
                chart=f"{pin['repository'].rstrip('/')}/{chart}" if oci else chart,
                repository_opts=None if oci else {"repo": pin["repository"]},
                version=pin["version"],
                namespace=namespace,
                values=merged(chart_values(chart), values or {}),
                skip_await=not awaited,
                timeout=timeout,
                max_history=_HISTORY,
                opts=self.wait(*needs),
            )
        )

    def finish(self, outputs: Mapping[str, Any] | None = None) -> None:
        """Register the outputs, ``ready`` among them; the last line of a layer."""
        self.ready = pulumi.Output.all(*(part.urn for part in self._parts)).apply(lambda _: True)
        self.register_outputs({**(outputs or {}), "ready": self.ready})
