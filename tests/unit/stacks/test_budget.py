"""What fits on a region's machines: pods are placed whole, and a platform that cannot be scheduled is refused with the pool to grow."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.cluster import k3s
from components.layer import Workload
from stacks import budget as budgets
from stacks import layer_charts
from stacks.budget import (
    Budget,
    Machine,
    Sum,
    budget,
    check_budget,
    offer,
    offered,
    place,
    region_budget,
    warn_of_budget,
)
from stacks.models import AutoscaledPool, CloudPool, Pool, Prices, Region
from stacks.settings import Settings


def machines(*sizes: tuple[int, int]) -> list[Machine]:
    return [Machine(f"m{number}", "general", cpu, memory) for number, (cpu, memory) in enumerate(sizes, 1)]


def deployment(name: str, replicas: int, cpu: int, memory: int, **others: Any) -> Workload:
    return Workload(name, "Deployment", replicas, cpu, memory, **others)


def test_what_no_single_machine_can_take_does_not_fit_even_if_the_sum_would() -> None:
    _, missing = place(machines((1000, 4096), (1000, 4096)), [deployment("big", 1, 500, 5000)])
    assert missing == ["big (0 of 1)"]


def test_daemons_take_their_part_of_every_machine_first() -> None:
    daemon = Workload("daemon", "DaemonSet", 0, 600, 100, "every")
    _, missing = place(machines((1000, 1000), (1000, 1000)), [deployment("app", 2, 500, 100), daemon])
    assert missing == ["app (0 of 2)"]


def test_pods_that_must_be_apart_need_a_machine_each_and_wait_for_a_lost_one() -> None:
    workload = [deployment("quorum", 3, 10, 10, apart=True)]
    assert place(machines((1000, 1000), (1000, 1000)), workload)[1] == ["quorum (2 of 3)"]
    assert place(machines((1000, 1000), (1000, 1000)), workload, apart=False)[1] == []


def test_pods_go_where_they_belong() -> None:
    there = [Machine("server", "server", 1000, 1000, server=True), Machine("gpu", "gpu", 1000, 1000, gpu=True)]
    _, missing = place(there, [deployment("app", 1, 10, 10), deployment("controller", 1, 10, 10, on="servers")])
    assert missing == ["app (0 of 1)"]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 900), st.integers(0, 900)), max_size=8))
def test_no_machine_gives_more_than_it_has(wanted: list[tuple[int, int, int]]) -> None:
    there = machines((1000, 1000), (700, 1500), (2000, 300))
    workloads = [deployment(f"w{number}", *each) for number, each in enumerate(wanted)]
    rooms, missing = place(there, workloads)
    assert all(room.cpu >= 0 and room.memory >= 0 for room in rooms)
    given_out = sum(room.machine.cpu - room.cpu for room in rooms)
    asked = sum(each.cpu * each.replicas for each in workloads)
    assert given_out <= asked
    assert (given_out == asked) or missing


def test_what_the_kubelet_keeps_is_what_machines_are_told() -> None:
    config = yaml.safe_load(yaml.safe_dump(k3s.agent_config(k3s.NodeSettings(), "token")))
    reserved = [each for each in config["kubelet-arg"] if "reserved" in each]
    assert reserved == ["kube-reserved=cpu=250m,memory=512Mi", "system-reserved=cpu=250m,memory=300Mi"]
    assert budgets.RESERVED_CPU == 250 + 250
    assert budgets.RESERVED_MEMORY == 512 + 300 + 100


@pytest.mark.parametrize("name", ["fsn1", "nbg1"])
def test_the_committed_platform_fits_with_one_agent_lost_and_leaves_three_quarters(
    name: str, settings: Settings
) -> None:
    found = region_budget(name, settings)
    assert found.verdict == "fits, and fits with one agent lost"
    cpu, memory = found.shares
    assert (cpu <= 0.25, memory <= 0.25) == (True, True), f"{cpu:.1%} CPU, {memory:.1%} memory"


def small(settings: Settings, **changes: Any) -> tuple[Region, Prices]:
    region = settings.regions["fsn1"]
    general = region.pools["general"].model_copy(update=changes)
    return region.model_copy(update={"pools": {**region.pools, "general": general}}), settings.prices


def test_a_platform_that_cannot_be_scheduled_is_refused_with_the_pool_to_grow(settings: Settings) -> None:
    region, prices = small(settings, type="cx23", nodes="1")
    found = budget("fsn1", region, prices, layer_charts.requested(region, settings.platform, prices))
    problems = list(check_budget(found, region))
    assert [problem.key for problem in problems] == ["fsn1.pools.general.nodes"]
    assert "cannot be scheduled: no machine has room for" in problems[0].problem


def test_a_platform_that_fits_only_as_long_as_nothing_breaks_is_told(settings: Settings) -> None:
    region, prices = small(settings, nodes="1-2")
    wanted = {"app": [deployment("app", 2, 4000, 8000)]}
    found = budget("fsn1", region, prices, wanted)
    assert list(check_budget(found, region)) == []
    assert [line.partition(":")[2] for line in warn_of_budget(found)] == [
        " with fsn1-general-1 lost there is no room for app (1 of 2): grow config/regions.yaml: fsn1.pools.general.nodes"
    ]


def test_quotas_beyond_what_is_left_are_told(settings: Settings) -> None:
    region, prices = small(settings)
    found = budget("fsn1", region, prices, {}, quotas=Sum(cpu=1_000_000, memory=1024))
    said = list(warn_of_budget(found))
    assert len(said) == 1
    assert said[0].startswith("fsn1: tenants may request 1000.0 CPU, but with fsn1-general-1 lost 15.0 are left")


# -- machines that are not for everybody


def with_pools(settings: Settings, **pools: Pool) -> Region:
    """The region fsn1 with three general machines, and these pools."""
    region = settings.regions["fsn1"]
    return region.model_copy(update={"pools": {"general": region.pools["general"], **pools}})


def cloud(**changes: Any) -> CloudPool:
    return CloudPool(kind="cloud", type="cx43", nodes="5-6", **changes)


def budget_of(settings: Settings, region: Region) -> Budget:
    requested = layer_charts.requested(region, settings.platform, settings.prices)
    return budget("fsn1", region, settings.prices, requested)


def test_a_pool_with_gpus_in_the_cloud_brings_the_layer_to_the_budget(settings: Settings) -> None:
    without = layer_charts.requested(with_pools(settings), settings.platform, settings.prices)
    assert without["gpu"] == []
    region = with_pools(settings, cards=cloud(gpus=1))
    brought = layer_charts.requested(region, settings.platform, settings.prices)["gpu"]
    assert sorted(each.name for each in brought if each.on == "gpu") == [
        "dcgm-exporter",
        "nvidia-device-plugin",
        "nvidia-device-plugin-gpu-feature-discovery",
        "nvidia-device-plugin-node-feature-discovery-worker",
    ]
    daemons = [each for each in brought if each.on == "gpu"]
    (row,) = (each for each in budget_of(settings, region).rows if each.layer == "gpu")
    # On each of the pool's two machines.
    assert row.gpu == Sum(2 * sum(each.cpu for each in daemons), 2 * sum(each.memory for each in daemons))


def test_machines_with_gpus_offer_general_pods_nothing(settings: Settings) -> None:
    plain, region = with_pools(settings), with_pools(settings, cards=cloud(gpus=1))
    cards = [each for each in offered("fsn1", region, settings.prices) if each.pool == "cards"]
    assert [(each.name, each.gpu, each.storage) for each in cards] == [
        ("fsn1-cards-5", True, False),
        ("fsn1-cards-6", True, False),
    ]
    before, after = budget("fsn1", plain, settings.prices, {}), budget("fsn1", region, settings.prices, {})
    assert (after.left, after.left_without_agent, after.lost) == (before.left, before.left_without_agent, before.lost)
    assert after.offered.agents == before.offered.agents
    assert after.offered.gpu == Sum(sum(each.cpu for each in cards), sum(each.memory for each in cards))
    # More than three general machines can take, and the two with GPUs could.
    wanted = [deployment("app", 4, 5000, 100)]
    assert budget("fsn1", region, settings.prices, {"app": wanted}).unplaced == ["app (3 of 4)"]
    # A tenant's pod with a GPU may be larger than what general machines have left.
    assert offer(after).cpu == offer(before).cpu + after.offered.gpu.cpu


def test_machines_closed_by_a_taint_offer_nothing(settings: Settings) -> None:
    plain, region = with_pools(settings), with_pools(settings, own=cloud(taints=["own=x:NoSchedule"]))
    wanted = {"app": [deployment("app", 4, 5000, 100)]}
    before, after = (budget("fsn1", each, settings.prices, wanted) for each in (plain, region))
    assert before.unplaced == ["app (3 of 4)"]
    assert after == before
    # Were they open they would take the fourth.
    open_ = with_pools(settings, own=cloud(taints=["own=x:PreferNoSchedule"]))
    assert budget("fsn1", open_, settings.prices, wanted).unplaced == []


def test_what_runs_on_every_machine_runs_on_closed_ones_too() -> None:
    there = [Machine("own", "own", 100, 100, closed=True), *machines((1000, 1000))]
    daemon = Workload("daemon", "DaemonSet", 0, 200, 10, "every")
    general = Workload("general", "DaemonSet", 0, 200, 10)
    assert place(there, [daemon, general])[1] == ["daemon (1 of 2)"]


def test_what_is_for_machines_with_gpus_is_not_placed_on_closed_ones() -> None:
    there = [Machine(name, name, 100, 100, gpu=True, closed=name == "own") for name in ("gpu", "own")]
    _, missing = place(there, [Workload("daemon", "DaemonSet", 0, 200, 10, "gpu")])
    assert missing == ["daemon (0 of 1)"]


def test_closed_machines_with_gpus_offer_none(settings: Settings) -> None:
    region = with_pools(settings, cards=cloud(gpus=1, taints=["own=x:NoExecute"]))
    found = budget_of(settings, region)
    assert found.offered.gpu == found.requested.gpu == Sum()


def test_closed_autoscaled_machines_help_nobody(settings: Settings) -> None:
    def more(**changes: Any) -> Sum:
        burst = AutoscaledPool(kind="autoscaled", type="cx43", min=0, max=2, **changes)
        return budget("fsn1", with_pools(settings, burst=burst), settings.prices, {}).autoscaled

    assert more().cpu == 2 * 7500
    assert more(taints=["own=x:NoSchedule"]) == Sum()


def test_the_pool_to_grow_is_not_a_closed_one(settings: Settings) -> None:
    region = with_pools(settings, other=cloud())
    closed = region.pools["general"].model_copy(update={"taints": ["own=x:NoSchedule"]})
    region = region.model_copy(update={"pools": {"general": closed, "other": region.pools["other"]}})
    found = budget("fsn1", region, settings.prices, {"app": [deployment("app", 1, 100_000, 1)]})
    assert found.lost == "fsn1-other-5"
    assert [problem.key for problem in check_budget(found, region)] == ["fsn1.pools.other.nodes"]
