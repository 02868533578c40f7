"""Whatever is asked for in whatever order: no error of the emulator's own, and its objects fit together."""

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.hetzner import Catalogue

from .emulator import Emulator
from .test_core import public_key
from .watch import Watch

KINDS: Final = (
    "servers",
    "networks",
    "load_balancers",
    "firewalls",
    "volumes",
    "placement_groups",
    "primary_ips",
    "ssh_keys",
    "images",
)
State = dict[str, list[dict[str, Any]]]

WILD: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
NAMES: Final = st.sampled_from(["a", "b", "c", "d"])
LABELS: Final = st.dictionaries(st.sampled_from(["role", "x/y", "-"]), st.sampled_from(["agent", "", "!"]), max_size=2)
RANGES: Final = st.sampled_from(["10.0.0.0/16", "10.0.0.0/24", "10.0.1.0/28", "10.0.1.0/30", "10.1.0.0/16", "x"])
IPS: Final = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.9", "10.0.1.3", "127.250.0.1", "10.7.0.1"])
SELECTOR: Final = st.sampled_from(["role=agent", "role", "!role", "role in (agent,server)", "((", ""])
PORTS: Final = st.sampled_from([80, 443, 6443, 0, 70_000])


def ref(kind: str) -> Callable[[State], st.SearchStrategy[int]]:
    """The id of an object, and now and then of none."""
    return lambda state: st.sampled_from([*(each["id"] for each in state[kind] * 5), 1])


def refs(kind: str) -> Callable[[State], st.SearchStrategy[list[int]]]:
    return lambda state: st.lists(ref(kind)(state), max_size=3)


def plain(strategy: st.SearchStrategy[Any]) -> Callable[[State], st.SearchStrategy[Any]]:
    return lambda state: strategy


def some(**fields: Callable[[State], st.SearchStrategy[Any]]) -> Callable[[State], st.SearchStrategy[Any]]:
    """An object with some of these fields."""
    return lambda state: st.fixed_dictionaries({}, optional={name: make(state) for name, make in fields.items()})


def full(**fields: Callable[[State], st.SearchStrategy[Any]]) -> Callable[[State], st.SearchStrategy[Any]]:
    return lambda state: st.fixed_dictionaries({name: make(state) for name, make in fields.items()})


def many(one: Callable[[State], st.SearchStrategy[Any]]) -> Callable[[State], st.SearchStrategy[Any]]:
    return lambda state: st.lists(one(state), max_size=2)


BOOLEAN: Final = plain(st.booleans())
NAME: Final = plain(NAMES)
RANGE: Final = plain(RANGES)
IP: Final = plain(IPS)
LOCATION: Final = plain(st.sampled_from(["fsn1", "hel1", 1, "ash"]))
ZONE: Final = plain(st.sampled_from(["eu-central", "us-east"]))
TARGET: Final = some(
    type=plain(st.sampled_from(["server", "label_selector", "ip"])),
    server=full(id=ref("servers")),
    label_selector=full(selector=plain(SELECTOR)),
    ip=full(ip=IP),
    use_private_ip=BOOLEAN,
)
SERVICE: Final = {
    "protocol": plain(st.sampled_from(["tcp", "http", "https"])),
    "listen_port": plain(PORTS),
    "destination_port": plain(PORTS),
    "proxyprotocol": BOOLEAN,
    "health_check": some(
        protocol=plain(st.sampled_from(["tcp", "http"])),
        port=plain(PORTS),
        interval=plain(st.sampled_from([2, 5, 15])),
        timeout=plain(st.sampled_from([1, 10, 90])),
        retries=plain(st.sampled_from([0, 3])),
    ),
}
RULE: Final = some(
    direction=plain(st.sampled_from(["in", "out"])),
    protocol=plain(st.sampled_from(["tcp", "icmp"])),
    port=plain(st.sampled_from(["80", "80-85", "85-80", "0", "any"])),
    source_ips=plain(st.lists(st.sampled_from(["0.0.0.0/0", "::/0", "10.0.0.1/8"]), max_size=2)),
)
APPLIED: Final = many(
    some(
        type=plain(st.sampled_from(["server", "label_selector"])),
        server=full(id=ref("servers")),
        label_selector=full(selector=plain(SELECTOR)),
    )
)
SUBNET: Final = {
    "type": plain(st.sampled_from(["cloud", "vswitch"])),
    "network_zone": ZONE,
    "ip_range": RANGE,
    "vswitch_id": plain(st.just(7)),
}
ROUTE: Final = {"destination": RANGE, "gateway": IP}
ATTACH: Final = {"network": ref("networks"), "ip": IP, "ip_range": RANGE}
ALIASES: Final = plain(st.lists(IPS, max_size=2))
DELETE: Final = {"delete": BOOLEAN}
NETWORK: Final = {"network": ref("networks")}
DNS: Final = {"ip": IP, "dns_ptr": plain(st.sampled_from(["a.example.com", None]))}

CREATE: Final[dict[str, dict[str, Any]]] = {
    "servers": {
        "server_type": plain(st.sampled_from(["cpx22", "cax11", 101, "moon"])),
        "image": plain(st.sampled_from(["debian-13", "ubuntu-24.04", 1])),
        "location": LOCATION,
        "start_after_create": BOOLEAN,
        "placement_group": ref("placement_groups"),
        "networks": refs("networks"),
        "volumes": refs("volumes"),
        "firewalls": many(full(firewall=ref("firewalls"))),
        "public_net": some(enable_ipv4=BOOLEAN, enable_ipv6=BOOLEAN, ipv4=ref("primary_ips"), ipv6=ref("primary_ips")),
    },
    "networks": {"ip_range": RANGE, "subnets": many(some(**SUBNET)), "routes": many(some(**ROUTE))},
    "load_balancers": {
        "load_balancer_type": plain(st.just("lb11")),
        "location": LOCATION,
        "network": ref("networks"),
        "targets": many(TARGET),
        "services": many(some(**SERVICE)),
        "public_net": some(ipv4=ref("primary_ips")),
    },
    "firewalls": {"rules": many(RULE), "apply_to": APPLIED},
    "volumes": {
        "size": plain(st.sampled_from([10, 20, 5])),
        "location": LOCATION,
        "server": ref("servers"),
        "format": plain(st.sampled_from(["xfs", "fat"])),
    },
    "placement_groups": {"type": plain(st.just("spread"))},
    "primary_ips": {
        "type": plain(st.sampled_from(["ipv4", "ipv6"])),
        "location": LOCATION,
        "assignee_id": ref("servers"),
        "auto_delete": BOOLEAN,
    },
    "ssh_keys": {"public_key": plain(st.sampled_from([public_key(1), public_key(2), "x"]))},
}
FIRST: Final[list[tuple[str, Any]]] = [
    ("/ssh_keys", {"name": "z", "public_key": public_key(9)}),
    ("/placement_groups", {"name": "z", "type": "spread"}),
    ("/primary_ips", {"name": "z", "type": "ipv4", "location": "fsn1"}),
    ("/volumes", {"name": "z", "size": 10, "location": "fsn1"}),
    ("/firewalls", {"name": "z"}),
    (
        "/networks",
        {
            "name": "z",
            "ip_range": "10.0.0.0/16",
            "subnets": [{"type": "cloud", "network_zone": "eu-central", "ip_range": "10.0.0.0/28"}],
        },
    ),
    ("/servers", {"name": "z", "server_type": "cpx22", "image": "debian-13", "location": "fsn1"}),
    ("/servers", {"name": "y", "server_type": "cpx22", "image": "debian-13", "start_after_create": False}),
    ("/load_balancers", {"name": "z", "load_balancer_type": "lb11", "location": "fsn1"}),
]
"""What is there before anything else is asked for."""

NEEDED: Final = {
    *("name", "server_type", "image", "ip_range", "load_balancer_type", "size", "type", "location", "network"),
    *("network_zone", "destination", "gateway", "protocol", "listen_port", "destination_port", "placement_group"),
}
"""Fields that are there nearly always; the rest come and go."""

ACT: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "servers": {
        **{name: {} for name in ("poweron", "poweroff", "shutdown", "reboot", "reset", "remove_from_placement_group")},
        "rebuild": {"image": plain(st.sampled_from(["debian-13", "moon"]))},
        "change_type": {"server_type": plain(st.sampled_from(["cpx32", "cpx22"])), "upgrade_disk": BOOLEAN},
        "attach_to_network": {**ATTACH, "alias_ips": ALIASES},
        "detach_from_network": NETWORK,
        "change_alias_ips": {**NETWORK, "alias_ips": ALIASES},
        "add_to_placement_group": {"placement_group": ref("placement_groups")},
        "change_protection": {"delete": BOOLEAN, "rebuild": BOOLEAN},
        "create_image": {"labels": plain(LABELS)},
        "change_dns_ptr": DNS,
    },
    "networks": {
        "add_subnet": SUBNET,
        "delete_subnet": {"ip_range": RANGE},
        "add_route": ROUTE,
        "delete_route": ROUTE,
        "change_ip_range": {"ip_range": RANGE},
        "change_protection": DELETE,
    },
    "load_balancers": {
        "add_service": SERVICE,
        "update_service": SERVICE,
        "delete_service": {"listen_port": plain(PORTS)},
        "add_target": {},
        "attach_to_network": ATTACH,
        "detach_from_network": NETWORK,
        "enable_public_interface": {},
        "disable_public_interface": {},
        "change_type": {"load_balancer_type": plain(st.sampled_from(["lb11", "lb21"]))},
        "change_dns_ptr": DNS,
        "change_protection": DELETE,
    },
    "firewalls": {
        "set_rules": {"rules": many(RULE)},
        "apply_to_resources": {"apply_to": APPLIED},
        "remove_from_resources": {"remove_from": APPLIED},
    },
    "volumes": {
        "attach": {"server": ref("servers")},
        "detach": {},
        "resize": {"size": plain(st.sampled_from([10, 30, 99_999]))},
        "change_protection": DELETE,
    },
    "primary_ips": {
        "assign": {"assignee_type": plain(st.just("server")), "assignee_id": ref("servers")},
        "unassign": {},
        "change_dns_ptr": DNS,
        "change_protection": DELETE,
    },
    "images": {"change_protection": DELETE},
}


def draw_body(data: st.DataObject, fields: dict[str, Any], state: State) -> Any:
    """Mostly what the API could take; now and then anything."""
    if data.draw(st.integers(0, 29)) == 29:
        return data.draw(WILD)
    body: dict[str, Any] = {}
    for name, make in fields.items():
        chance = data.draw(st.integers(0, 9))
        if chance < (9 if name in NEEDED or len(fields) < 3 else 4):
            body[name] = data.draw(make(state))
        elif chance == 9 and data.draw(st.booleans()):
            body[name] = data.draw(WILD)
    return body


def draw_request(data: st.DataObject, state: State) -> tuple[str, str, Any]:
    what = data.draw(st.sampled_from(["create", "create", "act", "act", "change", "delete", "list"]))
    if what == "create":
        kind = data.draw(st.sampled_from(sorted(CREATE)))
        return "POST", f"/{kind}", draw_body(data, {"name": NAME, "labels": plain(LABELS), **CREATE[kind]}, state)
    if what == "list":
        kind = data.draw(st.sampled_from(KINDS))
        query = data.draw(st.sampled_from(["label_selector", "sort", "page", "per_page", "name", "id", "status"]))
        value = data.draw(st.sampled_from(["1", "id:desc", "name", "role=agent", "%00", "((", "0", "running"]))
        return "GET", f"/{kind}?{query}={value}", None
    there = [kind for kind in (ACT if what == "act" else KINDS) if state[kind]]
    kind = data.draw(st.sampled_from(sorted(there)))
    path = f"/{kind}/{data.draw(ref(kind)(state))}"
    if what == "delete":
        return "DELETE", path, None
    if what == "change":
        return "PUT", path, draw_body(data, {"name": NAME, "labels": plain(LABELS)}, state)
    action = data.draw(st.sampled_from(sorted(ACT[kind])))
    if action == "add_target":
        remove = data.draw(st.booleans())
        return "POST", f"{path}/actions/{'remove' if remove else 'add'}_target", data.draw(TARGET(state))
    return "POST", f"{path}/actions/{action}", draw_body(data, ACT[kind][action], state)


def everything(emulator: Emulator) -> State:
    """All objects of the project as the API shows them."""
    project = emulator.cloud.projects[0]

    def show() -> State:
        return {
            plural: [kind.show(project, entry) for entry in kind.all(project) if entry.get("type") != "system"]
            for plural, kind in emulator.cloud.kinds.items()
            if plural in KINDS
        }

    # What has no latency ends in the loop's next round.
    emulator.jump(0)
    return copy.deepcopy(emulator.call(show))


def broken(state: State) -> Iterator[str]:
    """What does not fit together."""
    ids = {kind: {each["id"] for each in entries} for kind, entries in state.items()}
    for kind, entries in state.items():
        if len(ids[kind]) != len(entries):
            yield f"{kind}: ids are not unique"
        names = Counter(each["name"] for each in entries if each["name"] is not None)
        yield from (f"{kind}: two are called {name}" for name, count in names.items() if count > 1)
    for group in state["placement_groups"]:
        if len(group["servers"]) > 10 or not set(group["servers"]) <= ids["servers"]:
            yield f"placement group {group}"
    for volume in state["volumes"]:
        server = next((each for each in state["servers"] if each["id"] == volume["server"]), None)
        if volume["server"] is not None and (server is None or volume["id"] not in server["volumes"]):
            yield f"volume {volume['id']} is attached to {volume['server']}"
    for firewall in state["firewalls"]:
        for each in firewall["applied_to"]:
            if each["type"] == "server" and each["server"]["id"] not in ids["servers"]:
                yield f"firewall {firewall['id']} is applied to {each}"
    yield from broken_addresses(state)
    for network in state["networks"]:
        yield from broken_network(state, network)
    for balancer in state["load_balancers"]:
        yield from broken_balancer(state, balancer)


def broken_addresses(state: State) -> Iterator[str]:
    ips = [each["ip"] for each in state["primary_ips"]]
    if len(set(ips)) != len(ips):
        yield "public addresses are not unique"
    held = {
        (kind, owner["id"], family): owner["public_net"][family]["id"]
        for kind in ("server", "load_balancer")
        for owner in state[f"{kind}s"]
        for family in ("ipv4", "ipv6")
        if owner["public_net"][family] and owner["public_net"][family]["id"]
    }
    said = {
        (each["assignee_type"], each["assignee_id"], each["type"]): each["id"]
        for each in state["primary_ips"]
        if each["assignee_id"] is not None
    }
    if held != said:
        yield f"addresses are held by {held}, and say {said}"


def broken_network(state: State, network: dict[str, Any]) -> Iterator[str]:
    whole = ip_network(network["ip_range"])
    subnets = [ip_network(each["ip_range"]) for each in network["subnets"]]
    for index, subnet in enumerate(subnets):
        if not subnet.subnet_of(whole) or any(subnet.overlaps(other) for other in subnets[:index]):
            yield f"subnet {subnet} of {whole} beside {subnets}"
    if len({each["network_zone"] for each in network["subnets"]}) > 1:
        yield f"network {network['id']} is in two zones"
    taken: list[str] = []
    for kind in ("servers", "load_balancers"):
        members = [each for each in state[kind] if any(net["network"] == network["id"] for net in each["private_net"])]
        if [each["id"] for each in members] != network[kind]:
            yield f"network {network['id']} has {network[kind]}"
        for member in members:
            for net in member["private_net"]:
                if net["network"] == network["id"]:
                    taken += [net["ip"], *net.get("alias_ips", [])]
    if len(set(taken)) != len(taken):
        yield f"addresses in network {network['id']} are not unique: {taken}"
    for ip in map(ip_address, taken):
        home = [subnet for subnet in subnets if ip in subnet]
        if not home or ip in (whole[1], home[0].network_address, home[0].broadcast_address):
            yield f"{ip} in network {network['id']} is outside of its subnets, or reserved"


def broken_balancer(state: State, balancer: dict[str, Any]) -> Iterator[str]:
    id = balancer["id"]
    servers = {each["id"]: each for each in state["servers"]}
    if len(balancer["private_net"]) > 1 or len(balancer["targets"]) > 25 or len(balancer["services"]) > 5:
        yield f"load balancer {id} has too much"
    if len({each["listen_port"] for each in balancer["services"]}) != len(balancer["services"]):
        yield f"load balancer {id} listens twice on a port"
    own = {net["network"] for net in balancer["private_net"]}
    for target in balancer["targets"]:
        if target.get("use_private_ip") and not own:
            yield f"load balancer {id} has a private target and no network"
        if target["type"] == "server":
            server = servers.get(target["server"]["id"])
            if server is None:
                yield f"load balancer {id} forwards to {target}"
            elif target["use_private_ip"] and not own & {net["network"] for net in server["private_net"]}:
                yield f"load balancer {id} forwards to a server outside of its network"


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_any_requests_in_any_order(prices: Any, watch: Watch, data: st.DataObject) -> None:
    with Emulator(Catalogue(prices)) as emulator:
        for path, body in FIRST:
            emulator.made(path, body)
        state = everything(emulator)
        for _ in range(data.draw(st.integers(5, 25))):
            method, path, body = draw_request(data, state)
            content = None if body is None else json.dumps(body).encode()
            answer = emulator.ask(method, path, content=content)
            assert answer.status_code < 500, (method, path, body, answer.text)
            after = everything(emulator)
            assert list(broken(after)) == [], (method, path, body)
            if answer.status_code >= 400:
                assert after == state, ("a refused request changed something", method, path, body, answer.text)
            state = after
        for kind in KINDS:
            assert emulator.ask("GET", f"/{kind}").status_code == 200
        emulator.call(lambda: emulator.cloud.load(json.loads(json.dumps(emulator.cloud.dump()))))
        assert everything(emulator) == state, "a state that was put back is another one"
        # Now, so that the shortest example is found.
        assert watch.problems() == []


def test_what_does_not_fit_together_is_seen() -> None:
    empty: State = {kind: [] for kind in KINDS}
    assert list(broken(empty)) == []
    volume = {"id": 1, "name": "v", "server": 7}
    assert list(broken({**empty, "volumes": [volume, {**volume, "server": None}]})) == [
        "volumes: ids are not unique",
        "volumes: two are called v",
        "volume 1 is attached to 7",
    ]
    network = {
        "id": 2,
        "name": "n",
        "ip_range": "10.0.0.0/16",
        "subnets": [{"ip_range": "10.0.0.0/24", "network_zone": "eu-central"}],
        "servers": [3],
        "load_balancers": [],
    }
    net = {"network": 2, "ip": "10.0.0.1", "alias_ips": ["10.0.0.1", "10.9.0.1"]}
    server = {"id": 3, "name": "s", "private_net": [net], "volumes": [], "public_net": {"ipv4": None, "ipv6": None}}
    found = list(broken({**empty, "networks": [network], "servers": [server]}))
    assert len(found) == 4
    assert "not unique" in found[0]
