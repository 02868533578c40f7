"""Two clusters live in one project and one program: nothing is named twice, every selector names its cluster."""

import pytest

from components.cluster import ClusterError
from sandbox import inprocess
from sandbox.deployment import Deployment

from . import two_clusters
from .conftest import Runner
from .invariants import SERVER, problems


def run(runner: Runner) -> Deployment:
    return inprocess.run(
        two_clusters.main,
        project="two",
        stack="dev",
        config={"hcloud:token": runner.access.token, "hcloud:endpoint": runner.access.hetzner},
        secret_keys={"hcloud:token"},
    )


def test_two_clusters_share_no_name_and_no_address(runner: Runner) -> None:
    deployment = run(runner)
    assert list(problems(deployment)) == []
    machines = {
        resource.inputs["name"]: resource.inputs["networks"][0]["ip"] for resource in deployment.by_type(SERVER)
    }
    assert machines == {
        "blue-server-1": "10.1.1.1",
        "blue-workers-1": "10.1.2.1",
        "green-server-1": "10.2.1.1",
        "green-workers-1": "10.2.2.1",
    }
    clusters = {resource.inputs["labels"]["cluster"] for resource in deployment.by_type(SERVER)}
    assert clusters == {"blue", "green"}


def test_one_clusters_machines_are_none_of_the_others(runner: Runner) -> None:
    """A machine of blue that must not go does not hold green back, and the other way round."""
    labels = {"cluster": "red", "pool": "workers", "number": "9", "generation": "1"}
    runner.put_server("red-workers-9", "cx43", labels)
    assert len(run(runner).by_type(SERVER)) == 4


def test_a_component_refuses_unsafe_changes_by_itself(runner: Runner) -> None:
    labels = {"cluster": "blue", "pool": "workers", "number": "1", "generation": "3"}
    runner.put_server("blue-workers-1-g3", "cx43", labels)
    with pytest.raises(ClusterError, match=r"write generations: \{1: 3\} to keep it"):
        run(runner)
