"""The preflight in the program itself, without an engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hcloud import Client

from sandbox.clouds import Options
from sandbox.clouds.threaded import ThreadedClouds
from sandbox.deployment import DeploymentFailed
from tests.graph.conftest import Runner


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedClouds]:
    with ThreadedClouds(tmp_path_factory.mktemp("clouds"), Options(rate_limit=False)) as running:
        yield running


@pytest.fixture
def runner(tmp_path: Path, clouds: ThreadedClouds) -> Runner:
    return Runner(tmp_path, clouds)


def put_network(runner: Runner, name: str, **labels: str) -> None:
    client = Client(runner.access.token, api_endpoint=runner.access.hetzner)
    client.networks.create(name, "10.0.0.0/8", labels=labels)


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize(("name", "labels"), [("platform", {}), ("renamed", {"platform": "hetzner-platform"})])
def test_a_first_deployment_into_a_project_with_a_platform_is_refused(
    runner: Runner, preview: bool, name: str, labels: dict[str, str]
) -> None:
    put_network(runner, name, **labels)
    with pytest.raises(DeploymentFailed, match=f"holds a platform already \\(Network '{name}'") as caught:
        runner.run("shared", preview=preview)
    assert caught.value.deployment is not None
    assert [each.type for each in caught.value.deployment.states if not each.type.startswith("pulumi:providers:")] == []


def test_somebody_elses_network_is_in_nobodys_way(runner: Runner) -> None:
    put_network(runner, "office", platform="another")
    assert runner.run("shared").by_type("hcloud:index/network:Network")


def test_the_doctors_own_preview_goes_on(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    put_network(runner, "platform")
    monkeypatch.setenv("HETZNER_PLATFORM_DOCTOR", "1")
    assert runner.run("shared").by_type("hcloud:index/network:Network")
    with pytest.raises(DeploymentFailed, match="holds a platform already"):
        runner.run("shared", preview=False)
