"""What the GPU layer is made of, from plain data."""

from collections.abc import Mapping
from typing import Any, Final

import yaml

from ..layer import Flow, from_prometheus, to_api_server, unpinned
from ..problem import Problem

NAMESPACE: Final = "gpu"
RUNTIME_CLASS: Final = "nvidia"
"""Name of the RuntimeClass, and of the runtime that k3s finds on a machine with NVIDIA's container toolkit."""
GPU_LABEL: Final = "nvidia.com/gpu"
GPU_VALUE: Final = "present"
"""Label of machines with a GPU, and their taint (``NoSchedule``)."""
CHARTS: Final = ("nvidia-device-plugin", "dcgm-exporter")
MAX_REPLICAS: Final = 64
"""Beyond that a share of a GPU is too small for anything; a mistyped number more likely."""


def runtime_class() -> dict[str, Any]:
    """A pod that names it runs with NVIDIA's runtime, on a machine with a GPU, whose taint it tolerates.

    k3s would bring one of this name that knows nothing of machines; ours has ``runtimes`` disabled.
    """
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": RUNTIME_CLASS},
        "handler": RUNTIME_CLASS,
        "scheduling": {
            "nodeSelector": {GPU_LABEL: GPU_VALUE},
            "tolerations": [{"key": GPU_LABEL, "operator": "Exists", "effect": "NoSchedule"}],
        },
    }


def flows() -> list[Flow]:
    """The plugin and the feature discovery talk through the API, not to each other; Prometheus reads the exporter."""
    return [to_api_server(), from_prometheus(9400)]


def device_plugin_values(time_slicing: int) -> dict[str, Any]:
    """Values of the chart ``nvidia-device-plugin``.

    Args:
        time_slicing: How many pods share each GPU in turns, without walls between their memory; 1 for none.
    """
    if time_slicing == 1:
        return {}
    shared = {
        "version": "v1",
        "sharing": {
            "timeSlicing": {
                # Two shares are no more of a GPU than one: whoever asks for two is mistaken, and told so.
                "failRequestsGreaterThanOne": True,
                "resources": [{"name": GPU_LABEL, "replicas": time_slicing}],
            }
        },
    }
    return {"config": {"map": {"default": yaml.safe_dump(shared, sort_keys=False)}, "default": "default"}}


def problems(time_slicing: object, charts: Mapping[str, object]) -> list[Problem]:
    """What is wrong with the arguments of a ``Gpu``."""
    found: list[Problem] = []
    if not isinstance(time_slicing, int) or isinstance(time_slicing, bool) or not 1 <= time_slicing <= MAX_REPLICAS:
        remedy = f"write 1 (no sharing) to {MAX_REPLICAS}"
        found.append(Problem("time_slicing", time_slicing, "is no number of pods that share a GPU", remedy))
    return [*found, *unpinned(charts, CHARTS)]
