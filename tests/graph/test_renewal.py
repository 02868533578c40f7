"""What a deployment must not do to machines that run is refused before anything is registered."""

from typing import Any

import pytest

from sandbox.deployment import Deployment, DeploymentFailed
from stacks.problems import ConfigurationError

from .conftest import Runner

SERVER = "hcloud:index/server:Server"


def deployed(
    runner: Runner, *, drained: tuple[int, ...] = (), protected: bool = True, initialized: bool = True
) -> Runner:
    """Put the committed machines of fsn1 into the cloud, as an earlier deployment left them."""
    types = {"server": "cx33", "general": "cx43"}
    for pool, numbers in {"server": (1, 2, 3), "general": (1, 2, 4)}.items():
        for number in numbers:
            labels = {
                "cluster": "fsn1",
                "role": "server" if pool == "server" else "agent",
                "pool": pool,
                "number": str(number),
                "generation": "1",
            }
            if pool == "general" and number in drained:
                labels["drained"] = "g1"
            name, kept = f"fsn1-{pool}-{number}", protected and pool == "server"
            runner.put_server(name, types[pool], labels, protected=kept)
    if initialized:
        runner.put_marker("fsn1")
    return runner


def refusal(runner: Runner) -> str:
    with pytest.raises((DeploymentFailed, ConfigurationError)) as error:
        runner.run("prod", layers=False)
    return str(error.value)


def servers(**settings: Any) -> Any:
    return lambda regions: regions["fsn1"]["servers"].update(settings)


def general(**settings: Any) -> Any:
    return lambda regions: regions["fsn1"]["pools"]["general"].update(settings)


def test_nothing_to_refuse_when_nothing_changes(runner: Runner, committed: dict[str, Deployment]) -> None:
    assert len(deployed(runner).run("prod", layers=False).by_type(SERVER)) == len(committed["prod"].by_type(SERVER))


def test_two_servers_at_once_are_refused(runner: Runner) -> None:
    message = refusal(deployed(runner, protected=False).regions(servers(generations={1: 2, 2: 2})))
    assert "config/regions.yaml: fsn1.servers.generations.2 = 2" in message
    assert "at most one machine of a pool is renewed at a time" in message
    assert "keep generations: {2: 1} until server-1 is done" in message


def test_two_agents_of_a_pool_at_once_are_refused(runner: Runner) -> None:
    message = refusal(deployed(runner, drained=(1, 2)).regions(general(generations={1: 2, 2: 2})))
    assert "fsn1.pools.general.generations.2" in message


def test_resizing_a_whole_pool_is_refused_with_the_line_to_write(runner: Runner) -> None:
    message = refusal(deployed(runner, drained=(1, 2, 4)).regions(general(type="cpx42")))
    assert "keep types: {2: cx43} until general-1 is done" in message


def test_a_protected_server_is_not_replaced_before_its_protection_is_lifted(runner: Runner) -> None:
    message = refusal(deployed(runner).regions(servers(generations={2: 2})))
    assert "first write unprotected: [2] and run `pulumi up`" in message


def test_an_agent_that_is_not_drained_is_not_replaced(runner: Runner) -> None:
    message = refusal(deployed(runner).regions(general(generations={2: 2})))
    assert "first write drained: [2] and run `pulumi up`; then replace it" in message


def test_an_agent_that_is_not_drained_is_not_removed(runner: Runner) -> None:
    message = refusal(deployed(runner).regions(general(nodes="1-2,5")))
    assert "fsn1.pools.general.drained.4" in message


def test_a_cluster_that_was_never_ready_is_replaced_whole(runner: Runner) -> None:
    """Wrong user_data in the first deployment must not be a dead end: nothing of it is worth keeping."""
    every = {1: 2, 2: 2, 3: 2}
    runner.regions(servers(generations=every)).regions(general(generations={1: 2, 2: 2, 4: 2}))
    after = deployed(runner, protected=False, initialized=False).run("prod", layers=False)
    assert {machine.inputs["name"] for machine in after.by_type(SERVER)} == {
        *(f"fsn1-server-{number}-g2" for number in every),
        *(f"fsn1-general-{number}-g2" for number in (1, 2, 4)),
    }
    # Protection holds all the same: it is lifted first.
    runner.servers()["fsn1-server-1"]["protection"].update(delete=True, rebuild=True)
    assert "server-1 is protected: it cannot be replaced" in refusal(runner)


def test_a_drained_agent_is_replaced_alone(runner: Runner, committed: dict[str, Deployment]) -> None:
    after = deployed(runner, drained=(2,)).regions(general(generations={2: 2}, drained=[2])).run("prod", layers=False)
    assert after.named("fsn1-general-2", SERVER).inputs["name"] == "fsn1-general-2-g2"


def test_an_older_generation_is_refused(runner: Runner) -> None:
    deployed(runner, drained=(2,))
    runner.servers()["fsn1-general-2"]["labels"].update(generation="3", drained="g3")
    assert "write generations: {2: 3} to keep it" in refusal(runner)
