"""Which changes one deployment may make: each rule with a case that passes and one that does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.cluster.machines import SERVERS, Deployed, DeployedMachine, Machine, read_deployed
from components.cluster.renewal import Refusal, changes, missing_voters, needs_voters, refusals, restores


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


def test_two_servers_are_not_swapped_for_two_of_other_numbers() -> None:
    """That is no shrinking: etcd would wait for two members that it does not know yet."""
    found = refusals(wanted(SERVERS, dict.fromkeys([1, 2, 3, 6, 7], 1)), there(SERVERS, dict.fromkeys(range(1, 6), 1)))
    assert [(refusal.machine, refusal.setting) for refusal in found] == [("server-5", "nodes")]
    assert found[0].remedy == "keep 5 in nodes until server-4 is done"


def test_one_server_may_be_swapped_for_one_of_another_number() -> None:
    assert refusals(wanted(SERVERS, {1: 1, 2: 1, 4: 1}), there(SERVERS, THREE)) == []


def test_a_cluster_does_not_grow_while_a_server_is_renewed() -> None:
    found = refusals(wanted(SERVERS, {**THREE, 2: 2, 4: 1, 5: 1}), there(SERVERS, THREE))
    assert [refusal.machine for refusal in found] == ["server-2"]
    assert found[0].problem == "server-4, server-5 is not deployed: with server-2 away too, etcd could lose its quorum"


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


SERVERS_OF_A_CLUSTER = st.dictionaries(
    st.integers(1, 7), st.tuples(st.integers(1, 3), st.sampled_from(["cx33", "cx43"])), min_size=1
)


@given(SERVERS_OF_A_CLUSTER, SERVERS_OF_A_CLUSTER)
def test_two_servers_never_change_without_a_refusal_but_when_the_cluster_shrinks_within_its_quorum(
    target: dict[int, tuple[int, str]], current: dict[int, tuple[int, str]]
) -> None:
    machines = [Machine(SERVERS, number, type_, generation) for number, (generation, type_) in target.items()]
    deployed = Deployed(
        [
            DeployedMachine(SERVERS, n, f"fsn1-server-{n}", type_, generation)
            for n, (generation, type_) in current.items()
        ],
        initialized=True,
    )
    planned = changes(machines, deployed)
    stay = {number: settings for number, settings in current.items() if target.get(number) == settings}
    assert len(planned) == len(current) - len(stay)
    only_shrinks = target == stay and len(stay) > len(current) // 2
    if len(planned) > 1 and not only_shrinks:
        assert refusals(machines, deployed) != []
    if only_shrinks:
        assert refusals(machines, deployed) == []


def test_a_refusal_names_machine_setting_value_and_remedy() -> None:
    resized = [Machine(SERVERS, number, "cx43") for number in THREE]
    assert refusals(resized, there(SERVERS, THREE)) == [
        Refusal(
            f"server-{number}",
            "types",
            "cx43",
            "resize server-1, resize server-2, resize server-3 in one deployment: "
            "at most one machine of a pool is renewed at a time",
            f"keep types: {{{number}: cx33}} until server-1 is done",
        )
        for number in (2, 3)
    ]


def test_an_agent_is_drained_before_it_is_touched_and_a_protected_machine_released() -> None:
    assert refusals(wanted("general", {1: 2}), there("general", {1: 1})) == [
        Refusal(
            "general-1",
            "drained",
            "replace",
            "general-1 is not drained: its pods would die with it",
            "first write drained: [1] and run `pulumi up`; then replace it",
        )
    ]
    assert refusals(wanted("general", {1: 2}), there("general", {1: 1}, drained=True)) == []
    assert refusals(wanted(SERVERS, {**THREE, 2: 2}), there(SERVERS, THREE, protected=True)) == [
        Refusal(
            "server-2",
            "unprotected",
            "replace",
            "server-2 is protected: it cannot be replaced",
            "first write unprotected: [2] and run `pulumi up`; then make this change",
        )
    ]


def test_protection_that_still_stands_is_lifted_by_a_deployment_of_its_own() -> None:
    machines = [
        Machine(SERVERS, 1, "cx33"),
        Machine(SERVERS, 2, "cx33", 2, unprotected=True),
        Machine(SERVERS, 3, "cx33"),
    ]
    (found,) = refusals(machines, there(SERVERS, THREE, protected=True))
    assert found.remedy.startswith("run `pulumi up` with the old generation first: that lifts the protection")


def test_a_protected_server_may_be_resized() -> None:
    machines = [Machine(SERVERS, 1, "cx43"), *wanted(SERVERS, {2: 1, 3: 1})]
    assert refusals(machines, there(SERVERS, THREE, protected=True)) == []


def test_machines_of_the_autoscaler_are_not_counted() -> None:
    ours = {"pool": "general", "number": "1", "generation": "2", "drained": "g2", "config": "abc"}
    found = read_deployed(
        [("fsn1-general-1-g2", "cx43", False, ours), ("fsn1-burst-1a", "cx43", False, {"cluster": "fsn1"})]
    )
    assert [machine.label for machine in found] == ["general-1"]
    assert found[0].is_drained
