"""The Prometheus operator's definitions, and metrics-server."""

from collections.abc import Mapping, Sequence
from typing import Final, TypedDict

import pulumi

from ..component import check_arguments
from ..layer import ChartPin, Layer, unpinned
from ..problem import refuse

_SYSTEM: Final = "kube-system"
CHARTS: Final = ("prometheus-operator-crds", "metrics-server")


class MetricsArgs(TypedDict):
    charts: Mapping[str, ChartPin]
    """Pins of ``prometheus-operator-crds`` and ``metrics-server``."""


class Metrics(Layer):
    """``kubectl top`` and the autoscalers' CPU and memory, and the kinds ServiceMonitor, PodMonitor and their like, which
    charts of later layers make long before a Prometheus reads them.

    kube-system's own policies let metrics-server talk: they are the cluster network's.

    Raises:
        ProblemsError: a chart is not pinned; nothing has been registered then.
    """

    def __init__(
        self,
        name: str,
        args: MetricsArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        check_arguments("Metrics", name, args, MetricsArgs)
        charts = args["charts"]
        refuse(f"Metrics {name!r}", unpinned(charts, CHARTS))
        super().__init__("Metrics", name, args, MetricsArgs, opts, after)
        for chart in CHARTS:
            self.install(chart, charts[chart], _SYSTEM)
        self.finish()
