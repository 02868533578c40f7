"""The platform's program without what runs in the clusters: `__main__.py` of projects whose tests are about machines and clouds.

What the layers do is the matter of tests/engine/test_platform.py; here they would cost minutes at every ``up``.
"""

from pathlib import Path

from components.cluster import K3sCluster
from components.layer import Layer, Workload
from stacks import layer_charts
from stacks.layers import Layers
from stacks.program import main


def nothing(layers: Layers, cluster: K3sCluster) -> list[Layer]:
    """Instead of `Layers.build`: no layer."""
    del layers, cluster
    return []


def nothing_requested(*_: object) -> dict[str, list[Workload]]:
    """Instead of `layer_charts.requested`: what is not installed needs no room."""
    return {}


if __name__ == "__main__":
    Layers.build, layer_charts.requested = nothing, nothing_requested
    main(Path(__file__).resolve().parent)
