"""What goes wrong on the way: what is recorded, what is tried again and how often, and what is not."""

from typing import Any

import pytest

from sandbox.plugins.package import Package, PartiallyCreated, ProviderError
from sandbox.plugins.packages import open_package
from sandbox.plugins.packages.hcloud import Hcloud

from .cases import CASES, Case, certificate
from .conftest import LOCATION, Stack, public_key

EARLY = {
    "Network": "change_protection",
    "NetworkSubnet": "add_subnet",
    "NetworkRoute": "add_route",
    "Server": "create_server",
    "PrimaryIp": "change_protection",
    "Volume": "create_volume",
    "VolumeAttachment": "attach_volume",
    "LoadBalancer": "create_load_balancer",
    "LoadBalancerService": "add_service",
}
"""Types whose id the provider notes before this action is over."""

LATE = {
    "Firewall": "set_firewall_rules",
    "FirewallAttachment": "apply_firewall",
    "ServerNetwork": "attach_to_network",
    "LoadBalancerNetwork": "attach_to_network",
    "LoadBalancerTarget": "add_target",
}
"""Types whose id it notes afterwards."""


def waiting(stack: Stack, **configuration: Any) -> tuple[Stack, list[float]]:
    """The same clouds through a provider that does not really wait, and how long it would have."""
    waits: list[float] = []
    package = open_package("hcloud")
    assert isinstance(package, Hcloud)
    package.pause = lambda seconds: bool(waits.append(seconds))
    access = stack.package.api._client._client  # type: ignore[attr-defined]
    package.configure({"token": access._token, "endpoint": access._endpoint, **configuration})
    return Stack(package, stack.clouds, stack.client), waits


def refused(stack: Stack, path: str, code: str, *, method: str = "POST", **rule: Any) -> None:
    stack.fault(kind="status", method=method, path=path, status=422, code=code, **rule)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind in EARLY], ids=str)
def test_what_is_made_is_recorded_when_its_action_fails(stack: Stack, case: Case) -> None:
    given = case.given(stack)
    if EARLY[case.kind] == "change_protection":
        given["deleteProtection"] = True
    stack.fault(kind="action_error", path=f"^{EARLY[case.kind]}$", code="boom", message="host is on fire", times=1)
    partial, reason = stack.create_partially(case.kind, **given)
    assert "host is on fire (boom)" in reason
    stack.heal()
    # The engine asks for an update, whether or not anything differs.
    stack.update(partial, given)
    assert stack.refresh(partial)
    stack.update(partial, given)
    assert stack.refresh(partial)
    assert stack.diff(partial, given).changed == ()


@pytest.mark.parametrize("case", [case for case in CASES if case.kind in LATE], ids=str)
def test_what_the_provider_notes_late_is_not_recorded(stack: Stack, case: Case) -> None:
    given = case.given(stack)
    stack.fault(kind="action_error", path=f"^{LATE[case.kind]}$", code="boom", message="host is on fire", times=1)
    with pytest.raises(ProviderError, match="host is on fire") as failed:
        stack.create(case.kind, **given)
    assert not isinstance(failed.value, PartiallyCreated)


def test_a_server_that_could_not_be_attached_is_attached_later(stack: Stack) -> None:
    _, subnet = stack.network()
    stack.fault(kind="action_error", path="^attach_to_network$", times=1)
    given = {"name": "web", "serverType": "cx33", "image": "debian-13", **LOCATION}
    given |= {"networks": [{"subnetId": subnet.id, "ip": "10.0.1.9", "aliasIps": []}]}
    server, _ = stack.create_partially("Server", **given)
    # As with the real provider, the first update only sees how it is; the next makes it right.
    assert stack.update(server, given).changed == ()
    assert server.outputs.get("networks") == []
    assert stack.update(server, given).changed == ("networks",)
    assert [net.ip for net in stack.client.servers.get_by_id(server.number).private_net] == ["10.0.1.9"]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("Network", {"name": "net", "ipRange": "10.0.0.0/8"}),
        ("PrimaryIp", {"name": "ip", "type": "ipv4", "location": "fsn1"}),
        ("SshKey", {"name": "key", "publicKey": public_key()}),
        ("UploadedCertificate", dict(zip(("certificate", "privateKey"), certificate(), strict=True)) | {"name": "tls"}),
        ("Server", {"name": "web", "serverType": "cx33", "image": "debian-13", "location": "fsn1"}),
        ("LoadBalancer", {"name": "lb", "loadBalancerType": "lb11", "location": "fsn1"}),
    ],
)
def test_a_lost_answer_leaves_an_object_that_is_not_adopted(stack: Stack, kind: str, inputs: dict[str, Any]) -> None:
    stack.fault(kind="drop_after", method="POST", times=1)
    with pytest.raises(ProviderError, match=r"no answer .*it may have taken effect") as failed:
        stack.create(kind, **inputs)
    assert not isinstance(failed.value, PartiallyCreated)
    stack.heal()
    with pytest.raises(ProviderError, match="uniqueness_error"):
        stack.create(kind, **inputs)


def test_what_the_provider_counts_as_done_is_adopted_as_it_does(stack: Stack) -> None:
    """Memberships and targets: "already there" is success."""
    for case in CASES:
        if case.kind in ("ServerNetwork", "LoadBalancerTarget"):
            given = case.given(stack)
            first = stack.create(case.kind, **given)
            assert stack.create(case.kind, **given).id == first.id
            stack.delete(first)
            break


def test_a_load_balancer_in_another_network_is_not(stack: Stack) -> None:
    _, subnet = stack.network()
    balancer = stack.create("LoadBalancer", name="lb", loadBalancerType="lb11", **LOCATION)
    stack.create("LoadBalancerNetwork", loadBalancerId=balancer.number, subnetId=subnet.id)
    other = stack.create("Network", name="other", ipRange="172.16.0.0/16")
    place = {"networkId": other.number, "type": "cloud", "networkZone": "eu-central", "ipRange": "172.16.1.0/24"}
    stack.create("NetworkSubnet", **place)
    with pytest.raises(ProviderError, match="load_balancer_already_attached"):
        stack.create("LoadBalancerNetwork", loadBalancerId=balancer.number, networkId=other.number)


def test_attaching_is_tried_five_times(stack: Stack) -> None:
    stack, waits = waiting(stack)
    _, subnet = stack.network()
    server = stack.server()
    waits.clear()
    refused(stack, "/attach_to_network$", "no_subnet_available")
    calls = stack.asked(lambda: _fails(stack, "ServerNetwork", serverId=server.number, subnetId=subnet.id))
    assert calls == ["POST /servers/{id}/actions/attach_to_network"] * 5
    assert waits == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("kind", "inputs", "code", "times"),
    [
        ("NetworkSubnet", {"ipRange": "10.0.9.0/24"}, "vswitch_id_already_used", 5),
        ("NetworkSubnet", {"ipRange": "10.0.9.0/24"}, "locked", 1),
        ("NetworkRoute", {"destination": "10.100.0.0/16"}, "locked", 1),
        ("LoadBalancerService", {}, "service_error", 5),
        ("LoadBalancerService", {}, "locked", 1),
        ("LoadBalancerTarget", {}, "locked", 1),
        ("LoadBalancerNetwork", {}, "service_error", 5),
        ("VolumeAttachment", {}, "locked", 5),
    ],
)
def test_a_create_is_tried_again_as_often_as_the_provider_does(
    stack: Stack, kind: str, inputs: dict[str, Any], code: str, times: int
) -> None:
    stack, _ = waiting(stack)
    case = next(case for case in CASES if case.kind == kind)
    given = case.given(stack) | inputs
    refused(stack, "/actions/", code)
    calls = stack.asked(lambda: _fails(stack, kind, **given))
    assert sum(call.startswith("POST") for call in calls) == times


@pytest.mark.parametrize(
    ("kind", "method", "code", "times"),
    [
        ("Firewall", "DELETE", "resource_in_use", 10),
        ("Firewall", "DELETE", "locked", 1),
        ("PrimaryIp", "DELETE", "must_be_unassigned", 10),
        ("PrimaryIp", "DELETE", "protected", 1),
        ("Volume", "DELETE", "locked", 5),
        ("Network", "DELETE", "resource_in_use", 1),
        ("Server", "DELETE", "locked", 1),
        ("LoadBalancer", "DELETE", "locked", 1),
        ("UploadedCertificate", "DELETE", "resource_in_use", 1),
        ("PlacementGroup", "DELETE", "resource_in_use", 1),
        ("ServerNetwork", "POST", "locked", 5),
        ("LoadBalancerTarget", "POST", "locked", 5),
        ("LoadBalancerService", "POST", "service_error", 1),
        ("NetworkRoute", "POST", "service_error", 1),
    ],
)
def test_a_delete_is_tried_again_as_often_as_the_provider_does(
    stack: Stack, kind: str, method: str, code: str, times: int
) -> None:
    stack, _ = waiting(stack)
    case = next(case for case in CASES if case.kind == kind)
    resource = stack.create(kind, **case.given(stack) | ({"deleteProtection": False} if kind == "PrimaryIp" else {}))
    refused(stack, "/v1/", code, method=method)

    def fails() -> None:
        with pytest.raises(ProviderError, match=code):
            stack.delete(resource)

    assert sum(call.startswith(method) for call in stack.asked(fails)) == times


def test_a_subnet_in_use_is_tried_fifty_times_and_then_let_be(stack: Stack) -> None:
    stack, waits = waiting(stack)
    _, subnet = stack.network()
    server = stack.server(networks=[{"subnetId": subnet.id, "ip": "10.0.1.9", "aliasIps": []}])
    waits.clear()
    calls = stack.asked(lambda: stack.delete(subnet))
    assert calls == ["GET /networks/{id}", "POST /networks/{id}/actions/delete_subnet"] * 50
    assert waits[:6] == [1, 2, 4, 8, 16, 16]
    assert stack.refresh(subnet)
    stack.delete(server)
    stack.delete(subnet)
    assert not stack.refresh(subnet)


def test_waits_shrink_with_the_interval_of_questions(stack: Stack) -> None:
    stack, waits = waiting(stack, pollInterval="50ms", pollFunction="constant")
    ip = stack.create("PrimaryIp", name="ip", type="ipv4", **LOCATION)
    refused(stack, "/primary_ips/", "locked", method="DELETE", times=3)
    stack.delete(ip)
    assert waits == pytest.approx([0.1, 0.2, 0.4])


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({}, [0.5, 1, 2, 4, 8, 16, 32, 60, 60]),
        ({"pollInterval": "2s"}, [2, 4, 8, 16, 32, 60]),
        ({"pollInterval": "1s", "pollFunction": "constant"}, [1, 1, 1, 1]),
    ],
)
def test_questions_for_an_action_grow_rarer_unless_told(
    stack: Stack, configuration: dict[str, str], expected: list[float]
) -> None:
    stack, waits = waiting(stack, **configuration)
    package = stack.package
    assert isinstance(package, Hcloud)

    def pause(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == len(expected)

    package.api._pause = pause
    stack.fault(kind="action_stuck", path="^create_volume$", times=1)
    _, reason = stack.create_partially("Volume", name="data", size=10, **LOCATION)
    assert waits == expected
    assert reason == "cancelled while an action was running"


def test_a_cancelled_provider_waits_no_longer_and_records_what_it_made(stack: Stack) -> None:
    stack.fault(kind="action_stuck", path="^create_volume$", times=1)
    stack.package.cancel()
    volume, reason = stack.create_partially("Volume", name="data", size=10, **LOCATION)
    assert "cancelled" in reason
    assert stack.client.volumes.get_by_id(volume.number).name == "data"


def test_an_update_that_failed_half_way_goes_on(stack: Stack) -> None:
    _, subnet = stack.network()
    net = {"subnetId": subnet.id, "ip": "10.0.1.9", "aliasIps": []}
    server = stack.server(networks=[net])
    before = (server.inputs, server.outputs)
    refused(stack, "/attach_to_network$", "ip_not_available", times=1)
    wanted = server.inputs | {"networks": [net | {"ip": "10.0.1.10"}], "labels": {"a": "1"}}
    with pytest.raises(ProviderError, match="ip_not_available"):
        stack.update(server, wanted)
    assert (server.inputs, server.outputs) == before
    stack.update(server, wanted)
    found = stack.client.servers.get_by_id(server.number)
    assert ([each.ip for each in found.private_net], found.labels) == (["10.0.1.10"], {"a": "1"})


def test_a_primary_ip_is_taken_from_its_server_first(stack: Stack) -> None:
    ip = stack.create("PrimaryIp", name="ip", type="ipv4", **LOCATION)
    server = stack.server(publicNets=[{"ipv4": ip.number, "ipv6Enabled": False}])
    assert stack.refresh(ip)
    assert ip.outputs["assigneeId"] == server.number
    calls = stack.asked(lambda: stack.delete(ip))
    posts = [call.rpartition("/")[2] for call in calls if call.startswith("POST")]
    assert posts == ["poweroff", "unassign", "poweron"]
    assert not stack.refresh(ip)
    # Without any address and network it cannot start: the provider does not mind.
    assert stack.client.servers.get_by_id(server.number).status == "off"


def _fails(stack: Stack, kind: str, **inputs: Any) -> None:
    with pytest.raises(ProviderError):
        stack.create(kind, **inputs)


def test_errors_name_the_request_and_the_code(stack: Stack) -> None:
    with pytest.raises(ProviderError, match=r"\(invalid_input, POST /networks\)"):
        stack.create("Network", name="net", ipRange="8.8.8.0/24")


def test_a_provider_that_is_not_configured_says_so() -> None:
    package: Package = open_package("hcloud")
    with pytest.raises(ProviderError, match="is not configured"):
        package.call("hcloud:index/getNetworks:getNetworks", {})
