"""GPUs for pods: how a pod asks for one, who may, and what they are doing."""

from .gpu import Gpu, GpuArgs
from .objects import GPU_LABEL, GPU_VALUE, NAMESPACE, RUNTIME_CLASS, device_plugin_values, flows, runtime_class

__all__ = [
    "GPU_LABEL",
    "GPU_VALUE",
    "NAMESPACE",
    "RUNTIME_CLASS",
    "Gpu",
    "GpuArgs",
    "device_plugin_values",
    "flows",
    "runtime_class",
]
