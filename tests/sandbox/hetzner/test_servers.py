"""Servers, through the official client, and what the API refuses."""

from typing import Any

import pytest
from hcloud import APIException
from hcloud.firewalls import Firewall, FirewallRule
from hcloud.images import Image
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import LoadBalancerTarget, LoadBalancerTargetLabelSelector
from hcloud.locations import Location
from hcloud.networks import BoundNetwork, NetworkSubnet
from hcloud.placement_groups import PlacementGroup
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer, ServerCreatePublicNetwork
from hcloud.ssh_keys import SSHKey

from sandbox.hetzner import AddressPool, Catalogue, Settings

from .emulator import Emulator
from .test_core import fault, public_key

BODY = {"name": "a", "server_type": "cpx22", "image": "debian-13", "location": "fsn1"}


def create(emulator: Emulator, name: str = "a", **more: Any) -> BoundServer:
    client = emulator.client
    given = {"server_type": ServerType(name="cpx22"), "image": Image(name="debian-13"), **more}
    answer = client.servers.create(name, location=Location(name="fsn1"), **given)
    for action in (answer.action, *answer.next_actions):
        action.wait_until_finished()
    return client.servers.get_by_id(answer.server.id)


def add_network(emulator: Emulator, name: str = "net", ip_range: str = "10.0.0.0/16") -> BoundNetwork:
    subnet = NetworkSubnet(type="cloud", network_zone="eu-central", ip_range=ip_range.replace("/16", "/24"))
    return emulator.client.networks.create(name, ip_range, subnets=[subnet])


def refusal(work: Any) -> str:
    """The code that the official client is told."""
    with pytest.raises(APIException) as refused:
        work()
    return str(refused.value.code)


# -- creating


def test_a_server_is_created_and_runs(emulator: Emulator) -> None:
    answer = emulator.ask("POST", "/servers", {**BODY, "labels": {"role": "server"}, "user_data": "#cloud-config\n"})
    assert answer.status_code == 201
    told = answer.json()
    assert told["server"]["status"] == "initializing"
    assert (told["action"]["command"], told["action"]["status"]) == ("create_server", "running")
    assert [each["command"] for each in told["next_actions"]] == ["start_server"]
    assert len(told["root_password"]) >= 16
    server = emulator.client.servers.get_by_name("a")
    assert server is not None
    assert server.status == "running"
    assert server.labels == {"role": "server"}
    assert server.public_net.ipv4.ip.startswith("127.250.")
    assert server.public_net.ipv6.ip.endswith("::/64")
    facts = emulator.machines.servers[server.id]
    assert (facts.name, facts.user_data, facts.public_ipv4) == ("a", "#cloud-config\n", server.public_net.ipv4.ip)
    assert (facts.location, facts.server_type, dict(facts.labels)) == ("fsn1", "cpx22", {"role": "server"})


def test_ids_stand_for_names_as_the_client_sends_them(emulator: Emulator) -> None:
    client = emulator.client
    key = client.ssh_keys.create("key", public_key(1))
    answer = client.servers.create(
        "a",
        client.server_types.get_by_name("cpx22"),  # type: ignore[arg-type]
        client.images.get_by_name_and_architecture("debian-13", "x86"),  # type: ignore[arg-type]
        location=client.locations.get_by_name("hel1"),
        ssh_keys=[key],
    )
    assert answer.root_password is None
    assert answer.server.location.name == "hel1"
    assert answer.server.image.name == "debian-13"
    again = create(emulator, "b", ssh_keys=[SSHKey(name="key")])
    assert again.server_type.name == "cpx22"


def test_the_image_fits_the_types_architecture(emulator: Emulator) -> None:
    arm = create(emulator, server_type=ServerType(name="cax11"))
    assert arm.image.architecture == "arm"
    x86 = emulator.client.images.get_by_name_and_architecture("debian-13", "x86")
    assert x86 is not None
    body = {**BODY, "name": "b", "server_type": "cax11", "image": x86.id}
    assert emulator.refused("POST", "/servers", body) == (422, "invalid_input", ["image"])


def test_a_server_may_stay_off(emulator: Emulator) -> None:
    server = create(emulator, start_after_create=False)
    assert server.status == "off"
    assert emulator.machines.told == []
    server.power_on().wait_until_finished()
    server.reload()
    assert server.status == "running"
    assert emulator.machines.of(server.id) == ["power_on"]


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "a_b"}, ["name"]),
        ({"name": "-a"}, ["name"]),
        ({"name": "a."}, ["name"]),
        ({"name": "../a"}, ["name"]),
        ({"name": "a\n"}, ["name"]),
        ({"name": "ä"}, ["name"]),
        ({"name": "a" * 64}, ["name"]),
        ({"server_type": "cx31"}, ["server_type"]),
        ({"server_type": 7}, ["server_type"]),
        ({"server_type": True}, ["server_type"]),
        ({"image": "debian-5"}, ["image"]),
        ({"image": None}, ["image"]),
        ({"location": "moon"}, ["location"]),
        ({"location": "ash"}, ["server_type"]),
        ({"datacenter": "fsn1-dc14"}, ["datacenter"]),
        ({"user_data": "x" * 32_769}, ["user_data"]),
        ({"user_data": "ä" * 16_385}, ["user_data"]),
        ({"ssh_keys": ["nobody"]}, ["ssh_keys"]),
        ({"ssh_keys": [{"id": 1}]}, ["ssh_keys"]),
        ({"networks": ["1"]}, ["networks"]),
        ({"firewalls": [1]}, ["firewalls"]),
        ({"firewalls": [{"id": 1}]}, ["firewalls.firewall", "firewalls.id"]),
        ({"public_net": {"enable_ipv4": "no"}}, ["public_net.enable_ipv4"]),
        ({"public_net": {"enable_ipv4": False, "ipv4": 1}}, ["public_net.ipv4"]),
        ({"public_net": {"enable_ipv4": False, "enable_ipv6": False}}, ["public_net"]),
        ({"placement_group": "g"}, ["placement_group"]),
        ({"automount": 1}, ["automount"]),
    ],
)
def test_a_wrong_server_is_refused_by_field_and_leaves_nothing(
    emulator: Emulator, more: dict[str, Any], fields: list[str]
) -> None:
    status, code, named = emulator.refused("POST", "/servers", {**BODY, **more})
    assert (status, code, sorted(named)) == (422, "invalid_input", fields)
    for kind in ("servers", "primary_ips"):
        assert emulator.ask("GET", f"/{kind}").json()[kind] == []


def test_user_data_may_have_32_kib(emulator: Emulator) -> None:
    assert emulator.ask("POST", "/servers", {**BODY, "user_data": "x" * 32_768}).status_code == 201


@pytest.mark.parametrize("part", ["networks", "volumes"])
def test_what_a_server_is_made_with_must_exist(emulator: Emulator, part: str) -> None:
    assert emulator.refused("POST", "/servers", {**BODY, part: [1]})[:2] == (404, "not_found")
    assert emulator.refused("POST", "/servers", {**BODY, "placement_group": 1})[:2] == (404, "not_found")
    assert emulator.refused("POST", "/servers", {**BODY, "firewalls": [{"firewall": 1}]})[:2] == (404, "not_found")


def test_a_project_has_so_many_servers(catalogue: Catalogue) -> None:
    settings = Settings(rate_limit=False, servers=1, addresses=AddressPool(250))
    with Emulator(catalogue, settings=settings) as emulator:
        create(emulator)
        answer = emulator.ask("POST", "/servers", {**BODY, "name": "b"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "resource_limit_exceeded")
        assert answer.json()["error"]["details"] == {"limits": [{"name": "server_limit"}]}


def test_a_deprecated_type_is_refused_once_it_is_unavailable(emulator: Emulator) -> None:
    type = emulator.cloud.catalogue.server_types["cpx22"]
    told = {"announced": "2026-01-01T00:00:00+00:00", "unavailable_after": "2199-01-01T00:00:00+00:00"}
    type["deprecation"] = told
    create(emulator, "a")
    type["deprecation"] = {**told, "unavailable_after": "2026-02-01T00:00:00+00:00"}
    assert emulator.refused("POST", "/servers", {**BODY, "name": "b"}) == (422, "invalid_input", ["server_type"])
    type["deprecation"] = None
    type["locations"][0]["deprecation"] = {**told, "unavailable_after": "2026-02-01T00:00:00+00:00"}
    assert emulator.refused("POST", "/servers", {**BODY, "name": "b"}) == (422, "invalid_input", ["server_type"])
    anywhere = {key: value for key, value in BODY.items() if key != "location"}
    assert emulator.made("/servers", {**anywhere, "name": "b"})["location"]["name"] == "nbg1"


# -- public addresses


def test_public_addresses_come_and_go_with_the_server(emulator: Emulator) -> None:
    server = create(emulator)
    addresses = {each.type: each for each in emulator.client.primary_ips.get_all()}
    assert set(addresses) == {"ipv4", "ipv6"}
    assert all(each.auto_delete and each.assignee_id == server.id for each in addresses.values())
    server.delete().wait_until_finished()
    assert emulator.client.primary_ips.get_all() == []
    assert create(emulator, "b").public_net.ipv4.ip != server.public_net.ipv4.ip, "addresses ascend"


def test_a_server_without_public_addresses_needs_a_network(emulator: Emulator) -> None:
    none = ServerCreatePublicNetwork(enable_ipv4=False, enable_ipv6=False)
    assert refusal(lambda: create(emulator, public_net=none)) == "invalid_input"
    isolated = create(emulator, public_net=none, start_after_create=False)
    assert (isolated.status, isolated.public_net.ipv4, isolated.public_net.ipv6) == ("off", None, None)
    assert refusal(isolated.power_on) == "invalid_input"
    isolated.attach_to_network(add_network(emulator)).wait_until_finished()
    isolated.power_on().wait_until_finished()
    assert emulator.machines.servers[isolated.id].public_ipv4 is None


def test_a_primary_ip_that_is_given_stays(emulator: Emulator) -> None:
    client = emulator.client
    kept = client.primary_ips.create(type="ipv4", name="kept", location=Location(name="fsn1")).primary_ip
    server = create(emulator, public_net=ServerCreatePublicNetwork(ipv4=kept, enable_ipv6=False))
    assert server.public_net.ipv4.ip == kept.ip
    taken = {**BODY, "name": "b", "public_net": {"ipv4": kept.id}}
    assert emulator.refused("POST", "/servers", taken)[:2] == (422, "primary_ip_assigned")
    server.delete().wait_until_finished()
    kept.reload()
    assert (kept.assignee_type, kept.assignee_id) == ("unassigned", None)
    family = {**BODY, "public_net": {"ipv6": kept.id}}
    assert emulator.refused("POST", "/servers", family)[:2] == (412, "primary_ip_version_mismatch")
    elsewhere = {**BODY, "location": "hel1", "public_net": {"ipv4": kept.id}}
    assert emulator.refused("POST", "/servers", elsewhere) == (422, "invalid_input", ["public_net.ipv4"])


def test_reverse_names(emulator: Emulator) -> None:
    server = create(emulator)
    ipv6 = server.public_net.ipv6.ip.replace("/64", "1")
    default = server.public_net.ipv4.dns_ptr
    server.change_dns_ptr(server.public_net.ipv4.ip, "a.example.com").wait_until_finished()
    server.change_dns_ptr(ipv6, "six.example.com").wait_until_finished()
    server.reload()
    assert server.public_net.ipv4.dns_ptr == "a.example.com"
    assert server.public_net.ipv6.dns_ptr == [{"ip": ipv6, "dns_ptr": "six.example.com"}]
    server.change_dns_ptr(server.public_net.ipv4.ip, None).wait_until_finished()
    server.change_dns_ptr(ipv6, None).wait_until_finished()
    server.reload()
    assert (server.public_net.ipv4.dns_ptr, server.public_net.ipv6.dns_ptr) == (default, [])
    for foreign in ("192.0.2.1", "2001:db8:ffff::1", "nothing"):
        assert refusal(lambda ip=foreign: server.change_dns_ptr(ip, "b")) == "invalid_input"


# -- power


def test_power(emulator: Emulator) -> None:
    server = create(emulator)

    def after(action: Any) -> str:
        action.wait_until_finished()
        server.reload()
        return str(server.status)

    assert after(server.power_on()) == "running", "a server that runs is left alone"
    assert after(server.power_off()) == "off"
    assert after(server.power_off()) == "off"
    assert refusal(server.shutdown) == "invalid_input"
    assert refusal(server.reboot) == "invalid_input"
    assert after(server.reset()) == "running"
    assert after(server.reboot()) == "running"
    told = ["power_on", "power_off", "power_off", "power_on", "power_off", "power_on"]
    assert emulator.machines.of(server.id) == told


def test_a_shutdown_takes_effect_after_its_action(catalogue: Catalogue) -> None:
    with Emulator(catalogue, latencies={"shutdown": 20}) as emulator:
        server = create(emulator)
        server.shutdown().wait_until_finished()
        server.reload()
        assert server.status == "running"
        emulator.jump(20)
        server.reload()
        assert server.status == "off"
        assert emulator.machines.of(server.id) == ["power_on", "power_off"]


def test_a_shutdown_of_the_past_stops_nothing(catalogue: Catalogue) -> None:
    with Emulator(catalogue, latencies={"shutdown": 20}) as emulator:
        server = create(emulator)
        server.shutdown().wait_until_finished()
        server.power_off().wait_until_finished()
        server.power_on().wait_until_finished()
        emulator.jump(20)
        server.reload()
        assert server.status == "running"
        gone = create(emulator, "gone")
        gone.shutdown().wait_until_finished()
        gone.delete().wait_until_finished()
        emulator.jump(20)
        assert emulator.machines.of(gone.id) == ["power_on", "delete"]


def test_a_rebuild_wipes_the_disk(catalogue: Catalogue) -> None:
    with Emulator(catalogue, latencies={"rebuild_server": 10}) as emulator:
        server = create(emulator, user_data="one")
        answer = emulator.ask("POST", f"/servers/{server.id}/actions/rebuild", {"image": "ubuntu-24.04"})
        assert answer.status_code == 201
        assert answer.json()["root_password"]
        server.reload()
        assert (server.status, server.image.name) == ("rebuilding", "ubuntu-24.04")
        assert emulator.machines.of(server.id) == ["power_on", "power_off"]
        emulator.jump(10)
        server.reload()
        assert server.status == "running"
        assert emulator.machines.of(server.id) == ["power_on", "power_off", "wipe"]
        path = f"/servers/{server.id}/actions/rebuild"
        assert emulator.refused("POST", path, {}) == (422, "invalid_input", ["image"])
        assert emulator.refused("POST", path, {"image": "x"}) == (422, "invalid_input", ["image"])
        long = {"image": "debian-13", "user_data": "x" * 32_769}
        assert emulator.refused("POST", path, long) == (422, "invalid_input", ["user_data"])


def test_another_type_needs_the_server_off_and_a_disk_as_large(emulator: Emulator) -> None:
    server = create(emulator)

    def change(name: str, *, upgrade_disk: bool = False) -> str | None:
        try:
            server.change_type(ServerType(name=name), upgrade_disk=upgrade_disk).wait_until_finished()
        except APIException as error:
            return str(error.code)
        server.reload()
        return None

    assert change("cpx32") == "server_not_stopped"
    server.power_off().wait_until_finished()
    assert change("cpx32") is None
    # The API starts it again by itself.
    assert (server.status, server.server_type.name, server.primary_disk_size) == ("running", "cpx32", 80)
    server.power_off().wait_until_finished()
    assert change("cpx22") is None, "the disk was not enlarged: there is a way back"
    server.power_off().wait_until_finished()
    assert change("cpx32", upgrade_disk=True) is None
    assert server.primary_disk_size == 160
    server.power_off().wait_until_finished()
    assert change("cpx22") == "invalid_server_type"
    assert change("cax21") == "invalid_server_type"
    assert change("moon") == "invalid_input"
    fault(emulator, "unavailable", path="cpx42", times=1)
    assert change("cpx42") == "resource_unavailable"
    assert server.server_type.name == "cpx32"


# -- networks


def test_a_server_in_networks_from_the_start(emulator: Emulator) -> None:
    net = add_network(emulator)
    answer = emulator.ask("POST", "/servers", {**BODY, "networks": [net.id]}).json()
    assert [each["command"] for each in answer["next_actions"]] == ["start_server", "attach_to_network"]
    private = answer["server"]["private_net"]
    assert [(each["network"], each["ip"], each["alias_ips"]) for each in private] == [(net.id, "10.0.0.2", [])]
    facts = emulator.machines.servers[answer["server"]["id"]]
    assert [(each.network_id, each.ip, each.mac) for each in facts.attachments] == [
        (net.id, "10.0.0.2", private[0]["mac_address"])
    ]


def test_new_servers_and_impossible_networks(emulator: Emulator) -> None:
    nets = [add_network(emulator, f"n{number}", f"10.{number}.0.0/16") for number in range(4)]
    wide = emulator.made("/networks", {"name": "wide", "ip_range": "10.0.0.0/8"})
    ids = [net.id for net in nets]

    def refused(networks: list[int]) -> tuple[int, str]:
        return emulator.refused("POST", "/servers", {**BODY, "networks": networks})[:2]

    assert refused(ids) == (403, "resource_limit_exceeded")
    assert refused([ids[0], ids[0]]) == (422, "invalid_input")
    assert refused([ids[0], wide["id"]]) == (422, "networks_overlap")
    assert refused([wide["id"]]) == (422, "no_subnet_available")
    assert emulator.ask("GET", "/servers").json()["servers"] == []
    assert create(emulator, networks=nets[:3]).private_net != []


def test_attaching_and_detaching(emulator: Emulator) -> None:
    net, other = add_network(emulator), add_network(emulator, "other", "10.9.0.0/16")
    overlapping = add_network(emulator, "overlapping", "10.0.0.0/16")
    server, second = create(emulator), create(emulator, "b")
    server.attach_to_network(net, ip="10.0.0.7", alias_ips=["10.0.0.8"]).wait_until_finished()
    server.reload()
    assert (server.private_net[0].ip, server.private_net[0].alias_ips) == ("10.0.0.7", ["10.0.0.8"])
    assert emulator.machines.servers[server.id].attachments[0].ip == "10.0.0.7"
    assert refusal(lambda: server.attach_to_network(net)) == "server_already_attached"
    assert refusal(lambda: server.attach_to_network(overlapping)) == "networks_overlap"
    for ip in ("10.0.0.7", "10.0.0.8", "10.0.0.1", "10.0.0.0", "10.0.0.255"):
        assert refusal(lambda ip=ip: second.attach_to_network(net, ip=ip)) == "ip_not_available"
    for ip in ("10.0.1.5", "192.168.0.1", "::1", "x"):
        assert refusal(lambda ip=ip: second.attach_to_network(net, ip=ip)) == "invalid_input"
    server.attach_to_network(other).wait_until_finished()
    assert refusal(lambda: server.detach_from_network(overlapping)) == "not_found"
    server.detach_from_network(net).wait_until_finished()
    server.reload()
    assert [each.network.id for each in server.private_net] == [other.id]
    second.attach_to_network(net, ip="10.0.0.7").wait_until_finished()
    assert emulator.machines.of(server.id) == ["power_on", "changed", "changed", "changed"]


def test_a_subnet_can_be_chosen(emulator: Emulator) -> None:
    net = add_network(emulator)
    subnet = NetworkSubnet(type="cloud", network_zone="eu-central", ip_range="10.0.5.0/24")
    net.add_subnet(subnet).wait_until_finished()
    server = create(emulator)
    body = {"network": net.id, "ip_range": "10.0.5.0/24"}
    path = f"/servers/{server.id}/actions/attach_to_network"
    assert emulator.refused("POST", path, {**body, "ip_range": "10.0.6.0/24"})[:2] == (422, "no_subnet_available")
    assert emulator.ask("POST", path, body).status_code == 201
    server.reload()
    assert server.private_net[0].ip == "10.0.5.1"


def test_an_attachment_that_fails_is_undone(emulator: Emulator) -> None:
    net, server = add_network(emulator), create(emulator)
    fault(emulator, "action_error", path="^attach_to_network$", times=1)
    with pytest.raises(Exception, match="injected fault"):
        server.attach_to_network(net).wait_until_finished()
    server.reload()
    assert server.private_net == []
    server.attach_to_network(net).wait_until_finished()


def test_alias_addresses(emulator: Emulator) -> None:
    net, server = add_network(emulator), create(emulator)
    server.attach_to_network(net).wait_until_finished()
    server.change_alias_ips(net, ["10.0.0.10", "10.0.0.11"]).wait_until_finished()
    server.change_alias_ips(net, ["10.0.0.11", "10.0.0.12"]).wait_until_finished()
    server.reload()
    assert server.private_net[0].alias_ips == ["10.0.0.11", "10.0.0.12"]
    for bad in (["10.0.0.2"], ["10.0.0.1"], ["10.0.0.13", "10.0.0.13"], ["10.9.9.9"]):
        assert refusal(lambda ips=bad: server.change_alias_ips(net, ips)) == "ip_not_available"
    assert refusal(lambda: server.change_alias_ips(net, ["x"])) == "invalid_input"
    server.reload()
    assert server.private_net[0].alias_ips == ["10.0.0.11", "10.0.0.12"]
    assert refusal(lambda: create(emulator, "b").change_alias_ips(net, [])) == "not_found"


# -- placement groups, protection, backups, snapshots


def test_a_placement_group_takes_ten(emulator: Emulator) -> None:
    group = emulator.client.placement_groups.create("group", "spread").placement_group
    servers = [create(emulator, f"s{number}", placement_group=group) for number in range(10)]
    eleventh = {**BODY, "placement_group": group.id}
    assert emulator.refused("POST", "/servers", eleventh)[:2] == (422, "placement_error")
    group.reload()
    assert group.servers == [server.id for server in servers]
    assert servers[0].placement_group is not None
    assert servers[0].placement_group.id == group.id
    assert refusal(group.delete) == "resource_in_use"
    late = create(emulator, "late")
    assert refusal(lambda: late.add_to_placement_group(group)) == "server_not_stopped"
    late.power_off().wait_until_finished()
    assert refusal(lambda: late.add_to_placement_group(group)) == "placement_error"
    assert refusal(lambda: late.add_to_placement_group(PlacementGroup(id=1))) == "not_found"
    servers[0].remove_from_placement_group().wait_until_finished()
    late.add_to_placement_group(group).wait_until_finished()
    assert refusal(lambda: late.add_to_placement_group(group)) == "already_in_placement_group"
    assert refusal(servers[0].remove_from_placement_group) == "not_in_placement_group"


def test_a_protected_server_is_neither_deleted_nor_rebuilt(emulator: Emulator) -> None:
    server = create(emulator)
    assert refusal(lambda: server.change_protection(delete=True)) == "invalid_input"
    server.change_protection(delete=True, rebuild=True).wait_until_finished()
    assert refusal(server.delete) == "protected"
    assert refusal(lambda: server.rebuild(Image(name="debian-13"))) == "protected"
    server.change_protection(delete=False, rebuild=False).wait_until_finished()
    server.delete().wait_until_finished()
    assert emulator.machines.of(server.id) == ["power_on", "delete"]


def test_backups_and_snapshots(emulator: Emulator) -> None:
    server = create(emulator)
    assert refusal(lambda: server.create_image(type="backup")) == "invalid_input"
    server.enable_backup().wait_until_finished()
    server.reload()
    assert server.backup_window == "22-02"
    backup = server.create_image(type="backup").image
    assert backup.data_model.bound_to.id == server.id  # type: ignore[union-attr]
    answer = server.create_image("before the change", labels={"keep": "yes"})
    image = answer.image
    assert image.status == "creating"
    answer.action.wait_until_finished()
    [listed] = emulator.client.images.get_all(label_selector="keep=yes", type=["snapshot"])
    assert (listed.id, listed.status) == (image.id, "available")
    copy = create(emulator, "copy", image=image)
    assert copy.image.id == image.id
    server.disable_backup().wait_until_finished()
    server.reload()
    assert server.backup_window is None


# -- changing and deleting


def test_a_changed_label_moves_the_server_between_load_balancers(emulator: Emulator) -> None:
    balancer = emulator.client.load_balancers.create(
        "lb",
        LoadBalancerType(name="lb11"),
        location=Location(name="fsn1"),
        targets=[
            LoadBalancerTarget(
                type="label_selector",
                label_selector=LoadBalancerTargetLabelSelector(selector="role=agent"),
                use_private_ip=False,
            )
        ],
    ).load_balancer
    server = create(emulator)
    assert emulator.machines.balancers[balancer.id].targets == ()
    server.update(name="b", labels={"role": "agent"})
    assert [each.server_id for each in emulator.machines.balancers[balancer.id].targets] == [server.id]
    assert emulator.machines.servers[server.id].name == "b"
    server.delete().wait_until_finished()
    assert emulator.machines.balancers[balancer.id].targets == ()


def test_a_server_takes_what_hangs_on_it_along(emulator: Emulator) -> None:
    client = emulator.client
    net = add_network(emulator)
    rule = FirewallRule(direction="in", protocol="icmp", source_ips=["0.0.0.0/0"])
    firewall = client.firewalls.create("wall", [rule]).firewall
    volume = client.volumes.create(10, "volume", location=Location(name="fsn1")).volume
    server = create(emulator, networks=[net], firewalls=[Firewall(id=firewall.id)], volumes=[volume])
    assert [each.id for each in server.volumes] == [volume.id]
    assert [each.firewall.id for each in server.public_net.firewalls] == [firewall.id]
    assert emulator.refused("POST", "/servers", {**BODY, "name": "b", "volumes": [volume.id]})[1] == "invalid_input"
    server.delete().wait_until_finished()
    for each in (net, firewall, volume):
        each.reload()
    assert (net.servers, firewall.applied_to, volume.server) == ([], [], None)
    assert refusal(lambda: client.servers.get_by_id(server.id)) == "not_found"
    for each in (volume, firewall, net):
        assert each.delete()


def test_a_server_is_deleting_until_it_is_gone(catalogue: Catalogue) -> None:
    with Emulator(catalogue, latencies={"delete_server": 4}) as emulator:
        server = create(emulator)
        answer = emulator.ask("DELETE", f"/servers/{server.id}")
        assert (answer.status_code, answer.json()["action"]["command"]) == (200, "delete_server")
        assert emulator.ask("GET", f"/servers/{server.id}").json()["server"]["status"] == "deleting"
        assert refusal(server.delete) == "locked"
        assert len(emulator.client.primary_ips.get_all()) == 2
        emulator.jump(4)
        assert emulator.refused("GET", f"/servers/{server.id}")[:2] == (404, "not_found")
        assert emulator.client.primary_ips.get_all() == []
        told = emulator.ask("GET", f"/actions/{answer.json()['action']['id']}").json()["action"]
        assert told["status"] == "success", "the action outlives its server"


def test_servers_are_filtered_by_status(emulator: Emulator) -> None:
    create(emulator)
    create(emulator, "off", start_after_create=False)
    assert [each.name for each in emulator.client.servers.get_all(status=["off"])] == ["off"]
    assert len(emulator.client.servers.get_all(status=["off", "running"])) == 2
    assert emulator.refused("GET", "/servers?status=asleep") == (422, "invalid_input", ["status"])


def test_bodies_of_actions_are_checked(emulator: Emulator) -> None:
    path = f"/servers/{create(emulator).id}/actions"
    for action, body, fields in (
        ("attach_to_network", {}, ["network"]),
        ("attach_to_network", {"network": "1"}, ["network"]),
        ("attach_to_network", {"network": 1, "alias_ips": [1]}, ["alias_ips"]),
        ("change_type", {"server_type": "cpx22"}, ["upgrade_disk"]),
        ("poweron", {"now": True}, ["now"]),
        ("change_protection", {"delete": 1}, ["delete"]),
        ("create_image", {"type": "disk"}, ["type"]),
        ("change_alias_ips", {"network": 1}, ["alias_ips"]),
    ):
        assert emulator.refused("POST", f"{path}/{action}", body) == (422, "invalid_input", fields)
    assert emulator.refused("POST", f"{path}/attach_to_network", {"network": 10**30})[:2] == (404, "not_found")
    assert emulator.ask("POST", f"{path}/poweron", content=b"{}").status_code == 201
