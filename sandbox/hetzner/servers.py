"""Servers: states, public addresses, Networks, power, types and protection."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..machines.facts import Attachment, ServerFacts
from . import firewalls, networks, primary_ips
from .catalogue import named
from .errors import ApiError, invalid, too_many
from .fields import CHANGE, LABELS, Field, check, host_problem
from .images import snapshot
from .kind import Answer, Body, Kind, acted
from .placement_groups import check_room
from .project import Entry, Project, refuse_locked

USER_DATA_LIMIT: Final = 32 * 1024
NETWORKS_EACH: Final = 3
VOLUMES_EACH: Final = 16

_NAME: Final = Field(str, required=True, check=host_problem)
_NEW: Final = {
    "name": _NAME,
    "server_type": Field(str, required=True),
    "image": Field(str, required=True),
    "location": Field(str),
    "start_after_create": Field(bool),
    "placement_group": Field(int),
    "ssh_keys": Field(list),
    "volumes": Field(list, items=int),
    "networks": Field(list, items=int),
    "firewalls": Field(list, items=dict),
    "user_data": Field(str),
    "labels": LABELS,
    "automount": Field(bool),
    "public_net": Field(dict),
}
_PUBLIC: Final = {
    "enable_ipv4": Field(bool),
    "enable_ipv6": Field(bool),
    "ipv4": Field(int, nullable=True),
    "ipv6": Field(int, nullable=True),
}
_ATTACH: Final = {
    "network": Field(int, required=True),
    "ip": Field(str),
    "ip_range": Field(str),
    "alias_ips": Field(list, items=str),
}
_NETWORK: Final = {"network": Field(int, required=True)}


class Servers(Kind):
    """Cloud servers."""

    plural, singular = "servers", "server"
    filters = {**Kind.filters, "status": lambda entry: entry["status"]}
    changes = {**CHANGE, "name": Field(str, check=host_problem)}

    def actions(self) -> Mapping[str, Any]:
        return _ACTIONS

    # -- reading

    def show(self, project: Project, entry: Entry) -> Entry:
        shown = {key: value for key, value in entry.items() if key[0] != "_"}
        group = entry["_placement_group"]
        shown["public_net"] = _public_net(project, entry)
        shown["locked"] = "_lock" in entry
        shown["volumes"] = [volume["id"] for volume in project.all("volumes") if volume["server"] == entry["id"]]
        shown["load_balancers"] = [
            balancer["id"]
            for balancer in project.all("load_balancers")
            if any(each.get("server", {}).get("id") == entry["id"] for each in balancer["targets"])
        ]
        shown["placement_group"] = None
        if group is not None:
            shown["placement_group"] = project.cloud.kinds["placement_groups"].show(
                project, project.kinds["placement_groups"][group]
            )
        return shown

    # -- creating

    def create(self, project: Project, body: Body) -> Answer:
        given = check(body, _NEW)
        starts = given.get("start_after_create", True)
        entry, public = _plan(project, given)
        nets = [project.get("networks", id, "network") for id in given.get("networks", [])]
        volumes = [_free_volume(project, id, entry["location"]["name"]) for id in given.get("volumes", [])]
        if starts and not public and not nets:
            raise invalid({"public_net": ["a server without public and private networks cannot be started"]})
        places = [
            (net["id"], networks.place(project, net, entry["location"]["network_zone"], None, None)) for net in nets
        ]
        groups = _firewalls(project, given.get("firewalls", []), public=bool(public))
        server = project.add(self.plural, entry)
        for family, id in public.items():
            _give_address(project, server, family, id)
        for volume in volumes:
            volume["server"] = server["id"]
        for firewall in groups:
            firewalls.apply_to_server(firewall, server["id"])
        actions = self._start(project, server, places, volumes, starts=starts)
        password = None if given.get("ssh_keys") else secrets.token_urlsafe(15)
        content = {self.singular: self.show(project, server), "root_password": password, **actions}
        return 201, content

    def _start(
        self, project: Project, server: Entry, places: list[tuple[int, str]], volumes: list[Entry], *, starts: bool
    ) -> Entry:
        category = server["server_type"]["cpu_type"]
        resources = [(self.singular, server["id"])]

        def created() -> None:
            if server["status"] == "initializing" and not starts:
                server["status"] = "off"

        def started() -> None:
            server["status"] = "running"
            tell(project, server, "power_on")

        first = project.act("create_server", resources, created, latency=("create_server", category), locks=server)
        following = [project.act("start_server", resources, started, latency=("start_server",))] if starts else []
        for network, ip in places:
            _attach(server, network, ip, [])
            following.append(project.act("attach_to_network", [*resources, ("network", network)]))
        following += [project.act("attach_volume", [*resources, ("volume", volume["id"])]) for volume in volumes]
        return {"action": first, "next_actions": following}

    # -- changing and deleting

    def check_new_name(self, project: Project, entry: Entry, name: str) -> None:
        super().check_new_name(project, entry, name)

    def changed(self, project: Project, entry: Entry) -> None:
        tell(project, entry, "changed")
        project.cloud.rebalance(project)

    def delete(self, project: Project, entry: Entry) -> Answer:
        self.refuse_protected(entry)
        refuse_locked(entry, f"server {entry['id']}")
        id = entry["id"]
        action = project.act("delete_server", [(self.singular, id)])
        del project.kinds[self.plural][id]
        primary_ips.release(project, entry["_ipv4"])
        primary_ips.release(project, entry["_ipv6"])
        for volume in project.all("volumes"):
            if volume["server"] == id:
                volume["server"] = None
        firewalls.forget_server(project, id)
        for balancer in project.all("load_balancers"):
            balancer["targets"] = [
                each for each in balancer["targets"] if each["type"] != "server" or each["server"]["id"] != id
            ]
        if project.cloud.machines is not None:
            project.cloud.machines.delete(id)
        project.cloud.rebalance(project)
        return 200, {"action": action}


def _plan(project: Project, given: Body) -> tuple[Entry, dict[str, int | None]]:
    """A new server without its id, and its public families with the ids of their Primary IPs.

    Raises:
        ApiError: the first thing that stands in the way.
    """
    catalogue = project.cloud.catalogue
    type = named(catalogue.server_types, given["server_type"])
    if type is None:
        raise invalid({"server_type": [f"{given['server_type'][:40]!r} is unknown"]})
    location = _location(project, given, type)
    image = _image(project, given["image"], type)
    user_data = given.get("user_data", "")
    if len(user_data.encode("utf-8", "surrogatepass")) > USER_DATA_LIMIT:
        raise invalid({"user_data": [f"must not be longer than {USER_DATA_LIMIT} bytes"]})
    for key in given.get("ssh_keys", []):
        if not any(str(key) in (entry["name"], str(entry["id"])) for entry in project.all("ssh_keys")):
            raise invalid({"ssh_keys": [f"SSH key {str(key)[:40]!r} not found"]})
    project.check_name("servers", given["name"])
    if len(project.kinds["servers"]) >= project.cloud.settings.servers:
        raise too_many("server_limit", project.cloud.settings.servers)
    if "placement_group" in given:
        check_room(project, given["placement_group"])
    public = _families(project, check(given.get("public_net", {}), _PUBLIC, "public_net."), location["name"])
    _refuse_out_of_stock(project, type, location["name"])
    entry: Entry = {
        "name": given["name"],
        "status": "initializing",
        "server_type": type,
        "location": location,
        "image": image,
        "iso": None,
        "rescue_enabled": False,
        "backup_window": None,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": 20 * 1024**4,
        "protection": {"delete": False, "rebuild": False},
        "labels": given.get("labels", {}),
        "primary_disk_size": type["disk"],
        "private_net": [],
        "_user_data": user_data,
        "_placement_group": given.get("placement_group"),
        "_ipv4": None,
        "_ipv6": None,
    }
    return entry, public


def _location(project: Project, given: Body, type: Entry) -> Entry:
    wanted = given.get("location") or type["locations"][0]["name"]
    location = named(project.cloud.catalogue.locations, wanted)
    if location is None:
        raise invalid({"location": [f"{str(wanted)[:40]!r} is unknown"]})
    if not any(sold["name"] == location["name"] for sold in type["locations"]):
        raise invalid({"server_type": [f"unsupported location for server type {type['name']}: {location['name']}"]})
    return location


def _refuse_out_of_stock(project: Project, type: Entry, location: str) -> None:
    cloud = project.cloud
    sold = next(each for each in type["locations"] if each["name"] == location)
    if not sold["available"] or cloud.world.faults.unavailable(type["name"], location):
        raise ApiError(
            412, "resource_unavailable", f"server type {type['name']} is unavailable in {location} at this moment"
        )


def _image(project: Project, wanted: str, type: Entry) -> Entry:
    found = [
        entry for entry in project.cloud.kinds["images"].all(project) if wanted in (entry["name"], str(entry["id"]))
    ]
    if not found:
        raise invalid({"image": [f"{wanted[:40]!r} is unknown"]})
    fitting = [entry for entry in found if entry["architecture"] == type["architecture"]]
    if not fitting:
        raise invalid(
            {"image": [f"is for {found[0]['architecture']}, server type {type['name']} is {type['architecture']}"]}
        )
    return fitting[0]


def _families(project: Project, public: Body, location: str) -> dict[str, int | None]:
    families: dict[str, int | None] = {}
    for family in ("ipv4", "ipv6"):
        if not public.get(f"enable_{family}", True):
            if family in public:
                raise invalid({f"public_net.{family}": [f"{family} is not enabled"]})
            continue
        id = public.get(family)
        if id is not None:
            primary_ips.check_free(project, id, family, location)
        families[family] = id
    return families


def _give_address(project: Project, server: Entry, family: str, id: int | None) -> None:
    if id is None:
        name = f"primary_ip-{server['id']}-{family}"
        address = primary_ips.new_address(project, name, family, server["location"], labels={}, auto_delete=True)
    else:
        address = project.kinds["primary_ips"][id]
    primary_ips.assign(address, "server", server["id"])
    server[f"_{family}"] = address["id"]


def _firewalls(project: Project, given: list[Any], *, public: bool) -> list[Entry]:
    wanted = [check(each, {"firewall": Field(int, required=True)}, "firewalls.")["firewall"] for each in given]
    found = [project.get("firewalls", id, "firewall") for id in wanted]
    if found and not public:
        raise ApiError(422, "private_net_only_server", "a server without a public interface takes no firewalls")
    if len(found) > firewalls.EACH_SERVER:
        raise too_many("firewalls_per_server", firewalls.EACH_SERVER)
    return found


def _free_volume(project: Project, id: int, location: str) -> Entry:
    volume = project.get("volumes", id, "volume")
    if volume["server"] is not None or volume["location"]["name"] != location:
        raise invalid({"volumes": [f"volume {id} is attached, or in another location"]})
    return volume


def _public_net(project: Project, entry: Entry) -> Entry:
    ipv4 = project.kinds["primary_ips"].get(entry["_ipv4"])
    ipv6 = project.kinds["primary_ips"].get(entry["_ipv6"])
    return {
        "ipv4": None
        if ipv4 is None
        else {
            "id": ipv4["id"],
            "ip": ipv4["ip"],
            "blocked": False,
            "dns_ptr": ipv4["dns_ptr"][0]["dns_ptr"] if ipv4["dns_ptr"] else "",
        },
        "ipv6": None
        if ipv6 is None
        else {"id": ipv6["id"], "ip": ipv6["ip"], "blocked": False, "dns_ptr": ipv6["dns_ptr"]},
        "floating_ips": [],
        "firewalls": [{"id": id, "status": "applied"} for id in firewalls.of_server(project, entry)],
    }


def facts(project: Project, entry: Entry) -> ServerFacts:
    """What its hypervisor knows."""
    ipv4 = project.kinds["primary_ips"].get(entry["_ipv4"])
    return ServerFacts(
        id=entry["id"],
        name=entry["name"],
        user_data=entry["_user_data"],
        public_ipv4=ipv4["ip"] if ipv4 else None,
        attachments=tuple(Attachment(net["network"], net["ip"], net["mac_address"]) for net in entry["private_net"]),
        labels=dict(entry["labels"]),
        location=entry["location"]["name"],
        server_type=entry["server_type"]["name"],
    )


def tell(project: Project, entry: Entry, event: str) -> None:
    """Tell the machines about a server: ``power_on``, ``changed`` or ``wipe``."""
    machines = project.cloud.machines
    if machines is not None and entry["id"] in project.kinds["servers"]:
        getattr(machines, event)(facts(project, entry))
    project.cloud.rebalance(project)


def _attach(server: Entry, network: int, ip: str, alias_ips: list[str]) -> None:
    digits = secrets.token_hex(3)
    server["private_net"].append(
        {
            "network": network,
            "ip": ip,
            "alias_ips": alias_ips,
            "mac_address": ":".join(["86", "00", "00", digits[:2], digits[2:4], digits[4:]]),
        }
    )


# -- actions


def _power(command: str, status: str, between: str) -> Callable[[Project, Entry, Body], Answer]:
    def act(project: Project, entry: Entry, body: Body) -> Answer:
        del body
        refuse_locked(entry, f"server {entry['id']}")
        if entry["status"] == status:
            return acted(project.act(command, [("server", entry["id"])], locks=entry))
        if status == "running":
            _refuse_isolated(entry)
        entry["status"] = between
        if status == "off" and project.cloud.machines is not None:
            project.cloud.machines.power_off(entry["id"])

        def done() -> None:
            entry["status"] = status
            if status == "running":
                tell(project, entry, "power_on")

        return acted(project.act(command, [("server", entry["id"])], done, locks=entry))

    return act


def _refuse_isolated(entry: Entry) -> None:
    if entry["_ipv4"] is None and entry["_ipv6"] is None and not entry["private_net"]:
        raise ApiError(
            422, "invalid_input", f"server {entry['id']} has no network: it cannot be started", {"fields": []}
        )


def _shutdown(project: Project, entry: Entry, body: Body) -> Answer:
    """The action ends when the signal is sent; the state changes later."""
    del body
    refuse_locked(entry, f"server {entry['id']}")
    if entry["status"] != "running":
        raise ApiError(422, "invalid_input", f"server {entry['id']} does not run", {"fields": []})

    def stopped() -> None:
        if entry["status"] == "running":
            entry["status"] = "off"
            if project.cloud.machines is not None:
                project.cloud.machines.power_off(entry["id"])

    clock, seconds = project.cloud.world.clock, project.cloud.world.latencies.seconds("shutdown")
    return acted(project.act("shutdown_server", [("server", entry["id"])], lambda: clock.call_later(seconds, stopped)))


def _restart(command: str) -> Callable[[Project, Entry, Body], Answer]:
    def act(project: Project, entry: Entry, body: Body) -> Answer:
        del body
        refuse_locked(entry, f"server {entry['id']}")
        _refuse_isolated(entry)
        if project.cloud.machines is not None:
            project.cloud.machines.power_off(entry["id"])

        def done() -> None:
            entry["status"] = "running"
            tell(project, entry, "power_on")

        return acted(project.act(command, [("server", entry["id"])], done, locks=entry))

    return act


def _rebuild(project: Project, entry: Entry, body: Body) -> Answer:
    refuse_locked(entry, f"server {entry['id']}")
    if entry["protection"]["rebuild"]:
        raise ApiError(423, "protected", f"server {entry['id']} is protected from rebuilds")
    entry["image"] = _image(project, body["image"], entry["server_type"])
    entry["_user_data"] = body.get("user_data", entry["_user_data"])
    entry["status"] = "rebuilding"

    def done() -> None:
        entry["status"] = "running"
        tell(project, entry, "wipe")

    action = project.act("rebuild_server", [("server", entry["id"])], done, locks=entry)
    return 201, {"action": action, "root_password": secrets.token_urlsafe(15)}


def _change_type(project: Project, entry: Entry, body: Body) -> Answer:
    refuse_locked(entry, f"server {entry['id']}")
    _refuse_running(entry)
    type = named(project.cloud.catalogue.server_types, body["server_type"])
    if type is None or type["architecture"] != entry["server_type"]["architecture"]:
        raise ApiError(422, "invalid_server_type", f"server type {body['server_type'][:40]!r} does not fit")
    if type["disk"] < entry["primary_disk_size"]:
        raise ApiError(422, "invalid_server_type", f"the disk of {type['name']} is smaller than the server's")
    _refuse_out_of_stock(project, type, entry["location"]["name"])
    entry["status"] = "migrating"

    def done() -> None:
        entry["status"] = "off"
        entry["server_type"] = type
        if body["upgrade_disk"]:
            entry["primary_disk_size"] = type["disk"]

    return acted(project.act("change_server_type", [("server", entry["id"])], done, locks=entry))


def _refuse_running(entry: Entry) -> None:
    if entry["status"] != "off":
        raise ApiError(422, "server_not_stopped", f"server {entry['id']} must be off")


def _attach_to_network(project: Project, entry: Entry, body: Body) -> Answer:
    refuse_locked(entry, f"server {entry['id']}")
    net = project.get("networks", body["network"], "network")
    if any(each["network"] == net["id"] for each in entry["private_net"]):
        raise ApiError(422, "server_already_attached", f"server {entry['id']} is in network {net['id']} already")
    if len(entry["private_net"]) >= NETWORKS_EACH:
        raise too_many("networks_per_server", NETWORKS_EACH)
    whole = networks.IPv4Network(net["ip_range"])
    for each in entry["private_net"]:
        other = project.get("networks", each["network"], "network")
        if whole.overlaps(networks.IPv4Network(other["ip_range"])):
            raise ApiError(422, "networks_overlap", f"networks {net['id']} and {other['id']} overlap")
    ip = networks.place(project, net, entry["location"]["network_zone"], body.get("ip"), body.get("ip_range"))
    aliases = _aliases(project, net, body.get("alias_ips", []), own=ip)
    _attach(entry, net["id"], ip, aliases)
    tell(project, entry, "changed")
    resources = [("server", entry["id"]), ("network", net["id"])]
    return acted(project.act("attach_to_network", resources, locks=entry))


def _aliases(project: Project, net: Entry, wanted: list[str], own: str) -> list[str]:
    blocked = networks.reserved(net) | set(networks.used(project, net["id"])) | {networks.IPv4Address(own)}
    subnets = [networks.IPv4Network(each["ip_range"]) for each in net["subnets"] if each["type"] != "vswitch"]
    for ip in wanted:
        try:
            address = networks.IPv4Address(ip)
        except ValueError as error:
            raise invalid({"alias_ips": [f"{ip[:40]!r} is no address"]}) from error
        if address in blocked or not any(address in subnet for subnet in subnets):
            raise ApiError(422, "ip_not_available", f"the address {ip} is not available")
        blocked.add(address)
    return wanted


def _detach_from_network(project: Project, entry: Entry, body: Body) -> Answer:
    refuse_locked(entry, f"server {entry['id']}")
    project.get("networks", body["network"], "network")
    if networks.detach(entry, body["network"]) is None:
        raise ApiError(404, "not_found", f"server {entry['id']} is not in network {body['network']}")
    for balancer in project.all("load_balancers"):
        balancer["targets"] = [
            each
            for each in balancer["targets"]
            if each["type"] != "server" or each["server"]["id"] != entry["id"] or not each["use_private_ip"]
        ]
    tell(project, entry, "changed")
    resources = [("server", entry["id"]), ("network", body["network"])]
    return acted(project.act("detach_from_network", resources, locks=entry))


def _change_aliases(project: Project, entry: Entry, body: Body) -> Answer:
    net = project.get("networks", body["network"], "network")
    found = next((each for each in entry["private_net"] if each["network"] == net["id"]), None)
    if found is None:
        raise ApiError(404, "not_found", f"server {entry['id']} is not in network {net['id']}")
    before, found["alias_ips"] = found["alias_ips"], []
    try:
        found["alias_ips"] = _aliases(project, net, body["alias_ips"], own=found["ip"])
    except ApiError:
        found["alias_ips"] = before
        raise
    return acted(project.act("change_alias_ips", [("server", entry["id"]), ("network", net["id"])]))


def _add_to_group(project: Project, entry: Entry, body: Body) -> Answer:
    if entry["_placement_group"] is not None:
        raise ApiError(422, "already_in_placement_group", f"server {entry['id']} is in a placement group already")
    _refuse_running(entry)
    check_room(project, body["placement_group"])
    entry["_placement_group"] = body["placement_group"]
    return acted(project.act("add_to_placement_group", [("server", entry["id"])]))


def _leave_group(project: Project, entry: Entry, body: Body) -> Answer:
    del body
    if entry["_placement_group"] is None:
        raise ApiError(422, "not_in_placement_group", f"server {entry['id']} is in no placement group")
    entry["_placement_group"] = None
    return acted(project.act("remove_from_placement_group", [("server", entry["id"])]))


def _change_protection(project: Project, entry: Entry, body: Body) -> Answer:
    wanted = {**entry["protection"], **body}
    if wanted["delete"] != wanted["rebuild"]:
        raise invalid({"rebuild": ["delete and rebuild protection must be equal"]})
    entry["protection"] = wanted
    return acted(project.act("change_protection", [("server", entry["id"])]))


def _backup(command: str, window: str | None) -> Callable[[Project, Entry, Body], Answer]:
    def act(project: Project, entry: Entry, body: Body) -> Answer:
        del body
        entry["backup_window"] = window
        return acted(project.act(command, [("server", entry["id"])]))

    return act


def _create_image(project: Project, entry: Entry, body: Body) -> Answer:
    made = snapshot(project, entry, body)
    action = project.act("create_image", [("server", entry["id"]), ("image", made["id"])])
    return 201, {"image": project.cloud.kinds["images"].show(project, made), "action": action}


def _change_dns(project: Project, entry: Entry, body: Body) -> Answer:
    address = project.kinds["primary_ips"].get(entry["_ipv4"])
    if address is None or address["ip"] != body["ip"]:
        raise invalid({"ip": [f"{body['ip'][:40]!r} is no IPv4 address of the server"]})
    address["dns_ptr"] = [{"ip": body["ip"], "dns_ptr": body["dns_ptr"]}] if body.get("dns_ptr") else []
    return acted(project.act("change_dns_ptr", [("server", entry["id"])]))


_ACTIONS: Final[Mapping[str, Any]] = {
    "poweron": ({}, _power("start_server", "running", "starting")),
    "poweroff": ({}, _power("stop_server", "off", "stopping")),
    "shutdown": ({}, _shutdown),
    "reboot": ({}, _restart("reboot_server")),
    "reset": ({}, _restart("reset_server")),
    "rebuild": ({"image": Field(str, required=True), "user_data": Field(str)}, _rebuild),
    "change_type": (
        {"server_type": Field(str, required=True), "upgrade_disk": Field(bool, required=True)},
        _change_type,
    ),
    "attach_to_network": (_ATTACH, _attach_to_network),
    "detach_from_network": (_NETWORK, _detach_from_network),
    "change_alias_ips": ({**_NETWORK, "alias_ips": Field(list, required=True, items=str)}, _change_aliases),
    "add_to_placement_group": ({"placement_group": Field(int, required=True)}, _add_to_group),
    "remove_from_placement_group": ({}, _leave_group),
    "change_protection": ({"delete": Field(bool), "rebuild": Field(bool)}, _change_protection),
    "enable_backup": ({}, _backup("enable_backup", "22-02")),
    "disable_backup": ({}, _backup("disable_backup", None)),
    "create_image": (
        {"description": Field(str), "type": Field(str, choices=("snapshot", "backup")), "labels": LABELS},
        _create_image,
    ),
    "change_dns_ptr": ({"ip": Field(str, required=True), "dns_ptr": Field(str, nullable=True)}, _change_dns),
}

__all__ = ["Servers", "facts", "tell"]
