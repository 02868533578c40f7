"""What a pool's machines are as Kubernetes nodes: the labels and taints that people write, and those that follow."""

import re
from typing import Final

from components.cluster import NodeArgs
from components.network.addresses import AddressError, parse_numbers

from .models import CloudPool, Node, Prices, Region, RobotPool

STORAGE_LABEL: Final = "node.longhorn.io/create-default-disk"
"""Longhorn makes a disk on machines with this label: static agents, which nobody removes by themselves."""
GPU_LABEL: Final = "nvidia.com/gpu"


def gpu_pools(region: Region, prices: Prices) -> dict[str, int]:
    """The region's pools whose machines have GPUs, and how many each machine has."""
    found: dict[str, int] = {}
    for name, pool in region.pools.items():
        if isinstance(pool, CloudPool):
            found[name] = pool.gpus
        elif isinstance(pool, RobotPool) and pool.model in prices.robot_models:
            found[name] = prices.robot_models[pool.model].gpus
    return {name: count for name, count in found.items() if count}


def gpu_shares(region: Region, prices: Prices) -> dict[str, int]:
    """How many pods take turns on each GPU of the region's pools that have GPUs."""
    pools = {name: region.pools[name] for name in gpu_pools(region, prices)}
    return {
        name: pool.gpu_sharing.pods_per_gpu for name, pool in pools.items() if isinstance(pool, CloudPool | RobotPool)
    }


def gpus_of(region: Region, prices: Prices) -> int:
    """How many GPUs, or shares of them, all machines of a region offer together."""
    shares = gpu_shares(region, prices)
    pools = {name: pool for name, pool in region.pools.items() if isinstance(pool, CloudPool | RobotPool)}
    return sum(count * shares[name] * _machines(pools[name].nodes) for name, count in gpu_pools(region, prices).items())


def repelling_taints(region: Region, pool: str, settings: Node, prices: Prices) -> list[str]:
    """Taints of a pool that keep pods off its machines which do not tolerate them."""
    taints = node(region, pool, settings, prices).get("taints", [])
    return [taint for taint in taints if taint.endswith((":NoSchedule", ":NoExecute"))]


def is_closed(region: Region, pool: str, settings: Node, prices: Prices) -> bool:
    """Whether a taint keeps off all pods of the platform and of tenants but those that run on every machine.

    GPU machines' own does not: who is meant to be there tolerates it.
    """
    tolerated = re.compile(rf"{GPU_LABEL}(=.*)?:NoSchedule") if pool in gpu_pools(region, prices) else None
    taints = repelling_taints(region, pool, settings, prices)
    return any(tolerated is None or not tolerated.fullmatch(taint) for taint in taints)


def _machines(nodes: str) -> int:
    """Numbers of a pool; none where its list is wrong, which is told elsewhere."""
    try:
        return len(parse_numbers(nodes))
    except AddressError:
        return 0


def node(region: Region, pool: str, settings: Node, prices: Prices) -> NodeArgs:
    """Labels and taints of a pool; what is written wins over what follows."""
    labels: dict[str, str] = {}
    taints = list(settings.taints)
    if pool in gpu_pools(region, prices):
        labels[GPU_LABEL] = "present"
        if not any(taint.startswith(f"{GPU_LABEL}=") for taint in taints):
            taints.append(f"{GPU_LABEL}=present:NoSchedule")
    elif isinstance(settings, CloudPool):
        labels[STORAGE_LABEL] = "true"
    return {"labels": {**labels, **settings.labels}, "taints": taints}
