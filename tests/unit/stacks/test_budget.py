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
from stacks.budget import Machine, Sum, budget, check_budget, place, region_budget, warn_of_budget
from stacks.models import Prices, Region
from stacks.settings import Reader, Settings
from tests.unit.stacks.edited import ROOT


@pytest.fixture(scope="module")
def settings() -> Settings:
    reader = Reader(ROOT)
    found = reader.settings()
    reader.finish()
    assert found is not None
    return found


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
