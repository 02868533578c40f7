"""What a controller made, for which cluster, and in which order it can go."""

import pytest

from operations.controllers import controller_of, made_by_controllers

from .shapes import cloud

ONE_EACH = {"fsn1": "fsn1", "nbg1": "nbg1"}
CLAIM = "pvc-0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"
GROUP = "hcloud/node-group"


@pytest.mark.parametrize(
    ("kind", "name", "labels", "expected"),
    [
        ("load-balancer", "a1", {"hcloud-ccm/service-uid": "u"}, "cloud controller manager"),
        ("load-balancer", "ours", {"cluster": "fsn1"}, None),
        ("volume", "any", {"managed-by": "csi-driver"}, "CSI driver"),
        ("volume", CLAIM, {}, "CSI driver"),
        ("volume", "pvc-mine", {}, None),
        ("volume", f"{CLAIM}-copy", {}, None),
        ("volume", "data", {"managed-by": "me"}, None),
        ("server", "fsn1-burst-1a", {GROUP: "fsn1-burst"}, "cluster autoscaler"),
        ("server", "fsn1-server-1", {"cluster": "fsn1"}, None),
        # A mark on a thing of another kind is not that controller's.
        ("firewall", CLAIM, {GROUP: "fsn1-burst", "managed-by": "csi-driver"}, None),
    ],
)
def test_only_a_controllers_own_mark_makes_it_its(kind: str, name: str, labels: dict, expected: str | None) -> None:
    assert controller_of(cloud(kind, "1", name, labels=labels)) == expected


@pytest.mark.parametrize(
    ("labels", "location", "locations", "expected"),
    [
        ({GROUP: "fsn1-burst"}, None, ONE_EACH, "fsn1"),
        ({GROUP: "fsn1-burst", "cluster": "nbg1"}, None, ONE_EACH, "nbg1"),
        ({GROUP: "elsewhere"}, "nbg1", ONE_EACH, "nbg1"),
        ({GROUP: "elsewhere"}, "hel1", ONE_EACH, None),
        # Two clusters in one location: it cannot be told.
        ({GROUP: "elsewhere"}, "fsn1", {"a": "fsn1", "b": "fsn1"}, None),
        ({GROUP: "a-b-pool"}, "fsn1", {"a": "fsn1", "a-b": "fsn1"}, "a-b"),
    ],
)
def test_the_cluster_is_told_or_left_open(
    labels: dict, location: str | None, locations: dict, expected: str | None
) -> None:
    server = cloud("server", "1", labels=labels, attributes={"location": location})
    [made] = made_by_controllers([server], set(), locations)
    assert made.cluster == expected


def test_a_volume_is_of_the_cluster_whose_machine_uses_it() -> None:
    machine = cloud("server", "7", labels={"cluster": "b"})
    volume = cloud("volume", "1", CLAIM, attributes={"location": "fsn1", "used_by": [("server", "7")]})
    [made] = made_by_controllers([machine, volume], {("server", "7")}, {"a": "fsn1", "b": "fsn1"})
    assert (made.object, made.cluster) == (volume, "b")


def test_what_a_state_owns_is_never_a_controllers() -> None:
    marked = cloud("server", "1", labels={GROUP: "fsn1-burst"})
    assert list(made_by_controllers([marked], {("server", "1")}, ONE_EACH)) == []


def test_it_goes_in_the_order_in_which_it_can() -> None:
    server = cloud("server", "7", labels={GROUP: "fsn1-burst"})
    volume = cloud("volume", "1", CLAIM, attributes={"location": "fsn1"})
    address = cloud("primary-ip", "9", whole=("server", "7"))
    balancer = cloud("load-balancer", "4", labels={"hcloud-ccm/service-uid": "u"}, attributes={"location": "fsn1"})
    reserved = cloud("primary-ip", "10")
    found = list(made_by_controllers([volume, address, reserved, server, balancer], set(), ONE_EACH))
    assert [made.object for made in found] == [balancer, server, address, volume]
    assert {made.cluster for made in found} == {"fsn1"}
