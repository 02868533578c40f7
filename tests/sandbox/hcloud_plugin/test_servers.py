"""Servers: the order of calls, what changes in place, and what stands in the way."""

import base64
import hashlib
from typing import Any

import pytest

from sandbox.plugins.package import ProviderError

from .conftest import Stack, public_key

PRIVATE = [{"ipv4Enabled": False, "ipv6Enabled": False}]
POLL = "GET /actions"


def of(stack: Stack, id: int) -> Any:
    return stack.client.servers.get_by_id(id)


def action(name: str) -> str:
    return f"POST /servers/{{id}}/actions/{name}"


def test_a_private_server_is_attached_before_it_starts_and_protected_last(stack: Stack) -> None:
    _, subnet = stack.network()
    key = stack.create("SshKey", name="key", publicKey=public_key())
    group = stack.create("PlacementGroup", name="spread", type="spread")
    calls = stack.asked(
        lambda: stack.server(
            networks=[{"subnetId": subnet.id, "ip": "10.0.1.9", "aliasIps": []}],
            publicNets=PRIVATE,
            sshKeys=[key.id],
            placementGroupId=group.number,
            deleteProtection=True,
            rebuildProtection=True,
        )
    )
    looked_up = ["GET /server_types", "GET /images", "GET /ssh_keys/{id}", "GET /placement_groups/{id}"]
    attached = [action("attach_to_network"), POLL, action("poweron"), POLL]
    finished = [action("change_protection"), "GET /servers/{id}"]
    assert calls == [*looked_up, "POST /servers", POLL, *attached, *finished]
    assert len(calls) == 12
    server = of(stack, stack.made[-1].number)
    assert (server.status, server.private_net[0].ip) == ("running", "10.0.1.9")
    assert server.protection == {"delete": True, "rebuild": True}
    assert stack.made[-1].outputs["ipv4Address"] == ""


def test_a_public_server_starts_at_once(stack: Stack) -> None:
    calls = stack.asked(stack.server)
    assert calls == [*("GET /server_types", "GET /images", "POST /servers"), POLL, POLL, "GET /servers/{id}"]
    assert stack.made[-1].outputs["ipv4Address"].startswith("127.")


def test_the_state_knows_user_data_by_its_hash(stack: Stack) -> None:
    data = "#cloud-config\nruncmd: [true]\n"
    server = stack.server(userData=data)
    digest = base64.b64encode(hashlib.sha1(data.encode()).digest()).decode()
    assert server.outputs["userData"] == digest
    assert server.inputs["userData"] == data
    assert stack.refresh(server)
    assert (server.inputs["userData"], server.outputs["userData"]) == (data, digest)
    assert stack.diff(server, server.inputs | {"userData": data + "\n"}).replaces == ("userData",)
    stack.update(server, server.inputs | {"labels": {"a": "1"}})
    assert server.outputs["userData"] == digest


@pytest.mark.parametrize("keep", [True, False])
def test_another_type_is_taken_while_it_is_off_and_the_api_starts_it_again(stack: Stack, keep: bool) -> None:
    server = stack.server(serverType="cpx22", keepDisk=keep)
    disk = server.outputs["primaryDiskSize"]
    calls = stack.asked(lambda: stack.update(server, server.inputs | {"serverType": "cpx32"}))
    changed = [action("poweroff"), POLL, action("change_type"), POLL]
    assert calls == ["GET /servers/{id}", *changed, "GET /servers/{id}"]
    assert of(stack, server.number).status == "running"
    assert (server.outputs["primaryDiskSize"] == disk) is keep


def test_networks_change_in_place(stack: Stack) -> None:
    network, subnet = stack.network()
    other = stack.create("Network", name="other", ipRange="172.16.0.0/16")
    place = {"networkId": other.number, "type": "cloud", "networkZone": "eu-central", "ipRange": "172.16.1.0/24"}
    far = stack.create("NetworkSubnet", **place)
    first = {"subnetId": subnet.id, "ip": "10.0.1.9", "aliasIps": []}
    server = stack.server(networks=[first])

    def become(*networks: Any) -> tuple[list[str], dict[int, tuple[str, list[str]]]]:
        calls = stack.asked(lambda: stack.update(server, server.inputs | {"networks": list(networks)}))
        assert stack.diff(server, server.inputs).changed == ()
        net = of(stack, server.number).private_net
        return [call.rpartition("/")[2] for call in calls if call.startswith("POST")], {
            each.network.id: (each.ip, each.alias_ips) for each in net
        }

    aliased = first | {"aliasIps": ["10.0.1.20"]}
    assert become(aliased) == (["change_alias_ips"], {network.number: ("10.0.1.9", ["10.0.1.20"])})
    moved = first | {"ip": "10.0.1.10"}
    assert become(moved) == (["detach_from_network", "attach_to_network"], {network.number: ("10.0.1.10", [])})
    second = {"subnetId": far.id, "ip": "172.16.1.9", "aliasIps": []}
    both = {network.number: ("10.0.1.10", []), other.number: ("172.16.1.9", [])}
    assert become(second, moved) == (["attach_to_network"], both)
    assert become(second) == (["detach_from_network"], {other.number: ("172.16.1.9", [])})


def test_an_attachment_made_by_hand_is_taken_away(stack: Stack) -> None:
    _, subnet = stack.network()
    server = stack.server(networks=[{"subnetId": subnet.id, "ip": "10.0.1.9", "aliasIps": []}])
    other = stack.create("Network", name="other", ipRange="172.16.0.0/16")
    place = {"networkId": other.number, "type": "cloud", "networkZone": "eu-central", "ipRange": "172.16.1.0/24"}
    stack.create("NetworkSubnet", **place)
    given = server.inputs
    of(stack, server.number).attach_to_network(stack.client.networks.get_by_id(other.number)).wait_until_finished()
    assert stack.refresh(server)
    assert stack.update(server, given).changed == ("networks",)
    assert [net.ip for net in of(stack, server.number).private_net] == ["10.0.1.9"]


def test_networks_that_are_resources_of_their_own_are_none_of_the_servers(stack: Stack) -> None:
    network, _ = stack.network()
    server = stack.server()
    stack.create("ServerNetwork", serverId=server.number, networkId=network.number, ip="10.0.1.7")
    given = server.inputs
    assert stack.refresh(server)
    assert "networks" not in server.outputs
    assert stack.diff(server, given).changed == ()


def test_backups_firewalls_and_protection_change_by_a_call_each(stack: Stack) -> None:
    walls = [stack.create("Firewall", name=f"wall-{number}").number for number in range(3)]
    server = stack.server(firewallIds=walls[:2])

    def become(**inputs: Any) -> list[str]:
        calls = stack.asked(lambda: stack.update(server, server.inputs | inputs))
        return [call.rpartition("/")[2] for call in calls if call.startswith("POST")]

    assert become(firewallIds=walls[1:]) == ["remove_from_resources", "apply_to_resources"]
    assert sorted(server.outputs["firewallIds"]) == walls[1:]
    assert become(backups=True) == ["enable_backup"]
    assert become(backups=False) == ["disable_backup"]
    assert become(deleteProtection=True, rebuildProtection=True) == ["change_protection"]
    with pytest.raises(ProviderError, match="protected"):
        stack.delete(server)
    assert become(deleteProtection=False, rebuildProtection=False) == ["change_protection"]


def test_protection_and_groups_set_by_hand_are_drift(stack: Stack) -> None:
    group = stack.create("PlacementGroup", name="spread", type="spread")
    server = stack.server(placementGroupId=group.number)
    given = server.inputs
    actual = of(stack, server.number)
    actual.change_protection(delete=True, rebuild=True).wait_until_finished()
    actual.power_off().wait_until_finished()
    actual.remove_from_placement_group().wait_until_finished()
    assert stack.refresh(server)
    assert stack.update(server, given).changed == ("deleteProtection", "placementGroupId", "rebuildProtection")
    assert of(stack, server.number).placement_group.id == group.number
    assert of(stack, server.number).protection == {"delete": False, "rebuild": False}


def test_the_provider_moves_no_running_server_to_another_group(stack: Stack) -> None:
    groups = [stack.create("PlacementGroup", name=name, type="spread").number for name in ("one", "two")]
    server = stack.server(placementGroupId=groups[0])
    with pytest.raises(ProviderError, match="removing a running server from a placement group is not supported"):
        stack.update(server, server.inputs | {"placementGroupId": groups[1]})
    of(stack, server.number).power_off().wait_until_finished()
    stack.update(server, server.inputs | {"placementGroupId": groups[1]})
    assert of(stack, server.number).placement_group.id == groups[1]


def test_public_addresses_change_while_it_is_off(stack: Stack) -> None:
    own = stack.create("PrimaryIp", name="own", type="ipv4", location="fsn1")
    server = stack.server(publicNets=[{"ipv4Enabled": True, "ipv6Enabled": False}])
    automatic = of(stack, server.number).public_net.primary_ipv4.id

    def become(**net: Any) -> Any:
        stack.update(server, server.inputs | {"publicNets": [net]})
        found = of(stack, server.number)
        assert found.status == "running"
        return found.public_net

    assert become(ipv4Enabled=True, ipv4=own.number, ipv6Enabled=False).primary_ipv4.id == own.number
    assert automatic not in {each.id for each in stack.client.primary_ips.get_all()}
    assert server.outputs["ipv4Address"] == own.outputs["ipAddress"]
    generated = become(ipv4Enabled=True, ipv6Enabled=True)
    assert generated.primary_ipv4.id != own.number
    assert generated.primary_ipv6 is not None
    assert stack.client.primary_ips.get_by_id(own.number).assignee_id is None
    assert become(ipv4Enabled=False, ipv6Enabled=True).primary_ipv4 is None
    with pytest.raises(ProviderError, match="this operation is not allowed"):
        become(ipv4Enabled=False, ipv4=own.number, ipv6Enabled=True)
    assert of(stack, server.number).status == "running"


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"serverType": "moon"}, "server type moon not found"),
        ({"image": "moon"}, "image moon not found"),
        ({"sshKeys": ["moon"]}, "SSH key moon not found"),
        ({"placementGroupId": 42}, "placement group not found: 42"),
        ({"location": "moon"}, "invalid_input"),
    ],
)
def test_what_it_needs_must_exist(stack: Stack, inputs: dict[str, Any], said: str) -> None:
    with pytest.raises(ProviderError, match=said):
        stack.server(**inputs)
    assert stack.client.servers.get_all() == []


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        ([{"ip": "10.0.1.9"}], "must specify either networkId or subnetId"),
        ([{"networkId": 1}, {"subnetId": "1-10.0.1.0/24"}], "attached to each network once: 1"),
        ([{"subnetId": "1-10.0.1.0/24", "ip": "10.0.2.9"}], "is outside subnet IP range"),
    ],
)
def test_networks_that_cannot_be_are_refused_before(stack: Stack, networks: list[Any], said: str) -> None:
    (failure,) = stack.check("Server", serverType="cx33", image="debian-13", networks=networks)
    assert said in failure
    assert stack.asked() == []


def test_a_server_is_deleted_by_one_request_and_one_question(stack: Stack) -> None:
    server = stack.server()
    assert stack.asked(lambda: stack.delete(server)) == ["DELETE /servers/{id}", POLL]


def test_it_is_shut_down_before_when_that_is_said(stack: Stack) -> None:
    server = stack.server(shutdownBeforeDeletion=True)
    ended = [action("shutdown"), POLL, "GET /servers/{id}", "DELETE /servers/{id}", POLL]
    assert stack.asked(lambda: stack.delete(server)) == ended


def test_one_that_does_not_shut_down_is_deleted_all_the_same(stack: Stack) -> None:
    server = stack.server(shutdownBeforeDeletion=True)
    table = stack.clouds.clouds.world.latencies.table
    stack.clouds.call(lambda: table.update(shutdown=3600.0))
    try:
        calls = stack.asked(lambda: stack.delete(server))
    finally:
        stack.clouds.call(lambda: table.pop("shutdown"))
    assert calls.count("GET /servers/{id}") == 5
    assert not stack.refresh(server)


def test_a_gone_server_is_also_looked_for_by_a_name_that_reads_as_its_id(stack: Stack) -> None:
    server = stack.server()
    stack.delete(server)
    assert stack.asked(lambda: stack.refresh(server)) == ["GET /servers/{id}", "GET /servers"]
