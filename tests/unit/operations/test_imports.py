"""Which planned resource an orphan is, and the file that takes it into the state."""

from typing import Any

import pytest

from operations.imports import Planned, import_file, import_id, is_remade, match, planned_purpose, read_plan
from operations.objects import TYPES, CloudObject
from operations.state import Resource

from .shapes import PROVIDER, cloud, component, provider, state

STACK = "urn:pulumi:prod::hetzner-platform::pulumi:pulumi:Stack::hetzner-platform-prod"


def planned(kind: str, logical: str, /, parent: str = STACK, component: bool = False, **inputs: Any) -> Planned:
    type = TYPES.get(kind, kind)
    urn = f"urn:pulumi:prod::hetzner-platform::{type}::{logical}"
    return Planned(Resource(urn, type, parent=parent, provider=f"{PROVIDER}::1", inputs=inputs), component)


def test_only_creates_are_planned() -> None:
    new = {"urn": "urn:pulumi:prod::p::t::a", "type": "t", "custom": True, "inputs": {"name": "a"}, "protect": True}
    steps = [
        {"op": "create", "urn": new["urn"], "newState": new},
        {"op": "create", "urn": "c", "newState": {"urn": "urn:pulumi:prod::p::c::c", "type": "c", "custom": False}},
        {"op": "same", "urn": "x", "newState": new},
        {"op": "delete", "urn": "y", "oldState": new},
    ]
    found = read_plan({"steps": steps})
    assert [(each.resource.name, each.component, each.resource.protect) for each in found] == [
        ("a", False, True),
        ("c", True, False),
    ]
    assert read_plan({}) == []


def test_an_orphan_is_what_would_be_created_under_its_name() -> None:
    orphan = cloud("primary-ip", "9", "fsn1-server-1")
    plan = [
        planned("primary-ip", "addresses-1", name="fsn1-server-1"),
        planned("primary-ip", "addresses-2", name="other"),
    ]
    [found] = match([orphan], plan)
    assert (found.object, found.planned.resource.name) == (orphan, "addresses-1")


def test_the_same_name_of_another_kind_is_something_else() -> None:
    assert match([cloud("firewall", "9", "fsn1-servers")], [planned("placement-group", "x", name="fsn1-servers")]) == []


def test_an_orphan_that_two_resources_could_be_is_none_of_them() -> None:
    plan = [planned("firewall", "a", name="same"), planned("firewall", "b", name="same")]
    assert match([cloud("firewall", "9", "same")], plan) == []


@pytest.mark.parametrize(
    ("orphan", "inputs"),
    [
        (cloud("subnet", "3-10.1.1.0/24", whole=("network", "3")), {"networkId": 3, "ipRange": "10.1.1.0/24"}),
        (cloud("subnet", "3-10.1.1.0/24", whole=("network", "3")), {"networkId": 3.0, "ipRange": "10.1.1.0/24"}),
        (cloud("route", "3-10.9.0.0/24", whole=("network", "3")), {"networkId": 3, "destination": "10.9.0.0/24"}),
        (cloud("load-balancer-network", "4-3", whole=("load-balancer", "4")), {"loadBalancerId": 4, "networkId": 3}),
        (
            cloud("load-balancer-network", "4-3", whole=("load-balancer", "4")),
            {"loadBalancerId": 4, "subnetId": "3-10.0.0.0/24"},
        ),
        (
            cloud("load-balancer-service", "4__80", whole=("load-balancer", "4")),
            {"loadBalancerId": "4", "listenPort": 80},
        ),
        (
            cloud("load-balancer-service", "4__443", whole=("load-balancer", "4")),
            {"loadBalancerId": "4", "protocol": "https"},
        ),
        (
            cloud("load-balancer-target", "4 label_selector a=b", whole=("load-balancer", "4")),
            {"loadBalancerId": 4, "type": "label_selector", "labelSelector": "a=b"},
        ),
        (
            cloud("load-balancer-target", "4 server 7", whole=("load-balancer", "4")),
            {"loadBalancerId": 4, "type": "server", "serverId": 7},
        ),
        (cloud("server-network", "7-3", whole=("server", "7")), {"serverId": 7, "networkId": 3}),
        (
            cloud("dns-record", "r", attributes={"purpose": ("A", "example.com", "192.0.2.1")}),
            {"type": "A", "name": "example.com", "content": "192.0.2.1"},
        ),
        (cloud("ruleset", "r", attributes={"purpose": "http_ratelimit"}), {"phase": "http_ratelimit"}),
        (cloud("tunnel", "t", attributes={"purpose": "fsn1.example.com"}), {"name": "fsn1.example.com"}),
        (cloud("origin-certificate", "c", attributes={"purpose": ("*.a.b", "a.b")}), {"hostnames": ["a.b", "*.a.b"]}),
        (cloud("origin-pull-certificate", "c", attributes={"purpose": "origin-pull-certificate"}), {}),
    ],
    ids=lambda value: value.kind if isinstance(value, CloudObject) else "",
)
def test_parts_and_the_edge_are_known_by_what_they_are_for(orphan: CloudObject, inputs: dict) -> None:
    assert [found.object for found in match([orphan], [planned(orphan.kind, "it", **inputs)])] == [orphan]
    other = {str: "other", int: 999, float: 999.0, list: ["other"]}
    changed = {key: other[type(value)] for key, value in inputs.items() if key != "type"}
    if changed:
        assert match([orphan], [planned(orphan.kind, "it", **(inputs | changed))]) == []


def test_what_is_not_known_yet_matches_nothing() -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    assert planned_purpose("subnet", {"networkId": unknown, "ipRange": "10.1.1.0/24"}) != "3-10.1.1.0/24"


def test_the_file_names_parent_and_provider_of_the_state() -> None:
    parent = component("network")
    orphan = cloud("network", "3", "platform")
    plan = [planned("network", "network", parent=parent.urn, name="platform")]
    made = import_file(state(parent, provider()), plan, match([orphan], plan))
    [entry] = made.content["resources"]
    assert (entry["type"], entry["name"], entry["id"]) == (TYPES["network"], "network", "3")
    assert made.content["nameTable"][entry["parent"]] == parent.urn
    assert made.content["nameTable"][entry["provider"]] == PROVIDER
    assert made.impossible == []


def test_a_parent_that_is_planned_too_is_made_by_the_import() -> None:
    outer = planned("hetzner-platform:index:Edge", "edge", component=True)
    inner = planned("hetzner-platform:index:DnsRecords", "edge-dns", parent=outer.resource.urn, component=True)
    record = planned("firewall", "f", parent=inner.resource.urn, name="x")
    plan = [outer, inner, record]
    made = import_file(state(provider()), plan, match([cloud("firewall", "1", "x")], plan))
    by_name = {each["name"]: each for each in made.content["resources"]}
    assert by_name["edge"] == {"type": "hetzner-platform:index:Edge", "name": "edge", "component": True}
    assert by_name["edge-dns"]["parent"] == "edge"
    assert by_name["f"]["parent"] == "edge-dns"


def test_without_its_provider_in_the_state_nothing_can_be_imported() -> None:
    orphan, plan = cloud("firewall", "1", "x"), [planned("firewall", "f", name="x")]
    made = import_file(state(), plan, match([orphan], plan))
    assert (made.content, made.impossible) == ({}, [orphan])


@pytest.mark.parametrize(
    ("object", "expected"),
    [
        (cloud("server", "7"), True),
        (cloud("server", "7", attributes={"complete": False}), True),
        (cloud("server", "7", attributes={"complete": True}), False),
        (cloud("certificate", "7"), True),
        (cloud("origin-pull-certificate", "7"), True),
        (cloud("network", "7"), False),
        (cloud("dns-record", "7"), False),
    ],
    ids=str,
)
def test_what_an_import_would_know_by_half_is_made_anew(object: CloudObject, expected: bool) -> None:
    assert is_remade(object) is expected


def test_what_is_made_anew_is_in_no_file() -> None:
    orphan, plan = cloud("server", "7", "x"), [planned("server", "s", name="x")]
    assert import_file(state(provider()), plan, match([orphan], plan)).content == {}


@pytest.mark.parametrize(
    ("object", "expected"),
    [
        (cloud("network", "3"), "3"),
        (cloud("load-balancer-target", "4 label_selector a=b"), "4__label_selector__a=b"),
        (cloud("dns-record", "r"), "z/r"),
    ],
    ids=str,
)
def test_providers_import_by_these_ids(object: CloudObject, expected: str) -> None:
    assert import_id(object, "z") == expected
