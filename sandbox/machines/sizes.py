"""What a machine offers to pods: its size, less what its kubelet keeps back."""

import re
from typing import Final

from .configuration import K3sConfig
from .facts import Size

_KERNEL: Final = 0.04
"""Of the memory, what firmware and kernel take: a machine of 8 GB tells about 7.7 GiB."""
_EVICTION_BYTES: Final = 100 * 2**20
"""The kubelet's default threshold ``memory.available``."""
_EVICTION_DISK: Final = 0.1
_PODS: Final = "110"
_SCALES: Final = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)([a-zA-Z]*)")
_EVICTION: Final = re.compile(r"memory\.available<(\d+(?:\.\d+)?[a-zA-Z]*)")


def capacity(size: Size, config: K3sConfig) -> dict[str, str]:
    """All that the machine has, as quantities."""
    return {
        "cpu": str(size.cores),
        "memory": f"{int(size.memory_gb * (1 - _KERNEL) * 2**20)}Ki",
        "ephemeral-storage": f"{size.disk_gb * 10**9 // 2**10}Ki",
        "pods": config.argument("kubelet", "max-pods") or _PODS,
    }


def allocatable(size: Size, config: K3sConfig) -> dict[str, str]:
    """What pods may request of it: without the kubelet's reservations and its eviction threshold."""
    reserved = [_reserved(config.argument("kubelet", f"{who}-reserved")) for who in ("kube", "system")]
    cpu = size.cores * 1000 - sum(_millicores(each.get("cpu", "0")) for each in reserved)
    found = _EVICTION.search(config.argument("kubelet", "eviction-hard"))
    kept = _bytes(found[1]) if found else _EVICTION_BYTES
    memory = (
        int(size.memory_gb * (1 - _KERNEL) * 2**30) - kept - sum(_bytes(each.get("memory", "0")) for each in reserved)
    )
    return {
        **capacity(size, config),
        "cpu": f"{cpu}m",
        "memory": f"{memory // 2**10}Ki",
        "ephemeral-storage": f"{int(size.disk_gb * 10**9 * (1 - _EVICTION_DISK)) // 2**10}Ki",
    }


def gibibytes(quantity: str) -> int:
    """A quantity of storage in whole GiB, rounded up."""
    return -(-_bytes(quantity) // 2**30)


def _reserved(text: str) -> dict[str, str]:
    """``cpu=250m,memory=512Mi``."""
    return {key: value for key, _, value in (part.partition("=") for part in text.split(",")) if value}


def _millicores(quantity: str) -> int:
    return int(quantity[:-1]) if quantity.endswith("m") else int(float(quantity) * 1000)


def _bytes(quantity: str) -> int:
    found = _QUANTITY.fullmatch(quantity)
    if found is None or found[2] not in _SCALES:
        raise ValueError(f"{quantity!r} is no quantity of bytes")
    return int(float(found[1]) * _SCALES[found[2]])
