"""Networks: ranges, subnets, routes, and who has which address in them."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Any, ClassVar, Final

from .errors import ApiError, invalid, too_many
from .fields import CHANGE, LABELS, NAME, Field, check, network
from .hypervisor import tell
from .kind import PROTECTION, Answer, Body, Kind, acted
from .project import Entry, Project, refuse_locked

SUBNETS: Final = 50
ROUTES: Final = 100
ATTACHED: Final = 100
_ZONES: Final = ("eu-central", "us-east", "us-west", "ap-southeast")
_FORBIDDEN: Final = IPv4Address("172.31.1.1")

_SUBNET: Final = {
    "type": Field(str, required=True, choices=("cloud", "server", "vswitch")),
    "ip_range": Field(str),
    "network_zone": Field(str, required=True, choices=_ZONES),
    "vswitch_id": Field(int),
}
_ROUTE: Final = {"destination": Field(str, required=True), "gateway": Field(str, required=True)}


class Networks(Kind):
    """Private networks."""

    plural, singular = "networks", "network"
    changes: ClassVar = {**CHANGE, "expose_routes_to_vswitch": Field(bool)}

    def actions(self) -> Any:
        return {
            "add_subnet": (_SUBNET, self._add_subnet),
            "delete_subnet": ({"ip_range": Field(str, required=True)}, self._delete_subnet),
            "add_route": (_ROUTE, self._add_route),
            "delete_route": (_ROUTE, self._delete_route),
            "change_ip_range": ({"ip_range": Field(str, required=True)}, self._change_range),
            "change_protection": (PROTECTION, self.protect),
        }

    def show(self, project: Project, entry: Entry) -> Entry:
        return {
            **super().show(project, entry),
            "servers": [server["id"] for server in attached(project, "servers", entry["id"])],
            "load_balancers": [each["id"] for each in attached(project, "load_balancers", entry["id"])],
        }

    def create(self, project: Project, body: Body) -> Answer:
        given = check(
            body,
            {
                "name": NAME,
                "ip_range": Field(str, required=True),
                "labels": LABELS,
                "subnets": Field(list, items=dict),
                "routes": Field(list, items=dict),
                "expose_routes_to_vswitch": Field(bool),
            },
        )
        whole = network(given["ip_range"], "ip_range")
        if whole.prefixlen > 24:
            raise invalid({"ip_range": ["must be a /24 at least"]})
        project.check_name(self.plural, given["name"])
        entry: Entry = {
            "name": given["name"],
            "ip_range": str(whole),
            "subnets": [],
            "routes": [],
            "protection": {"delete": False},
            "labels": given.get("labels", {}),
            "expose_routes_to_vswitch": given.get("expose_routes_to_vswitch", False),
        }
        for subnet in given.get("subnets", []):
            entry["subnets"].append(_new_subnet(project, entry, check(subnet, _SUBNET, "subnets.")))
        for route in given.get("routes", []):
            entry["routes"].append(_new_route(entry, check(route, _ROUTE, "routes.")))
        return 201, {self.singular: self.show(project, project.add(self.plural, entry))}

    def delete(self, project: Project, entry: Entry) -> Answer:
        self.refuse_protected(entry)
        servers = list(attached(project, "servers", entry["id"]))
        members = [*servers, *attached(project, "load_balancers", entry["id"])]
        if members and project.cloud.settings.strict_network_delete:
            names = ", ".join(str(member["name"]) for member in members[:3])
            raise ApiError(409, "conflict", f"network has attached resources: {names}")
        for member in members:
            detach(member, entry["id"])
        for server in servers:
            tell(project, server, "changed")
        project.cloud.rebalance(project)
        return super().delete(project, entry)

    def _add_subnet(self, project: Project, entry: Entry, body: Body) -> Answer:
        _refuse_busy(entry)
        entry["subnets"].append(_new_subnet(project, entry, body))
        return acted(project.act("add_subnet", [(self.singular, entry["id"])], locks=entry))

    def _delete_subnet(self, project: Project, entry: Entry, body: Body) -> Answer:
        _refuse_busy(entry)
        found = next((each for each in entry["subnets"] if each["ip_range"] == body["ip_range"]), None)
        if found is None:
            raise ApiError(404, "not_found", f"network {entry['id']} has no subnet {body['ip_range'][:40]!r}")
        inside = [ip for ip in used(project, entry["id"]) if ip in ip_network(found["ip_range"])]
        if inside:
            # Providers look for these words.
            told = f"cannot delete subnet {found['ip_range']}: servers are attached to it, such as {inside[0]}"
            raise ApiError(422, "service_error", told)
        entry["subnets"].remove(found)
        return acted(project.act("delete_subnet", [(self.singular, entry["id"])], locks=entry))

    def _add_route(self, project: Project, entry: Entry, body: Body) -> Answer:
        _refuse_busy(entry)
        entry["routes"].append(_new_route(entry, body))
        return acted(project.act("add_route", [(self.singular, entry["id"])], locks=entry))

    def _delete_route(self, project: Project, entry: Entry, body: Body) -> Answer:
        _refuse_busy(entry)
        if body not in entry["routes"]:
            raise ApiError(404, "not_found", f"network {entry['id']} has no such route")
        entry["routes"].remove(body)
        return acted(project.act("delete_route", [(self.singular, entry["id"])], locks=entry))

    def _change_range(self, project: Project, entry: Entry, body: Body) -> Answer:
        _refuse_busy(entry)
        wider, before = network(body["ip_range"], "ip_range"), IPv4Network(entry["ip_range"])
        if not before.subnet_of(wider) or wider.network_address != before.network_address:
            raise invalid({"ip_range": ["can only be extended, with the same first address"]})
        entry["ip_range"] = str(wider)
        return acted(project.act("change_ip_range", [(self.singular, entry["id"])], locks=entry))


def _refuse_busy(entry: Entry) -> None:
    if "_lock" in entry:
        raise ApiError(409, "conflict", f"network {entry['id']} is being changed by action {entry['_lock']}")


def attached(project: Project, kind: str, id: int) -> Iterator[Entry]:
    """Servers or load balancers in a Network."""
    return (entry for entry in project.all(kind) if any(net["network"] == id for net in entry["private_net"]))


def used(project: Project, id: int) -> Iterator[IPv4Address]:
    """Addresses in a Network that somebody has."""
    for kind in ("servers", "load_balancers"):
        for entry in attached(project, kind, id):
            for net in entry["private_net"]:
                if net["network"] == id:
                    yield IPv4Address(net["ip"])
                    yield from map(IPv4Address, net.get("alias_ips", []))


def detach(member: Entry, id: int) -> Entry | None:
    """Take a server or load balancer out of a Network; returns what it had there."""
    found = next((net for net in member["private_net"] if net["network"] == id), None)
    if found is not None:
        member["private_net"].remove(found)
    return found


def reserved(entry: Entry) -> set[IPv4Address]:
    """Addresses that are never given away."""
    whole = IPv4Network(entry["ip_range"])
    taken = {whole[1]}
    for subnet in entry["subnets"]:
        net = IPv4Network(subnet["ip_range"])
        taken |= {net.network_address, net.broadcast_address}
        if subnet["type"] == "vswitch":
            taken.add(net[1])
    return taken


def place(project: Project, entry: Entry, zone: str, ip: str | None, ip_range: str | None) -> str:
    """The address that a new member gets.

    Raises:
        ApiError: the one asked for cannot be had, or there is no room.
    """
    subnets = [
        IPv4Network(subnet["ip_range"])
        for subnet in entry["subnets"]
        if subnet["type"] != "vswitch" and subnet["network_zone"] == zone
    ]
    if ip_range is not None:
        wanted = network(ip_range, "ip_range")
        subnets = [subnet for subnet in subnets if subnet == wanted]
    if not subnets:
        raise ApiError(422, "no_subnet_available", f"network {entry['id']} has no cloud subnet in {zone} for that")
    if sum(1 for kind in ("servers", "load_balancers") for _ in attached(project, kind, entry["id"])) >= ATTACHED:
        raise too_many("network_attached_resources", ATTACHED)
    blocked = reserved(entry) | set(used(project, entry["id"]))
    if ip is not None:
        return _exactly(ip, subnets, blocked)
    for subnet in subnets:
        for address in subnet.hosts():
            if address not in blocked:
                return str(address)
    raise ApiError(422, "no_subnet_available", f"no subnet of network {entry['id']} has a free address")


def _exactly(ip: str, subnets: list[IPv4Network], blocked: set[IPv4Address]) -> str:
    try:
        wanted = ip_address(ip)
    except ValueError as error:
        raise invalid({"ip": [f"{ip[:40]!r} is no address"]}) from error
    if not isinstance(wanted, IPv4Address) or not any(wanted in subnet for subnet in subnets):
        raise invalid({"ip": [f"{ip} is in no cloud subnet of the network"]})
    if wanted in blocked:
        raise ApiError(422, "ip_not_available", f"the address {ip} is not available")
    return ip


def _new_subnet(project: Project, entry: Entry, given: Body) -> Entry:
    whole = IPv4Network(entry["ip_range"])
    if len(entry["subnets"]) >= SUBNETS:
        raise too_many("subnets", SUBNETS)
    if given["type"] == "vswitch" and "vswitch_id" not in given:
        raise invalid({"vswitch_id": ["is required for a vswitch subnet"]})
    if given["type"] != "vswitch" and "vswitch_id" in given:
        raise invalid({"vswitch_id": ["is for vswitch subnets only"]})
    if any(other["network_zone"] != given["network_zone"] for other in entry["subnets"]):
        raise invalid({"network_zone": ["all subnets of a network must be in one zone"]})
    taken = [IPv4Network(other["ip_range"]) for other in entry["subnets"]]
    routes = [IPv4Network(route["destination"]) for route in entry["routes"]]
    routes = [route for route in routes if route.prefixlen]
    if "ip_range" in given:
        subnet = network(given["ip_range"], "ip_range")
    else:
        candidates = whole.subnets(new_prefix=24) if whole.prefixlen <= 24 else iter([whole])
        free = (each for each in candidates if not any(each.overlaps(other) for other in taken + routes))
        subnet = next(free, whole)
    if subnet.prefixlen > 30 or not subnet.subnet_of(whole):
        raise invalid({"ip_range": [f"must be a /30 at least, inside {whole}"]})
    if clash := next((other for other in taken + routes if subnet.overlaps(other)), None):
        raise invalid({"ip_range": [f"{subnet} overlaps {clash}"]})
    if given["type"] == "vswitch":
        _refuse_used_vswitch(project, given["vswitch_id"])
    made: Entry = {
        "type": "cloud" if given["type"] == "server" else given["type"],
        "ip_range": str(subnet),
        "network_zone": given["network_zone"],
        "gateway": str(subnet[1] if given["type"] == "vswitch" else whole[1]),
    }
    return made | ({"vswitch_id": given["vswitch_id"]} if given["type"] == "vswitch" else {"vswitch_id": None})


def _refuse_used_vswitch(project: Project, id: int) -> None:
    for other in project.all("networks"):
        if any(subnet.get("vswitch_id") == id for subnet in other["subnets"]):
            raise ApiError(409, "vswitch_id_already_used", f"vSwitch {id} is coupled to network {other['id']} already")


def _new_route(entry: Entry, given: Body) -> Entry:
    whole = IPv4Network(entry["ip_range"])
    if len(entry["routes"]) >= ROUTES:
        raise too_many("routes", ROUTES)
    if given["destination"] != "0.0.0.0/0":
        destination = network(given["destination"], "destination")
        others = [each["ip_range"] for each in entry["subnets"]] + [each["destination"] for each in entry["routes"]]
        for other in map(IPv4Network, others):
            if other.prefixlen and destination.overlaps(other):
                raise invalid({"destination": [f"{destination} overlaps {other}"]})
        if _FORBIDDEN in destination:
            raise invalid({"destination": [f"must not hold {_FORBIDDEN}"]})
    elif any(each["destination"] == "0.0.0.0/0" for each in entry["routes"]):
        raise invalid({"destination": ["there is a default route already"]})
    try:
        gateway = IPv4Address(given["gateway"])
    except ValueError as error:
        raise invalid({"gateway": [f"{given['gateway'][:40]!r} is no address"]}) from error
    if gateway not in whole or gateway == whole[1] or gateway == _FORBIDDEN:
        raise invalid({"gateway": [f"must be inside {whole}, and not its first address"]})
    return {"destination": given["destination"], "gateway": str(gateway)}


__all__ = ["Networks", "attached", "detach", "place", "refuse_locked", "reserved", "used"]
