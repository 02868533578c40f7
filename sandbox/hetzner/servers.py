"""Servers: what they are made of, what they show, and what goes with them."""

import secrets
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from . import firewalls, hypervisor, primary_ips, server_actions, server_choices, server_networks
from .errors import ApiError, invalid, too_many
from .fields import CHANGE, LABELS, NAME_OR_ID, NEEDED_NAME_OR_ID, Field, check, host_problem
from .kind import Answer, Body, Kind
from .lists import one_of
from .placement_groups import check_room
from .project import Entry, Project, refuse_locked

VOLUMES_EACH: Final = 16
STATUSES: Final = (
    "running",
    "initializing",
    "starting",
    "stopping",
    "off",
    "deleting",
    "migrating",
    "rebuilding",
    "unknown",
)

_NEW: Final = {
    "name": Field(str, required=True, check=host_problem),
    "server_type": NEEDED_NAME_OR_ID,
    "image": NEEDED_NAME_OR_ID,
    "location": NAME_OR_ID,
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


class Servers(Kind):
    """Cloud servers."""

    plural, singular = "servers", "server"
    filters: ClassVar = {**Kind.filters, "status": one_of("status", *STATUSES)}
    changes: ClassVar = {**CHANGE, "name": Field(str, check=host_problem)}

    def actions(self) -> Mapping[str, Any]:
        return server_actions.ACTIONS

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
        entry, public = _plan(project, given)
        starts = given.get("start_after_create", True)
        if starts and not public and not given.get("networks"):
            raise invalid({"public_net": ["a server without public and private networks cannot be started"]})
        volumes = _free_volumes(project, given.get("volumes", []), entry["location"]["name"])
        places = server_networks.check_new(project, given.get("networks", []), entry["location"]["network_zone"])
        groups = _firewalls(project, given.get("firewalls", []), public=bool(public))
        # The last check: a fault that strikes a few times only must not be used up by a refused request.
        server_choices.refuse_out_of_stock(project, entry["server_type"], entry["location"]["name"])
        server = project.add(self.plural, entry)
        for family, id in public.items():
            _give_address(project, server, family, id)
        for volume in volumes:
            volume["server"] = server["id"]
        for firewall in groups:
            firewalls.apply_to_server(firewall, server["id"])
        for network, ip in places:
            server_networks.join(server, network, ip, [])
        actions = self._start(project, server, volumes, starts=starts)
        password = None if given.get("ssh_keys") else secrets.token_urlsafe(15)
        return 201, {self.singular: self.show(project, server), "root_password": password, **actions}

    def _start(self, project: Project, server: Entry, volumes: list[Entry], *, starts: bool) -> Entry:
        server["_becomes"] = {"status": "running" if starts else "off"}

        def created() -> None:
            server.update({"status": "starting"} if starts else server.pop("_becomes"))

        def started() -> None:
            server.update(server.pop("_becomes"))
            hypervisor.tell(project, server, "power_on")

        def failed() -> None:
            server.pop("_becomes", None)
            server["status"] = "off"

        about = [(self.singular, server["id"])]
        latency = ("create_server", server["server_type"]["cpu_type"])
        first = project.act("create_server", about, created, otherwise=failed, latency=latency, locks=server)
        following: list[Entry] = []
        if starts:
            following.append(project.act("start_server", about, started, otherwise=failed, locks=server, follows=first))
        for net in server["private_net"]:
            following.append(project.act("attach_to_network", [*about, ("network", net["network"])], follows=first))
        for volume in volumes:
            following.append(project.act("attach_volume", [*about, ("volume", volume["id"])], follows=first))
        return {"action": first, "next_actions": following}

    # -- changing and deleting

    def changed(self, project: Project, entry: Entry) -> None:
        hypervisor.tell(project, entry, "changed")

    def delete(self, project: Project, entry: Entry) -> Answer:
        self.refuse_protected(entry)
        refuse_locked(entry, f"server {entry['id']}")
        before, entry["status"] = entry["status"], "deleting"

        def failed() -> None:
            entry["status"] = before

        about = [(self.singular, entry["id"])]
        action = project.act(
            "delete_server", about, lambda: self._forget(project, entry), otherwise=failed, locks=entry
        )
        return 200, {"action": action}

    def _forget(self, project: Project, entry: Entry) -> None:
        id = entry["id"]
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
        hypervisor.destroy(project, id)

    def settle(self, project: Project) -> None:
        for entry in list(project.all(self.plural)):
            entry.update(entry.pop("_becomes", {}))
            if entry["status"] == "deleting":
                self._forget(project, entry)


def _plan(project: Project, given: Body) -> tuple[Entry, dict[str, int | None]]:
    """A new server without its id, and its public families with the ids of their Primary IPs.

    Raises:
        ApiError: the first thing that stands in the way.
    """
    type = server_choices.server_type(project, given["server_type"])
    location = server_choices.location(project, type, given.get("location"))
    image = server_choices.image(project, given["image"], type)
    user_data = server_choices.user_data(given.get("user_data", ""))
    for key in given.get("ssh_keys", []):
        if not any(str(key) in (entry["name"], str(entry["id"])) for entry in project.all("ssh_keys")):
            raise invalid({"ssh_keys": [f"SSH key {str(key)[:40]!r} not found"]})
    project.check_name("servers", given["name"])
    if len(project.kinds["servers"]) >= project.cloud.settings.servers:
        raise too_many("server_limit", project.cloud.settings.servers)
    if "placement_group" in given:
        check_room(project, given["placement_group"])
    public = _families(project, check(given.get("public_net", {}), _PUBLIC, "public_net."), location["name"])
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
        "_signal": None,
    }
    return entry, public


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
    firewalls.check_rules(each["rules"] for each in found)
    return found


def _free_volumes(project: Project, ids: list[int], location: str) -> list[Entry]:
    if len(ids) > VOLUMES_EACH:
        raise too_many("volumes_per_server", VOLUMES_EACH)
    if len(set(ids)) < len(ids):
        raise invalid({"volumes": ["a volume is given twice"]})
    volumes = [project.get("volumes", id, "volume") for id in ids]
    for volume in volumes:
        if volume["server"] is not None or volume["location"]["name"] != location:
            raise invalid({"volumes": [f"volume {volume['id']} is attached, or in another location"]})
    return volumes


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
