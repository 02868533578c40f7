"""States against clouds: orphans, duplicates, what is missing, owned twice, or unprotected."""

from collections.abc import Iterable

import pytest

from operations.compare import Comparison, compare
from operations.objects import KINDS, CloudObject, Key
from operations.state import StackState

from .shapes import cloud, resource, state

LOCATIONS = {"fsn1": "fsn1", "nbg1": "nbg1"}
EVERYTHING = set(KINDS.values())
SERVER = {"cluster": "fsn1", "pool": "server", "number": "1"}


def compared(
    states: Iterable[StackState],
    objects: Iterable[CloudObject],
    kinds: set[str] = EVERYTHING,
    trusted: Iterable[str] = ("prod",),
) -> Comparison:
    return compare(states, objects, kinds, trusted, LOCATIONS)


def test_what_maps_one_to_one_is_healthy() -> None:
    owned = state(
        resource("network", "3", inputs={"deleteProtection": True}, protect=True),
        resource("subnet", "3-10.0.0.0/24"),
        resource("server", "7", outputs={"networks": [{"networkId": 3}]}),
    )
    there = [
        cloud("network", "3", protected=True),
        cloud("subnet", "3-10.0.0.0/24", whole=("network", "3")),
        cloud("server", "7", protected=False),
        cloud("server-network", "7-3", whole=("server", "7")),
        # Hetzner makes and removes a machine's own address; the routes of pods are the controller's.
        cloud("primary-ip", "9", whole=("server", "7"), protected=False),
        cloud("route", "3-10.42.0.0/24", whole=("network", "3")),
    ]
    assert compared([owned], there) == Comparison()


def test_an_object_that_no_state_has_is_an_orphan() -> None:
    stray = cloud("firewall", "5")
    assert compared([state()], [stray]).orphans == (stray,)


@pytest.mark.parametrize(
    ("kind", "id", "whole"),
    [
        ("subnet", "3-10.9.0.0/24", ("network", "3")),
        ("server-network", "7-3", ("server", "7")),
        ("load-balancer-service", "4__80", ("load-balancer", "4")),
        ("load-balancer-target", "4 ip 10.1.1.1", ("load-balancer", "4")),
        ("load-balancer-network", "4-3", ("load-balancer", "4")),
    ],
)
def test_a_part_of_something_that_is_owned_is_an_orphan_itself(kind: str, id: str, whole: Key) -> None:
    part = cloud(kind, id, whole=whole)
    found = compared([state(resource(*whole))], [cloud(*whole), part])
    assert found.orphans == (part,)


def test_what_an_orphan_consists_of_goes_with_it() -> None:
    server = cloud("server", "7")
    parts = [cloud("server-network", "7-3", whole=("server", "7")), cloud("primary-ip", "9", whole=("server", "7"))]
    assert compared([state()], [server, *parts]).orphans == (server,)


def test_an_address_whose_machine_is_gone_is_an_orphan() -> None:
    address = cloud("primary-ip", "9", whole=("server", "7"))
    assert compared([state()], [address]).orphans == (address,)


def test_what_controllers_made_is_theirs_with_all_its_parts() -> None:
    balancer = cloud("load-balancer", "4", labels={"hcloud-ccm/service-uid": "u"}, attributes={"location": "nbg1"})
    parts = [
        cloud("load-balancer-service", "4__80", whole=balancer.key),
        cloud("load-balancer-network", "4-3", whole=balancer.key),
    ]
    found = compared([state()], [balancer, *parts])
    assert found.orphans == ()
    assert [(made.object, made.cluster) for made in found.controllers] == [(balancer, "nbg1")]


def test_a_controllers_label_takes_nothing_from_a_stack() -> None:
    balancer = cloud("load-balancer", "4", labels={"hcloud-ccm/service-uid": "u"})
    assert compared([state(resource("load-balancer", "4"))], [balancer]) == Comparison()


def test_a_second_machine_of_the_same_number_is_a_duplicate() -> None:
    owned = resource("server", "7", "fsn1-server-1")
    first, second = cloud("server", "7", labels=SERVER), cloud("server", "8", labels=SERVER)
    found = compared([state(owned)], [first, second])
    assert found.orphans == ()
    assert found.duplicates == ((second, ("prod", owned)),)


def test_a_machine_of_another_number_is_no_duplicate() -> None:
    first, second = cloud("server", "7", labels=SERVER), cloud("server", "8", labels=SERVER | {"number": "2"})
    found = compared([state(resource("server", "7"))], [first, second])
    assert (found.orphans, found.duplicates) == ((second,), ())


def test_nothing_duplicates_what_is_gone() -> None:
    copy = cloud("server", "8", labels=SERVER)
    found = compared([state(resource("server", "7"))], [copy])
    assert (found.orphans, found.duplicates) == ((copy,), ())


def test_a_second_certificate_for_origin_pulls_is_a_duplicate() -> None:
    kind = "origin-pull-certificate"
    owned = resource(kind, "a")
    first, second = (cloud(kind, id, attributes={"purpose": kind}) for id in "ab")
    assert compared([state(owned)], [first, second]).duplicates == ((second, ("prod", owned)),)


def test_what_a_state_has_and_the_cloud_has_not_is_missing() -> None:
    gone = resource("firewall", "5")
    assert compared([state(gone)], []).missing == (("prod", gone, ("firewall", "5")),)


def test_parts_of_what_is_missing_are_not_told_again() -> None:
    server = resource("server", "7", outputs={"networks": [{"networkId": 3}]})
    network, subnet = resource("network", "3"), resource("subnet", "3-10.0.0.0/24")
    found = compared([state(server, network, subnet)], [])
    assert [key for _, _, key in found.missing] == [("server", "7"), ("network", "3")]


def test_a_machine_that_was_taken_out_of_its_network_misses_that() -> None:
    server = resource("server", "7", outputs={"networks": [{"networkId": 3}]})
    found = compared([state(server)], [cloud("server", "7")])
    assert found.missing == (("prod", server, ("server-network", "7-3")),)


def test_nothing_is_missing_of_what_was_not_looked_at() -> None:
    gone = resource("firewall", "5")
    assert compared([state(gone)], [], kinds={"server"}).missing == ()
    assert compared([state(gone)], [], trusted=["shared"]).missing == ()


def test_one_object_in_two_stacks_is_owned_twice() -> None:
    one, other = resource("firewall", "5", "a"), resource("firewall", "5", "b")
    found = compared([state(one), state(other, stack="dr")], [cloud("firewall", "5")])
    assert found.owned_twice == ((("firewall", "5"), (("prod", one), ("dr", other))),)


@pytest.mark.parametrize(
    ("wanted", "in_cloud", "in_state", "expected"),
    [
        (True, True, True, (0, 0)),
        (True, False, True, (1, 0)),
        (True, True, False, (0, 1)),
        (True, False, False, (1, 1)),
        # Lifted by configuration: that is meant.
        (False, False, False, (0, 0)),
    ],
)
def test_protection_that_was_lost_is_seen_on_both_sides(
    wanted: bool, in_cloud: bool, in_state: bool, expected: tuple[int, int]
) -> None:
    owned = resource("network", "3", inputs={"deleteProtection": wanted}, protect=in_state)
    found = compared([state(owned)], [cloud("network", "3", protected=in_cloud)])
    assert (len(found.unprotected_in_cloud), len(found.unprotected_in_state)) == expected
