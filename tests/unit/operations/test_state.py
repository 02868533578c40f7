"""What an export says, and what is no export."""

import pytest

from operations.objects import keys
from operations.state import StateError, read_state

from .shapes import resource

URN = "urn:pulumi:shared::hetzner-platform::"
NETWORK = "hetzner-platform:index:Network$hcloud:index/network:Network"


def entry(path: str, name: str, **more: object) -> dict[str, object]:
    return {"urn": f"{URN}{path}::{name}", "type": path.rpartition("$")[2], "custom": True, **more}


def exported(*resources: object, **more: object) -> dict[str, object]:
    return {"version": 3, "deployment": {"resources": list(resources), **more}}


def test_a_new_stack_has_nothing() -> None:
    for content in ({"version": 3, "deployment": {"manifest": {}}}, {"version": 3, "deployment": None}):
        found = read_state("shared", content)
        assert (found.resources, found.pending, found.network) == ((), (), None)


def test_the_network_is_known_by_its_own_id() -> None:
    found = read_state("shared", exported(entry(NETWORK, "network", id="42", outputs={"name": "platform"})))
    assert found.network is not None
    assert found.network.id == 42


def test_another_network_is_not_the_platforms() -> None:
    assert read_state("shared", exported(entry("hcloud:index/network:Network", "mine", id="42"))).network is None


def test_what_was_only_read_is_owned_by_nobody() -> None:
    found = read_state("shared", exported(entry("hcloud:index/server:Server", "looked-at", id="7", external=True)))
    assert list(keys(found.resources[0])) == []


def test_what_was_begun_and_not_finished_is_told() -> None:
    type = "hcloud:index/server:Server"
    half = entry(type, "half", id="7", initErrors=["action change_protection failed"])
    gone = entry(type, "gone", id="8", pendingReplacement=True)
    first, second = read_state("prod", exported(half, gone)).resources
    assert (first.half_made, first.deleted) == (("action change_protection failed",), False)
    assert (second.half_made, second.deleted) == ((), True)
    assert list(keys(second)) == []


def test_operations_that_were_cut_off_are_kept_with_their_resource() -> None:
    cut_off = {
        "resource": entry("hcloud:index/server:Server", "one", inputs={"name": "fsn1-server-1"}),
        "type": "creating",
    }
    [pending] = read_state("shared", exported(pending_operations=[cut_off])).pending
    assert (pending.operation, pending.resource.name, pending.resource.inputs) == (
        "creating",
        "one",
        {"name": "fsn1-server-1"},
    )


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "text",
        {},
        {"deployment": 3},
        {"deployment": {"resources": [{}]}},
        {"deployment": {"resources": {"a": 1}}},
    ],
    ids=repr,
)
def test_what_is_no_state_is_refused(content: object) -> None:
    with pytest.raises(StateError, match="'shared' is not a state"):
        read_state("shared", content)


@pytest.mark.parametrize(
    ("kind", "id", "outputs", "expected"),
    [
        ("server", "7", {"networks": [{"networkId": 3.0}]}, [("server", "7"), ("server-network", "7-3")]),
        ("server", "7", {}, [("server", "7")]),
        # Half made: nobody has read it yet.
        ("server", "7", {"networks": [{"subnetId": "3-10.1.1.0/24"}]}, [("server", "7"), ("server-network", "7-3")]),
        ("server", "7", {"networks": [{}]}, [("server", "7")]),
        ("load-balancer-target", "lb-srv-tgt-7-4", {"type": "server"}, []),
        ("subnet", "3-10.0.0.0/24", {}, [("subnet", "3-10.0.0.0/24")]),
        ("load-balancer-service", "4__443", {}, [("load-balancer-service", "4__443")]),
        (
            "load-balancer-target",
            "lb-label-selector-tgt-1234-4",
            {"loadBalancerId": 4.0, "type": "label_selector", "labelSelector": "cluster=fsn1"},
            [("load-balancer-target", "4 label_selector cluster=fsn1")],
        ),
        (
            "load-balancer-target",
            "lb-srv-tgt-7-4",
            {"loadBalancerId": 4, "type": "server", "serverId": 7.0},
            [("load-balancer-target", "4 server 7")],
        ),
        (
            "load-balancer-target",
            "lb-ip-tgt-1-4",
            {"loadBalancerId": 4, "type": "ip", "ip": "10.1.8.2"},
            [("load-balancer-target", "4 ip 10.1.8.2")],
        ),
        ("ruleset", "zones/0/abc", {}, [("ruleset", "abc")]),
        ("dns-record", "abc", {}, [("dns-record", "abc")]),
        ("server", "", {}, []),
    ],
)
def test_a_resource_is_this_in_the_cloud(kind: str, id: str, outputs: dict, expected: list) -> None:
    assert list(keys(resource(kind, id, outputs=outputs))) == expected
