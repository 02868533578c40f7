"""Networks: ranges, subnets, routes, who is in them, and what the API refuses."""

from typing import Any

import pytest
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.locations import Location
from hcloud.networks import BoundNetwork, NetworkRoute, NetworkSubnet

from sandbox.hetzner import AddressPool, Catalogue, Settings

from .emulator import Emulator
from .test_servers import create, refusal


def network(emulator: Emulator, ip_range: str = "10.0.0.0/16", **more: Any) -> BoundNetwork:
    return emulator.client.networks.create("net", ip_range, **more)


def subnet(ip_range: str | None = None, zone: str = "eu-central", type: str = "cloud", **more: Any) -> NetworkSubnet:
    return NetworkSubnet(type=type, network_zone=zone, ip_range=ip_range, **more)


def add_subnet(net: BoundNetwork, *arguments: Any, **more: Any) -> None:
    net.add_subnet(subnet(*arguments, **more)).wait_until_finished()
    net.reload()


def test_a_network_with_everything(emulator: Emulator) -> None:
    net = network(
        emulator,
        labels={"a": "b"},
        subnets=[subnet("10.0.1.0/24")],
        routes=[NetworkRoute(destination="10.200.0.0/16", gateway="10.0.1.2")],
        expose_routes_to_vswitch=True,
    )
    assert (net.name, net.ip_range, net.labels, net.servers) == ("net", "10.0.0.0/16", {"a": "b"}, [])
    assert [(each.ip_range, each.gateway, each.type) for each in net.subnets] == [("10.0.1.0/24", "10.0.0.1", "cloud")]
    assert [(each.destination, each.gateway) for each in net.routes] == [("10.200.0.0/16", "10.0.1.2")]
    assert net.expose_routes_to_vswitch is True
    assert net.update(name="other", expose_routes_to_vswitch=False).expose_routes_to_vswitch is False
    assert net.delete()
    assert emulator.client.networks.get_all() == []


@pytest.mark.parametrize(
    "ip_range",
    ["10.0.0.0/25", "10.0.0.1/16", "192.0.2.0/24", "172.32.0.0/16", "10.0.0.0/7", "0.0.0.0/0", "fd00::/48", "x", ""],
)
def test_ranges_that_no_network_may_have(emulator: Emulator, ip_range: str) -> None:
    refused = emulator.refused("POST", "/networks", {"name": "net", "ip_range": ip_range})
    assert refused == (422, "invalid_input", ["ip_range"])


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        ({"moon": 1}, ["moon"]),
        ({"subnets": {}}, ["subnets"]),
        ({"subnets": [1]}, ["subnets"]),
        ({"subnets": [{"type": "cloud"}]}, ["subnets.network_zone"]),
        ({"subnets": [{"type": "disk", "network_zone": "eu-central"}]}, ["subnets.type"]),
        ({"subnets": [{"type": "cloud", "network_zone": "moon"}]}, ["subnets.network_zone"]),
        ({"routes": [{"destination": "10.9.0.0/16"}]}, ["routes.gateway"]),
        ({"expose_routes_to_vswitch": "yes"}, ["expose_routes_to_vswitch"]),
    ],
)
def test_a_wrong_network_is_refused_by_field_and_leaves_nothing(
    emulator: Emulator, more: dict[str, Any], fields: list[str]
) -> None:
    body = {"name": "net", "ip_range": "10.0.0.0/16", **more}
    assert emulator.refused("POST", "/networks", body) == (422, "invalid_input", fields)
    assert emulator.ask("GET", "/networks").json()["networks"] == []


# -- subnets


def test_subnets_fit_into_the_network_and_beside_each_other(emulator: Emulator) -> None:
    net = network(emulator)
    add_subnet(net, "10.0.1.0/24")
    for bad in ("10.0.1.0/24", "10.0.1.128/25", "10.0.0.0/23", "10.1.0.0/24", "10.0.2.0/31", "10.0.2.1/24", "x"):
        assert refusal(lambda ip_range=bad: add_subnet(net, ip_range)) == "invalid_input"
    add_subnet(net, "10.0.2.0/30")
    assert [each.ip_range for each in net.subnets] == ["10.0.1.0/24", "10.0.2.0/30"]


def test_a_subnet_without_a_range_gets_the_first_free_24(emulator: Emulator) -> None:
    net = network(emulator)
    add_subnet(net, "10.0.1.0/25")
    for _ in range(2):
        add_subnet(net)
    assert [each.ip_range for each in net.subnets] == ["10.0.1.0/25", "10.0.0.0/24", "10.0.2.0/24"]


def test_a_full_network_takes_no_subnet(emulator: Emulator) -> None:
    net = network(emulator, "10.0.0.0/24")
    add_subnet(net)
    assert refusal(lambda: add_subnet(net)) == "invalid_input"


def test_all_subnets_are_in_one_zone(emulator: Emulator) -> None:
    net = network(emulator)
    add_subnet(net, "10.0.1.0/24")
    assert refusal(lambda: add_subnet(net, "10.0.2.0/24", zone="us-east")) == "invalid_input"


def test_vswitch_subnets(emulator: Emulator) -> None:
    net = network(emulator)
    add_subnet(net, "10.0.1.0/24", type="vswitch", vswitch_id=7)
    assert (net.subnets[0].gateway, net.subnets[0].vswitch_id) == ("10.0.1.1", 7)
    assert refusal(lambda: add_subnet(net, "10.0.2.0/24", type="vswitch")) == "invalid_input"
    assert refusal(lambda: add_subnet(net, "10.0.2.0/24", vswitch_id=8)) == "invalid_input"
    other = emulator.client.networks.create("other", "10.9.0.0/16")
    assert refusal(lambda: add_subnet(other, "10.9.1.0/24", type="vswitch", vswitch_id=7)) == (
        "vswitch_id_already_used"
    )
    server = create(emulator)
    assert refusal(lambda: server.attach_to_network(net)) == "no_subnet_available"


def test_the_old_name_of_cloud_subnets(emulator: Emulator) -> None:
    net = network(emulator)
    add_subnet(net, "10.0.1.0/24", type="server")
    assert net.subnets[0].type == "cloud"


def test_a_network_has_fifty_subnets(emulator: Emulator) -> None:
    net = network(emulator, subnets=[subnet(f"10.0.{number}.0/24") for number in range(50)])
    assert refusal(lambda: add_subnet(net, "10.0.50.0/24")) == "resource_limit_exceeded"


def test_a_subnet_with_members_stays(emulator: Emulator) -> None:
    net = network(emulator)
    add_subnet(net, "10.0.1.0/24")
    server = create(emulator, networks=[net])
    refused = emulator.refused("POST", f"/networks/{net.id}/actions/delete_subnet", {"ip_range": "10.0.1.0/24"})
    assert refused[:2] == (422, "service_error"), "the provider tries again on this code"
    server.detach_from_network(net).wait_until_finished()
    assert refusal(lambda: net.delete_subnet(subnet("10.0.2.0/24"))) == "not_found"
    net.delete_subnet(net.subnets[0]).wait_until_finished()
    net.reload()
    assert net.subnets == []


# -- addresses


def test_addresses_are_given_in_order_and_never_the_reserved_ones(emulator: Emulator) -> None:
    net = network(emulator, "10.0.0.0/24", subnets=[subnet("10.0.0.0/29"), subnet("10.0.0.8/30")])
    given = [create(emulator, f"s{number}", networks=[net]).private_net[0].ip for number in range(7)]
    # .0 is the network's, .1 the gateway's, .7, .8 and .11 are subnets' own.
    assert given == [f"10.0.0.{last}" for last in (2, 3, 4, 5, 6, 9, 10)]
    assert refusal(lambda: create(emulator, "late", networks=[net])) == "no_subnet_available"
    assert emulator.client.servers.get_by_name("late") is None
    emulator.client.servers.get_by_name("s2").delete().wait_until_finished()  # type: ignore[union-attr]
    assert create(emulator, "next", networks=[net]).private_net[0].ip == "10.0.0.4"


def test_members_are_of_the_networks_zone(emulator: Emulator) -> None:
    net = network(emulator)
    add_subnet(net, "10.0.1.0/24", zone="us-east")
    server = create(emulator)
    assert refusal(lambda: server.attach_to_network(net)) == "no_subnet_available"


def test_a_network_takes_a_hundred_members(catalogue: Catalogue) -> None:
    with Emulator(catalogue, settings=Settings(rate_limit=False, servers=200, addresses=AddressPool(250))) as emulator:
        net = network(emulator)
        add_subnet(net, "10.0.0.0/16")
        body = {"server_type": "cpx22", "image": "debian-13", "networks": [net.id]}
        for number in range(100):
            emulator.made("/servers", {"name": f"s{number}", **body})
        assert emulator.refused("POST", "/servers", {"name": "late", **body})[:2] == (403, "resource_limit_exceeded")


# -- routes


@pytest.mark.parametrize(
    ("destination", "gateway", "field"),
    [
        ("10.200.0.0/16", "10.1.0.1", "gateway"),
        ("10.200.0.0/16", "10.0.0.1", "gateway"),
        ("10.200.0.0/16", "x", "gateway"),
        ("10.0.1.0/24", "10.0.2.2", "destination"),
        ("10.0.0.0/20", "10.0.2.2", "destination"),
        ("8.8.8.0/24", "10.0.2.2", "destination"),
        ("172.31.1.0/24", "10.0.2.2", "destination"),
        ("10.200.0.1/16", "10.0.2.2", "destination"),
        ("10.100.1.0/24", "10.0.2.2", "destination"),
        ("0.0.0.0/0", "10.0.2.2", "destination"),
    ],
)
def test_routes_that_cannot_be(emulator: Emulator, destination: str, gateway: str, field: str) -> None:
    net = network(
        emulator,
        subnets=[subnet("10.0.1.0/24")],
        routes=[
            NetworkRoute(destination="10.100.0.0/16", gateway="10.0.1.2"),
            NetworkRoute(destination="0.0.0.0/0", gateway="10.0.1.2"),
        ],
    )
    body = {"destination": destination, "gateway": gateway}
    assert emulator.refused("POST", f"/networks/{net.id}/actions/add_route", body) == (422, "invalid_input", [field])


def test_routes_come_and_go(emulator: Emulator) -> None:
    net = network(emulator)
    route = NetworkRoute(destination="10.200.0.0/16", gateway="10.0.1.2")
    net.add_route(route).wait_until_finished()
    assert refusal(lambda: add_subnet(net, "10.200.0.0/24")) == "invalid_input"
    net.delete_route(route).wait_until_finished()
    assert refusal(lambda: net.delete_route(route)) == "not_found"


def test_a_network_has_a_hundred_routes(emulator: Emulator) -> None:
    routes = [NetworkRoute(destination=f"10.200.{number}.0/24", gateway="10.0.1.2") for number in range(100)]
    net = network(emulator, routes=routes)
    route = NetworkRoute(destination="10.201.0.0/24", gateway="10.0.1.2")
    assert refusal(lambda: net.add_route(route)) == "resource_limit_exceeded"
    body = {"name": "b", "ip_range": "10.0.0.0/16"}
    many = [{"destination": f"10.200.{number}.0/24", "gateway": "10.0.1.2"} for number in range(101)]
    assert emulator.refused("POST", "/networks", {**body, "routes": many})[:2] == (403, "resource_limit_exceeded")


# -- the whole


def test_a_range_only_grows_at_its_end(emulator: Emulator) -> None:
    net = network(emulator, "10.0.0.0/16")
    for bad in ("10.0.0.0/17", "10.1.0.0/16", "11.0.0.0/8", "0.0.0.0/0", "x"):
        assert refusal(lambda ip_range=bad: net.change_ip_range(ip_range)) == "invalid_input"
    net.change_ip_range("10.0.0.0/12").wait_until_finished()
    net.reload()
    assert net.ip_range == "10.0.0.0/12"
    inner = emulator.client.networks.create("inner", "10.64.0.0/16")
    assert refusal(lambda: inner.change_ip_range("10.0.0.0/8")) == "invalid_input", "the first address would change"


def test_a_protected_network_stays(emulator: Emulator) -> None:
    net = network(emulator)
    net.change_protection(delete=True).wait_until_finished()
    assert refusal(net.delete) == "protected"
    net.change_protection(delete=False).wait_until_finished()
    assert net.delete()


def test_a_network_with_members_stays_where_that_is_so(catalogue: Catalogue) -> None:
    for strict in (True, False):
        settings = Settings(rate_limit=False, strict_network_delete=strict, addresses=AddressPool(250))
        with Emulator(catalogue, settings=settings) as emulator:
            net = network(emulator)
            add_subnet(net, "10.0.1.0/24")
            server = create(emulator, networks=[net])
            balancer = emulator.client.load_balancers.create(
                "lb", LoadBalancerType(name="lb11"), location=Location(name="fsn1"), network=net
            ).load_balancer
            net.reload()
            assert [each.id for each in net.servers] == [server.id]
            shown = emulator.ask("GET", f"/networks/{net.id}").json()["network"]
            assert shown["load_balancers"] == [balancer.id]
            if strict:
                assert emulator.refused("DELETE", f"/networks/{net.id}")[:2] == (409, "conflict")
                assert emulator.ask("GET", f"/networks/{net.id}").json()["network"] == shown
            else:
                assert emulator.ask("DELETE", f"/networks/{net.id}").status_code == 204
                assert emulator.machines.servers[server.id].attachments == ()
                assert emulator.machines.balancers[balancer.id].attachments == ()
