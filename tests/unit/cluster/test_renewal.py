"""Which changes one deployment may make: each rule with a case that passes and one that does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cluster.machines import SERVERS, Deployed, DeployedMachine, Machine, read_deployed
from components.cluster.renewal import changes, missing_voters, needs_voters, refusals, restores


def wanted(pool: str, generations: dict[int, int], **settings: object) -> list[Machine]:
    return [Machine(pool, number, "cx33", generation, **settings) for number, generation in generations.items()]  # type: ignore[arg-type]


def there(pool: str, generations: dict[int, int], *, drained: bool = False, protected: bool = False) -> Deployed:
    return Deployed(
        [
            DeployedMachine(
                pool,
                number,
                f"fsn1-{pool}-{number}",
                "cx33",
                generation,
                drained=f"g{generation}" if drained else "",
                protected=protected,
            )
            for number, generation in generations.items()
        ],
        initialized=True,
    )


THREE = {1: 1, 2: 1, 3: 1}


def test_one_unprotected_server_is_renewed() -> None:
    assert refusals(wanted(SERVERS, {**THREE, 2: 2}), there(SERVERS, THREE)) == []


def test_a_server_is_not_renewed_while_another_is_missing() -> None:
    found = refusals(wanted(SERVERS, {**THREE, 2: 2}), there(SERVERS, {1: 1, 2: 1}))
    assert [refusal.machine for refusal in found] == ["server-2"]
    assert "server-3 is not deployed" in found[0].problem


def test_five_servers_become_three_but_not_one() -> None:
    five = dict.fromkeys(range(1, 6), 1)
    assert refusals(wanted(SERVERS, THREE), there(SERVERS, five)) == []
    assert len(refusals(wanted(SERVERS, {1: 1}), there(SERVERS, five))) == 3


def test_a_drain_of_an_older_generation_proves_nothing() -> None:
    machine = DeployedMachine("general", 1, "n", "cx33", 2, drained="g1")
    found = refusals(wanted("general", {1: 3}), Deployed([machine], True))
    assert [refusal.setting for refusal in found] == ["drained"]


def test_a_drained_pool_may_go_at_once() -> None:
    assert refusals([], there("general", THREE, drained=True)) == []


def test_drained_agents_are_still_replaced_one_at_a_time() -> None:
    found = refusals(wanted("general", {1: 2, 2: 2, 3: 1}), there("general", THREE, drained=True))
    assert [(refusal.machine, refusal.setting) for refusal in found] == [("general-2", "generations")]


def test_pools_are_counted_apart() -> None:
    deployed = Deployed([*there("a", {1: 1}, drained=True).machines, *there("b", {1: 1}, drained=True).machines], True)
    assert refusals([*wanted("a", {1: 2}), *wanted("b", {1: 2})], deployed) == []


@pytest.mark.parametrize("generation", [1, 2])
def test_a_generation_never_goes_back(generation: int) -> None:
    found = refusals(wanted("general", {1: generation}), there("general", {1: 3}, drained=True))
    assert [refusal.setting for refusal in found] == ["generations"]


def test_a_restore_replaces_all_servers_and_nothing_less() -> None:
    renewed = wanted(SERVERS, {1: 2, 2: 2, 3: 2})
    assert restores(renewed, there(SERVERS, THREE), "snapshot")
    assert refusals(renewed, there(SERVERS, THREE), restoring=True) == []
    assert not restores(wanted(SERVERS, {1: 2, 2: 2, 3: 1}), there(SERVERS, THREE), "snapshot")


def test_a_value_that_was_left_restores_nothing() -> None:
    assert not restores(wanted(SERVERS, {1: 2, 2: 2, 3: 2}), there(SERVERS, {1: 2, 2: 2, 3: 2}), "snapshot")
    assert not restores(wanted(SERVERS, THREE), there(SERVERS, THREE), None)


def test_voters_are_asked_for_only_when_a_server_is_renewed() -> None:
    assert needs_voters(wanted(SERVERS, THREE), there(SERVERS, THREE)) == []
    needed = needs_voters(wanted(SERVERS, {**THREE, 2: 2}), there(SERVERS, THREE))
    assert needed == ["fsn1-server-1", "fsn1-server-3"]
    assert missing_voters(needed, {"fsn1-server-1": True, "fsn1-server-3": False}) == ["fsn1-server-3"]
    assert missing_voters(needed, {"fsn1-server-1": True}) == ["fsn1-server-3"]


@given(
    st.dictionaries(st.integers(1, 7), st.integers(1, 3), min_size=1),
    st.dictionaries(st.integers(1, 7), st.integers(1, 3)),
)
def test_two_servers_never_change_without_a_refusal(target: dict[int, int], current: dict[int, int]) -> None:
    machines, deployed = wanted(SERVERS, target), there(SERVERS, current)
    planned = changes(machines, deployed)
    shrinks = all(change.what == "remove" for change in planned) and len(current) - len(planned) > len(current) // 2
    if len(planned) > 1 and not shrinks:
        assert refusals(machines, deployed) != []


def test_machines_of_the_autoscaler_are_not_counted() -> None:
    ours = {"pool": "general", "number": "1", "generation": "2", "drained": "g2", "config": "abc"}
    found = read_deployed(
        [("fsn1-general-1-g2", "cx43", False, ours), ("fsn1-burst-1a", "cx43", False, {"cluster": "fsn1"})]
    )
    assert [machine.label for machine in found] == ["general-1"]
    assert found[0].is_drained
