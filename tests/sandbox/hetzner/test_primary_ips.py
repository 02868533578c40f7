"""Primary IPs: whose they are, who may have them, and what the API refuses."""

from typing import Any

import pytest
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers.domain import LoadBalancerCreatePublicNetwork
from hcloud.locations import Location
from hcloud.primary_ips import BoundPrimaryIP
from hcloud.servers import BoundServer, ServerCreatePublicNetwork

from .emulator import Emulator
from .test_servers import create, refusal

BODY = {"name": "ip", "type": "ipv4", "location": "fsn1"}


def add(
    emulator: Emulator, name: str = "ip", type: str = "ipv4", location: str = "fsn1", **more: Any
) -> BoundPrimaryIP:
    answer = emulator.client.primary_ips.create(type=type, name=name, location=Location(name=location), **more)
    assert answer.action is None
    return answer.primary_ip


def stopped(emulator: Emulator, name: str = "a", **public: bool) -> BoundServer:
    return create(emulator, name, start_after_create=False, public_net=ServerCreatePublicNetwork(**public))


def test_addresses_of_both_families(emulator: Emulator) -> None:
    ipv4, ipv6 = add(emulator, "four", labels={"a": "b"}), add(emulator, "six", "ipv6")
    assert ipv4.ip.startswith("127.250.")
    assert ipv6.ip.startswith("2001:db8:")
    assert ipv6.ip.endswith("/64")
    assert (ipv4.assignee_type, ipv4.assignee_id, ipv4.auto_delete) == ("unassigned", None, False)
    assert emulator.client.primary_ips.get_list(ip=ipv4.ip).primary_ips == [ipv4]
    assert emulator.client.primary_ips.get_all(label_selector="a=b") == [ipv4]
    assert ipv4.update(name="other", auto_delete=True).auto_delete is True


def test_a_location_may_be_told_by_id(emulator: Emulator) -> None:
    location = emulator.client.locations.get_by_name("hel1")
    assert emulator.client.primary_ips.create("ipv4", "ip", location=location).primary_ip.location.name == "hel1"


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        ({"type": "ipv5"}, ["type"]),
        ({"location": None}, ["location"]),
        ({"location": "moon"}, ["location"]),
        ({"location": 99}, ["location"]),
        ({"assignee_id": 1}, ["location", "assignee_id"]),
        ({"datacenter": "fsn1-dc14"}, ["datacenter"]),
        ({"assignee_type": "volume"}, ["assignee_type"]),
        ({"auto_delete": "yes"}, ["auto_delete"]),
    ],
)
def test_a_wrong_one_is_refused_by_field(emulator: Emulator, more: dict[str, Any], fields: list[str]) -> None:
    assert emulator.refused("POST", "/primary_ips", {**BODY, **more}) == (422, "invalid_input", fields)
    assert emulator.ask("GET", "/primary_ips").json()["primary_ips"] == []


def test_it_is_made_in_a_place_or_for_a_server(emulator: Emulator) -> None:
    nowhere = {"name": "ip", "type": "ipv4"}
    assert emulator.refused("POST", "/primary_ips", nowhere) == (422, "invalid_input", ["location", "assignee_id"])
    server = stopped(emulator, enable_ipv4=False)
    body = {"name": "ip", "type": "ipv4", "assignee_type": "server", "assignee_id": server.id}
    answer = emulator.ask("POST", "/primary_ips", body)
    assert answer.status_code == 201
    assert answer.json()["action"]["command"] == "assign_primary_ip"
    server.reload()
    assert server.public_net.ipv4.ip == answer.json()["primary_ip"]["ip"]
    assert emulator.refused("POST", "/primary_ips", {**body, "name": "b"})[:2] == (422, "server_has_ipv4")
    running = create(emulator, "running", public_net=ServerCreatePublicNetwork(enable_ipv4=False))
    late = {**body, "name": "c", "assignee_id": running.id}
    assert emulator.refused("POST", "/primary_ips", late)[:2] == (422, "server_not_stopped")
    assert emulator.refused("POST", "/primary_ips", {**late, "assignee_id": 1})[:2] == (404, "not_found")
    wrong = {**body, "name": "d", "assignee_type": "load_balancer"}
    assert emulator.refused("POST", "/primary_ips", wrong) == (422, "invalid_input", ["assignee_type"])


def test_assigning_needs_the_server_off_and_in_the_same_place(emulator: Emulator) -> None:
    address, server = add(emulator), stopped(emulator, enable_ipv4=False)
    address.assign(server.id, "server").wait_until_finished()
    server.reload()
    assert server.public_net.ipv4.ip == address.ip
    second = add(emulator, "second")
    assert refusal(lambda: second.assign(server.id, "server")) == "server_has_ipv4"
    assert refusal(lambda: address.assign(server.id, "server")) == "primary_ip_already_assigned"
    assert refusal(address.delete) == "must_be_unassigned"
    server.power_on().wait_until_finished()
    assert emulator.machines.servers[server.id].public_ipv4 == address.ip
    assert refusal(address.unassign) == "server_not_stopped"
    server.power_off().wait_until_finished()
    address.unassign().wait_until_finished()
    assert refusal(address.unassign) == "primary_ip_not_assigned"
    server.reload()
    assert server.public_net.ipv4 is None
    elsewhere = add(emulator, "elsewhere", location="hel1")
    assert refusal(lambda: elsewhere.assign(server.id, "server")) == "invalid_input"
    assert refusal(lambda: second.assign(1, "server")) == "not_found"
    assert refusal(lambda: second.assign(server.id, "load_balancer")) == "invalid_input"
    server.power_on().wait_until_finished()
    assert refusal(lambda: second.assign(server.id, "server")) == "server_not_stopped"
    assert address.delete()


def test_both_families_can_be_assigned(emulator: Emulator) -> None:
    six = add(emulator, "six", "ipv6")
    server = stopped(emulator, enable_ipv6=False)
    six.assign(server.id, "server").wait_until_finished()
    assert refusal(lambda: add(emulator, "more", "ipv6").assign(server.id, "server")) == "server_has_ipv6"


def test_protection_and_automatic_deletion_exclude_each_other(emulator: Emulator) -> None:
    address = add(emulator)
    address.change_protection(delete=True).wait_until_finished()
    assert refusal(address.delete) == "protected"
    assert refusal(lambda: address.update(auto_delete=True)) == "invalid_input"
    address.change_protection(delete=False).wait_until_finished()
    address.update(auto_delete=True)
    assert refusal(lambda: address.change_protection(delete=True)) == "invalid_input"
    assert emulator.refused("POST", f"/primary_ips/{address.id}/actions/change_protection", {}) == (
        422,
        "invalid_input",
        ["delete"],
    )
    assert address.delete()


def test_reverse_names(emulator: Emulator) -> None:
    four, six = add(emulator), add(emulator, "six", "ipv6")
    default = four.dns_ptr
    four.change_dns_ptr(four.ip, "a.example.com").wait_until_finished()
    inside = six.ip.replace("/64", "5")
    six.change_dns_ptr(inside, "six.example.com").wait_until_finished()
    four.reload()
    six.reload()
    assert four.dns_ptr == [{"ip": four.ip, "dns_ptr": "a.example.com"}]
    assert six.dns_ptr == [{"ip": inside, "dns_ptr": "six.example.com"}]
    four.change_dns_ptr(four.ip, None).wait_until_finished()
    four.reload()
    assert four.dns_ptr == default
    assert refusal(lambda: six.change_dns_ptr(four.ip, "x")) == "invalid_input"


def test_a_load_balancer_keeps_its_own(emulator: Emulator) -> None:
    address = add(emulator)
    answer = emulator.client.load_balancers.create(
        "lb",
        LoadBalancerType(name="lb11"),
        location=Location(name="fsn1"),
        public_net=LoadBalancerCreatePublicNetwork(ipv4=address),
    )
    balancer = answer.load_balancer
    address.reload()
    assert (address.assignee_type, address.assignee_id) == ("load_balancer", balancer.id)
    assert balancer.public_net.ipv4.ip == address.ip
    assert refusal(address.unassign) == "invalid_input"
    assert refusal(address.delete) == "must_be_unassigned"
    emulator.ask("DELETE", f"/load_balancers/{balancer.id}")
    kept = emulator.client.primary_ips.get_all()
    assert [(each.id, each.assignee_type) for each in kept] == [(address.id, "unassigned")]


def test_addresses_are_unique_over_all_projects(emulator: Emulator) -> None:
    other = emulator.call(lambda: emulator.cloud.add_project("other", "o" * 64))
    given = {add(emulator, f"ip{number}").ip for number in range(5)}
    for number in range(5):
        answer = emulator.ask("POST", "/primary_ips", {**BODY, "name": f"ip{number}"}, token=other.token)
        given.add(answer.json()["primary_ip"]["ip"])
    assert len(given) == 10


def test_there_are_only_so_many_addresses(emulator: Emulator) -> None:
    pool = emulator.cloud.settings.addresses
    taken = {str(pool.network[number]) for number in range(1, 2**15)}
    assert pool.ipv4(lambda address: address in taken) is None
    assert pool.ipv4(lambda address: address in taken and not address.endswith(".7.9")) == "127.250.7.9"
