"""Targets of load balancers: servers, all servers with certain labels, and addresses of dedicated machines."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final

from .balancer_services import add_limited, length
from .errors import ApiError, invalid
from .fields import Field, check
from .project import Entry, Project
from .selectors import Selector, SelectorError

TARGET: Final = {
    "type": Field(str, required=True, choices=("server", "label_selector", "ip")),
    "server": Field(dict),
    "label_selector": Field(dict),
    "ip": Field(dict),
    "use_private_ip": Field(bool),
}


def resolved(project: Project, entry: Entry, target: Entry) -> Iterator[tuple[Entry | None, str | None]]:
    """The servers behind a target and the addresses that traffic goes to."""
    if target["type"] == "ip":
        yield None, target["ip"]["ip"]
        return
    if target["type"] == "server":
        servers = [project.kinds["servers"][target["server"]["id"]]]
    else:
        selector = Selector(target["label_selector"]["selector"])
        servers = [server for server in project.all("servers") if selector.matches(server["labels"])]
    for server in servers:
        yield server, _address(project, entry, server, private=target["use_private_ip"])


def _address(project: Project, entry: Entry, server: Entry, *, private: bool) -> str | None:
    if private:
        own = {net["network"] for net in entry["private_net"]}
        return next((net["ip"] for net in server["private_net"] if net["network"] in own), None)
    ipv4 = project.kinds["primary_ips"].get(server["_ipv4"])
    return ipv4["ip"] if ipv4 else None


def shown(project: Project, entry: Entry, target: Entry, health: Mapping[tuple[str, int], str]) -> Entry:
    """A target as the API tells it, with the health of what it stands for."""

    def statuses(address: str | None) -> list[Entry]:
        return [
            {"listen_port": each["listen_port"], "status": health.get((address or "", each["listen_port"]), "unknown")}
            for each in entry["services"]
        ]

    behind = list(resolved(project, entry, target))
    if target["type"] != "label_selector":
        return {**target, "health_status": statuses(behind[0][1])}
    found = [
        {
            "type": "server",
            "server": {"id": server["id"]},
            "health_status": statuses(address),
            "use_private_ip": target["use_private_ip"],
        }
        for server, address in behind
        if server is not None
    ]
    return {**target, "targets": found}


def named_target(given: Any, at: str = "") -> Entry:
    """A target as it is named, without its use of private addresses."""
    target = check(given, TARGET, at)
    match target["type"]:
        case "server":
            id = check(target.get("server", {}), {"id": Field(int, required=True)}, f"{at}server.")["id"]
            return {"type": "server", "server": {"id": id}}
        case "label_selector":
            form = {"selector": Field(str, required=True, check=length(1, 1000))}
            selector = check(target.get("label_selector", {}), form, f"{at}label_selector.")["selector"]
            try:
                Selector(selector)
            except SelectorError as error:
                raise invalid({f"{at}label_selector.selector": [str(error)[:200]]}) from error
            return {"type": "label_selector", "label_selector": {"selector": selector}}
        case _:
            ip = check(target.get("ip", {}), {"ip": Field(str, required=True)}, f"{at}ip.")["ip"]
            try:
                ip_address(ip)
            except ValueError as error:
                raise invalid({f"{at}ip.ip": [f"{ip[:40]!r} is no address"]}) from error
            return {"type": "ip", "ip": {"ip": ip}}


def add(project: Project, entry: Entry, given: Any, at: str = "") -> None:
    """Add a target; `at` is where it stands in the request.

    Raises:
        ApiError: it is malformed, cannot be reached, is there already, or is one too many.
    """
    target = _new_target(project, entry, given, at)
    if any(same(target, other) for other in entry["targets"]):
        raise ApiError(422, "target_already_defined", f"the target is defined already: {target[target['type']]}")
    add_limited(entry, "targets", target)


def _new_target(project: Project, entry: Entry, given: Any, at: str) -> Entry:
    target = named_target(given, at)
    private = bool(given.get("use_private_ip", False))
    if target["type"] == "ip":
        if project.cloud.has_address(target["ip"]["ip"]):
            told = f"the address {target['ip']['ip']} belongs to a cloud server: use a target of the type server"
            raise ApiError(422, "cloud_resource_ip_not_allowed", told)
        if target["ip"]["ip"] not in project.cloud.dedicated_addresses:
            raise ApiError(422, "ip_not_owned", f"the address {target['ip']['ip']} belongs to none of your machines")
        return target
    if private and not entry["private_net"]:
        raise not_attached(entry)
    if target["type"] == "server":
        server = project.get("servers", target["server"]["id"], "server")
        if private and _address(project, entry, server, private=True) is None:
            raise ApiError(
                422,
                "resolve_cloud_private_targets_error",
                f"server {server['id']} is not in the load balancer's network",
            )
        if not private and server["_ipv4"] is None:
            raise ApiError(422, "missing_ipv4", f"server {server['id']} has no public IPv4 address")
    return {**target, "use_private_ip": private}


def refuse_public(entry: Entry) -> None:
    """Without a public interface, traffic only goes to private addresses."""
    if not entry["_public"] and any(
        not each.get("use_private_ip") for each in entry["targets"] if each["type"] != "ip"
    ):
        raise ApiError(422, "targets_without_use_private_ip", "some targets use their public addresses")


def same(one: Entry, other: Entry) -> bool:
    """Whether two targets stand for the same, by whatever addresses."""
    type = one["type"]
    return type == other["type"] and one[type] == other[type]


def not_attached(entry: Entry) -> ApiError:
    """422: what was asked for needs a Network."""
    return ApiError(
        422, "load_balancer_not_attached_to_network", f"load balancer {entry.get('id', '')} is in no network".strip()
    )
