"""What the budget counts is what the regions install: the same charts, with the same replicas and requests."""

from typing import Any

import pytest

from components.layer import Workload, merged, own_values, workloads
from sandbox.deployment import Deployment
from stacks import layer_charts
from stacks.nodes import gpu_pools
from stacks.settings import Reader

from .conftest import Runner

RELEASE = "kubernetes:helm.sh/v3:Release"


def installed(deployment: Deployment) -> dict[str, list[Workload]]:
    """What each release of a region runs, by its own values as they were registered."""
    found: dict[str, list[Workload]] = {}
    for release in deployment.by_type(RELEASE):
        values = release.inputs.get("values") or {}
        name = release.inputs["name"]
        every = workloads(name, merged(own_values(name), values) if name in layer_charts.OURS else values)
        # What ends by itself holds its room for a moment only.
        found[name] = [workload for workload in every if workload.kind != "Job"]
    return found


def counted(runner: Runner, region: str) -> dict[str, list[Workload]]:
    """What the budget counts, by chart."""
    reader = Reader(runner.directory)
    settings = reader.settings()
    assert settings is not None
    with_gpu = bool(gpu_pools(settings.regions[region], settings.prices))
    names = [name for each in layer_charts.charts(settings.platform, with_gpu=with_gpu).values() for name in each]
    return {name: layer_charts.chart_workloads(name) for name in names}


@pytest.mark.parametrize(("stack", "region"), [("prod", "fsn1"), ("dr", "nbg1")])
def test_the_budget_counts_what_is_installed(
    stack: str, region: str, runner: Runner, committed: dict[str, Deployment]
) -> None:
    found = installed(committed[stack])
    assert "cilium" in found
    assert found == counted(runner, region)


CHOICES: dict[str, Any] = {
    "an object store of SeaweedFS, a vault in the cluster": {"object_store": "seaweedfs", "secrets": "vault"},
    "an object store of Hetzner's, secrets at AWS": {"object_store": "hetzner", "secrets": "aws"},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_the_budget_counts_what_is_chosen_instead(choice: str, runner: Runner) -> None:
    def change(platform: Any) -> None:
        chosen = CHOICES[choice]
        platform["object_store"]["kind"] = chosen["object_store"]
        if chosen["object_store"] == "hetzner":
            platform["object_store"] |= {"endpoint": "https://nbg1.your-objectstorage.com", "location": "nbg1"}
        platform["secrets"]["engine"] = chosen["secrets"]
        if chosen["secrets"] == "aws":
            platform["secrets"]["aws"] = {"region": "eu-central-1"}

    runner.edit("config/platform.yaml", change)
    assert installed(runner.run("dr")) == counted(runner, "nbg1")


def test_the_budget_would_notice_another_number_of_replicas(runner: Runner, committed: dict[str, Deployment]) -> None:
    found = installed(committed["dr"])
    spoilt = {**found, "cert-manager": [Workload("cert-manager", "Deployment", 9, 20, 96)]}
    assert spoilt != counted(runner, "nbg1")
