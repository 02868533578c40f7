"""The layers of a region's cluster: which charts each installs, and so what each requests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from components.layer import Workload, chart_values, own_values, workloads

from .models import Prices, Region
from .nodes import gpu_pools
from .platform_models import Platform

K3S: Final = (Workload("coredns", "Deployment", 1, 100, 70),)
"""What k3s itself runs beside its own processes (its manifest coredns.yaml)."""

CHARTS: Final[Mapping[str, Sequence[str]]] = {
    "cluster network": ("cilium", "hcloud-cloud-controller-manager"),
    "metrics": ("prometheus-operator-crds", "metrics-server"),
    "block storage": ("hcloud-csi", "longhorn"),
    "certificates": ("cert-manager", "trust-manager"),
    "secrets": ("external-secrets", "reloader"),
    "mesh": ("linkerd2-cni", "linkerd-crds", "linkerd-control-plane"),
    "ingress": ("traefik",),
    "object store": (),
    "gpu": (),
    "policy": ("gatekeeper",),
}
"""By layer, in the order in which they come up. Engines, object stores and GPUs add their own."""


OURS: Final = ("object-store",)
"""Charts of this repository: not pinned, for they are what stands in charts/."""


def charts(platform: Platform, *, with_gpu: bool) -> dict[str, list[str]]:
    """Charts by layer, upstream's and ours, as the configuration chooses."""
    chosen: dict[str, list[str]] = {layer: list(each) for layer, each in CHARTS.items()}
    if platform.secrets.engine == "openbao" or (
        platform.secrets.engine == "vault" and platform.secrets.address is None
    ):
        chosen["secrets"].append(platform.secrets.engine)
    if platform.object_store.kind != "hetzner":
        chosen["object store"].append({"silo": "object-store", "seaweedfs": "seaweedfs"}[platform.object_store.kind])
    if with_gpu:
        chosen["gpu"] += ["nvidia-device-plugin", "dcgm-exporter"]
    return chosen


def requested(region: Region, platform: Platform, prices: Prices) -> dict[str, list[Workload]]:
    """What each layer runs in a region."""
    found = {"k3s": list(K3S)}
    for layer, names in charts(platform, with_gpu=bool(gpu_pools(region, prices))).items():
        found[layer] = [workload for chart in names for workload in chart_workloads(chart)]
    if region.load_balancer.targets != "servers":
        # The ingress controller runs where the load balancer leads.
        found["ingress"] = [replace(each, on="agents") for each in found["ingress"]]
    return found


def chart_workloads(chart: str) -> list[Workload]:
    """What a chart runs with the values that never change; none of the others say how many or how large."""
    return workloads(chart, own_values(chart) if chart in OURS else chart_values(chart))
