"""Servers in Networks: attaching, detaching, and further addresses there."""

import secrets
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from . import networks
from .errors import ApiError, invalid, too_many
from .fields import Field
from .hypervisor import tell
from .kind import Answer, Body, acted
from .project import Entry, Project, refuse_locked

NETWORKS_EACH: Final = 3

_NETWORK: Final = {"network": Field(int, required=True)}


def check_new(project: Project, ids: list[int], zone: str) -> list[tuple[int, str]]:
    """Networks for a new server, with the address that it gets in each.

    Raises:
        ApiError: what stands in the way.
    """
    if len(ids) > NETWORKS_EACH:
        raise too_many("networks_per_server", NETWORKS_EACH)
    nets: list[Entry] = []
    for id in ids:
        net = project.get("networks", id, "network")
        if net in nets:
            raise invalid({"networks": [f"network {id} is given twice"]})
        _refuse_overlap(net, nets)
        nets.append(net)
    return [(net["id"], networks.place(project, net, zone, None, None)) for net in nets]


def join(server: Entry, network: int, ip: str, alias_ips: list[str]) -> None:
    """Give the server an interface in a Network."""
    digits = secrets.token_hex(3)
    server["private_net"].append(
        {
            "network": network,
            "ip": ip,
            "alias_ips": alias_ips,
            "mac_address": ":".join(["86", "00", "00", digits[:2], digits[2:4], digits[4:]]),
        }
    )


def leave(project: Project, server: Entry, network: int) -> bool:
    """Take the interface away, and the targets that need it; returns whether there was one."""
    if networks.detach(server, network) is None:
        return False
    for balancer in project.all("load_balancers"):
        if any(net["network"] == network for net in balancer["private_net"]):
            balancer["targets"] = [each for each in balancer["targets"] if not _is_private(each, server["id"])]
    tell(project, server, "changed")
    return True


def _is_private(target: Entry, server: int) -> bool:
    return target["type"] == "server" and target["server"]["id"] == server and target["use_private_ip"]


def _refuse_overlap(net: Entry, others: Iterable[Entry]) -> None:
    for other in others:
        if IPv4Network(net["ip_range"]).overlaps(IPv4Network(other["ip_range"])):
            raise ApiError(422, "networks_overlap", f"networks {net['id']} and {other['id']} overlap")


def _attach(project: Project, entry: Entry, body: Body) -> Answer:
    refuse_locked(entry, f"server {entry['id']}")
    net = project.get("networks", body["network"], "network")
    others = [project.get("networks", each["network"], "network") for each in entry["private_net"]]
    if net in others:
        raise ApiError(422, "server_already_attached", f"server {entry['id']} is in network {net['id']} already")
    if len(others) >= NETWORKS_EACH:
        raise too_many("networks_per_server", NETWORKS_EACH)
    _refuse_overlap(net, others)
    ip = networks.place(project, net, entry["location"]["network_zone"], body.get("ip"), body.get("ip_range"))
    aliases = _aliases(project, net, body.get("alias_ips", []), own=ip)
    join(entry, net["id"], ip, aliases)
    tell(project, entry, "changed")
    resources = [("server", entry["id"]), ("network", net["id"])]

    def failed() -> None:
        leave(project, entry, net["id"])

    return acted(project.act("attach_to_network", resources, otherwise=failed, locks=entry))


def _detach(project: Project, entry: Entry, body: Body) -> Answer:
    refuse_locked(entry, f"server {entry['id']}")
    project.get("networks", body["network"], "network")
    if not leave(project, entry, body["network"]):
        raise ApiError(404, "not_found", f"server {entry['id']} is not in network {body['network']}")
    resources = [("server", entry["id"]), ("network", body["network"])]
    return acted(project.act("detach_from_network", resources, locks=entry))


def _change_aliases(project: Project, entry: Entry, body: Body) -> Answer:
    refuse_locked(entry, f"server {entry['id']}")
    net = project.get("networks", body["network"], "network")
    found = next((each for each in entry["private_net"] if each["network"] == net["id"]), None)
    if found is None:
        raise ApiError(404, "not_found", f"server {entry['id']} is not in network {net['id']}")
    found["alias_ips"] = _aliases(project, net, body["alias_ips"], own=found["ip"], before=found["alias_ips"])
    resources = [("server", entry["id"]), ("network", net["id"])]
    return acted(project.act("change_alias_ips", resources, locks=entry))


def _aliases(project: Project, net: Entry, wanted: list[str], own: str, before: Iterable[str] = ()) -> list[str]:
    blocked = networks.reserved(net) | set(networks.used(project, net["id"]))
    blocked -= set(map(IPv4Address, before))
    blocked.add(IPv4Address(own))
    subnets = [IPv4Network(each["ip_range"]) for each in net["subnets"] if each["type"] != "vswitch"]
    for ip in wanted:
        try:
            address = IPv4Address(ip)
        except ValueError as error:
            raise invalid({"alias_ips": [f"{ip[:40]!r} is no address"]}) from error
        if address in blocked or not any(address in subnet for subnet in subnets):
            raise ApiError(422, "ip_not_available", f"the address {ip} is not available")
        blocked.add(address)
    return wanted


ACTIONS: Final[dict[str, Any]] = {
    "attach_to_network": (
        {**_NETWORK, "ip": Field(str), "ip_range": Field(str), "alias_ips": Field(list, items=str)},
        _attach,
    ),
    "detach_from_network": (_NETWORK, _detach),
    "change_alias_ips": ({**_NETWORK, "alias_ips": Field(list, required=True, items=str)}, _change_aliases),
}
