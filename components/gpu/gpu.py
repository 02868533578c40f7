"""NVIDIA's device plugin and metrics exporter, and the RuntimeClass."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

from ..component import check_arguments
from ..layer import ChartPin, Layer
from ..problem import refuse
from .objects import NAMESPACE, device_plugin_values, flows, problems, runtime_class


class GpuArgs(TypedDict):
    charts: Mapping[str, ChartPin]
    """Pins of ``nvidia-device-plugin`` and ``dcgm-exporter``."""
    time_slicing: NotRequired[int]
    """How many pods share each GPU; 1, which shares none, unless told."""
    service_monitor: NotRequired[bool]
    """Whether Prometheus is told of the exporter; not unless told, since there may be no Prometheus."""


class Gpu(Layer):
    """A pod that asks for ``nvidia.com/gpu`` with ``runtimeClassName: nvidia`` gets a GPU (or a share of one).

    Drivers and NVIDIA's container toolkit are the machine's (docs/gpu.md). For both kinds of GPU machines: all that
    counts is the label ``nvidia.com/gpu=present``.

    Raises:
        ProblemsError: a number of shares that makes no sense, or a chart that is not pinned; nothing has been registered then.
    """

    def __init__(
        self,
        name: str,
        args: GpuArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        check_arguments("Gpu", name, args, GpuArgs)
        time_slicing, charts = args.get("time_slicing", 1), args["charts"]
        refuse(f"Gpu {name!r}", problems(time_slicing, charts))
        super().__init__("Gpu", name, args, GpuArgs, opts, after)
        # Device nodes of the machine, and NVML's own capabilities.
        self.namespace(NAMESPACE, "privileged", flows=flows())
        self.manifest(runtime_class())
        self.install(
            "nvidia-device-plugin",
            charts["nvidia-device-plugin"],
            NAMESPACE,
            values=device_plugin_values(time_slicing),
        )
        self.install(
            "dcgm-exporter",
            charts["dcgm-exporter"],
            NAMESPACE,
            values={"serviceMonitor": {"enabled": args.get("service_monitor", False)}},
        )
        self.finish()
