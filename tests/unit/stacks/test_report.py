"""The preview's table of requests and its verdict, as people read them: what fits, what does not, and which pool to grow."""

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from components.layer import Workload
from sandbox.report import budget_table, verdict
from stacks.budget import Budget, Sum, budget
from stacks.settings import Settings

NOTHING = Sum()


def of(settings: Settings, *wanted: Workload, quotas: Sum = NOTHING, **changes: Any) -> Budget:
    """The region fsn1 with these workloads alone, and the general pool changed."""
    region = settings.regions["fsn1"]
    general = region.pools["general"].model_copy(update=changes)
    region = region.model_copy(update={"pools": {**region.pools, "general": general}})
    return budget("fsn1", region, settings.prices, {"layer": list(wanted)}, quotas)


def app(replicas: int, cpu: int, memory: int) -> Workload:
    return Workload("app", "Deployment", replicas, cpu, memory)


def printed(table: Table) -> list[list[str]]:
    """Title, heading and rows, cell by cell, as a terminal shows them."""
    console = Console(file=io.StringIO(), width=200, color_system=None)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in console.file.getvalue().splitlines()
    ]


def rows(lines: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    return {name: cells for name, *cells in lines}


def test_every_row_says_cores_and_gib_by_kind_of_machine(settings: Settings) -> None:
    server = Workload("control", "Deployment", 3, 100, 512, "servers")
    daemon = Workload("daemon", "DaemonSet", 0, 50, 256, "gpu")
    found = of(settings, app(2, 1000, 2048), server, daemon, quotas=Sum(2500, 3072))
    lines = printed(budget_table(found))
    assert lines[0] == ["Requests of fsn1 against what its machines offer, CPU / GiB"]
    assert lines[1] == ["layer", "servers", "agents", "gpu"]
    said = rows(lines[2:])
    assert said["layer"] == ["0.30 / 1.5", "2.00 / 4.0", "0.05 / 0.2"]
    assert said["layers in all"] == said["layer"]
    # Three of 4 cores and 8 GB, three of 8 cores and 16 GB, one of 8 cores and 64 GB, without what is reserved.
    assert said["offered"] == ["10.50 / 16.1", "22.50 / 43.9", "7.50 / 61.2"]
    assert said["left for tenants"] == ["20.50 / 39.9"]
    assert said["left with fsn1-general-1 lost"] == ["13.00 / 25.3"]
    assert said["tenants' quotas"] == ["2.50 / 3.0"]


def test_what_nobody_requests_is_a_dash_and_without_agents_none_is_lost(settings: Settings) -> None:
    said = rows(printed(budget_table(of(settings, taints=["own=x:NoSchedule"])))[2:])
    assert said["layer"] == ["-", "-", "-"]
    assert list(said) == ["layer", "layers in all", "offered", "left for tenants", "tenants' quotas"]


def test_what_fits_whatever_is_lost(settings: Settings) -> None:
    assert verdict(of(settings, app(3, 2000, 4096))) == (
        "Layers request 18% of the CPU and 20% of the memory of servers and agents: fits, and fits with one agent lost."
    )


def test_what_fits_as_long_as_no_agent_is_lost_names_it_and_the_pool_to_grow(settings: Settings) -> None:
    assert verdict(of(settings, app(3, 4000, 4096))).partition(": ")[2] == (
        "fits; with fsn1-general-1 lost there is no room for app (2 of 3); "
        "grow config/regions.yaml: fsn1.pools.general.nodes."
    )


def test_what_does_not_fit_names_what_waits_and_the_pool_to_grow(settings: Settings) -> None:
    assert verdict(of(settings, app(4, 4000, 4096))).partition(": ")[2] == (
        "does not fit: no machine has room for app (3 of 4); grow config/regions.yaml: fsn1.pools.general.nodes."
    )
