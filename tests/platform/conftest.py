"""A real cluster for each region, filled with everything that the region composes; the same ones for all tests."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sandbox.clouds import Options, ThreadedClouds
from sandbox.machines import MachineRoom
from sandbox.plugins.package import Package
from sandbox.plugins.packages import open_package
from sandbox.toolchain import find_tool
from sandbox.world import Clock
from tests.sandbox.machines.conftest import Running, tools

from .cluster import RegionCluster, each_of
from .composition import REGIONS, Object, compose
from .definitions import permissive
from .services import Services


@dataclass
class Filled:
    """A region's cluster, and what it took: names by kind; under ``refused`` what it did not take. And what it warned of."""

    cluster: RegionCluster
    taken: dict[str, list[str]]
    warnings: tuple[str, ...]


@contextlib.contextmanager
def filled_regions(directory: Path) -> Iterator[dict[str, Filled]]:
    """Both regions' clusters, while the block runs."""
    programs = tools()
    with contextlib.ExitStack() as stack:
        clouds = stack.enter_context(ThreadedClouds(directory / "clouds", Options(rate_limit=False)))
        (directory / "configuration").mkdir()
        composed = compose(directory / "configuration", clouds)
        loopback = clouds.clouds._loopback
        assert loopback is not None
        octet = loopback.octet
        running = Running(lambda: MachineRoom(directory / "room", Clock(), programs, octet=octet))
        stack.callback(running.close)
        up: list[RegionCluster] = []
        for region, made in composed.items():
            # The first one boots while the second one is composed.
            up.append(stack.enter_context(RegionCluster(made.result(), running, directory / region)))
            up[-1].start()
        yield dict(zip(composed, each_of(_filled, up), strict=True))


@pytest.fixture(scope="package")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Filled]]:
    """Both regions, by name."""
    with filled_regions(tmp_path_factory.mktemp("platform")) as made:
        yield made


def _filled(cluster: RegionCluster) -> Filled:
    cluster.wait()
    cluster.define()
    for line in permissive(cluster.definitions):
        print(line)
    taken = cluster.fill()
    return Filled(cluster, taken, tuple(cluster.warnings))


@pytest.fixture(scope="package", params=REGIONS.values())
def filled(request: pytest.FixtureRequest, regions: dict[str, Filled]) -> Filled:
    """Each of the regions."""
    return regions[request.param]


@pytest.fixture(scope="package")
def cluster(filled: Filled) -> RegionCluster:
    """Its cluster."""
    return filled.cluster


@pytest.fixture(scope="package")
def helm(cluster: RegionCluster) -> Package:
    """The provider's releases: real Helm, with stand-ins of upstream's charts."""
    package = open_package("kubernetes")
    package.configure({"kubeconfig": yaml.safe_dump(cluster.kubeconfig)})
    return package


@pytest.fixture(scope="package")
def services(cluster: RegionCluster, counted: None) -> Services:
    """Tenants' services, once they are installed."""
    del counted
    program = find_tool("helm")
    if program is None:
        pytest.skip("helm is neither on PATH nor in the cache: `make toolchain` gets it")
    return Services(cluster, program.path)


@pytest.fixture(scope="package")
def counted(cluster: RegionCluster) -> None:
    """Tenants' quotas are counted, custom kinds among what they count. The controller manager looks for new kinds every half a
    minute; a quota that it counted before is counted anew within five minutes, or when it changes.
    """

    def uncounted(quota: Object) -> set[str]:
        return set(quota["spec"]["hard"]) - set(quota["status"].get("used", {}))

    def all_counted() -> bool:
        waiting = [each for each in cluster.items("v1", "ResourceQuota") if uncounted(each)]
        for each in waiting:
            path = cluster.path("v1", "ResourceQuota", each["metadata"]["namespace"], each["metadata"]["name"])
            for value in ("1", None):
                patch = {"spec": {"hard": {"count/replicationcontrollers": value}}}
                cluster.ask("PATCH", path, patch, kind="application/merge-patch+json")
        return not waiting

    cluster.until(all_counted, pause=1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a region waits for its cluster; this computer may be busy."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(400))
