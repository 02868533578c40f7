"""Primary IPs: public addresses that outlive servers and load balancers, or go with them."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar, Final

from .catalogue import named
from .errors import ApiError, invalid, too_many
from .fields import CHANGE, LABELS, NAME, NAME_OR_ID, Field, check
from .kind import NOTHING, Answer, Body, Kind, acted, only_one
from .lists import by
from .project import Entry, Project, refuse_locked
from .server_power import refuse_running

DNS: Final = {"ip": Field(str, required=True), "dns_ptr": Field(str, nullable=True)}


class PrimaryIps(Kind):
    """IPv4 addresses, and IPv6 networks (/64)."""

    plural, singular = "primary_ips", "primary_ip"
    filters: ClassVar = {**Kind.filters, "ip": by("ip")}
    sortable: ClassVar = {name: Kind.sortable[name] for name in ("id", "created")}
    changes: ClassVar = {**CHANGE, "auto_delete": Field(bool)}

    def actions(self) -> Any:
        assignee: Mapping[str, Field] = {
            "assignee_type": Field(str, required=True, choices=("server",)),
            "assignee_id": Field(int, required=True),
        }
        return {
            "assign": (assignee, self._assign),
            "unassign": (NOTHING, self._unassign),
            "change_dns_ptr": (DNS, self._change_dns),
            "change_protection": ({"delete": Field(bool, required=True)}, self.protect),
        }

    def create(self, project: Project, body: Body) -> Answer:
        given = check(
            body,
            {
                "name": NAME,
                "type": Field(str, required=True, choices=("ipv4", "ipv6")),
                "location": NAME_OR_ID,
                "assignee_type": Field(str, choices=("server", "load_balancer", "unassigned")),
                "assignee_id": Field(int, nullable=True),
                "auto_delete": Field(bool),
                "labels": LABELS,
            },
        )
        project.check_name(self.plural, given["name"])
        if only_one(given, "location", "assignee_id") == "assignee_id":
            if given.get("assignee_type", "server") != "server":
                raise invalid({"assignee_type": ["only servers take a primary IP after they were created"]})
            server = project.get("servers", given["assignee_id"], "server")
            location = server["location"]
        else:
            server = None
            location = named(project.cloud.catalogue.locations, given["location"])
            if location is None:
                raise invalid({"location": [f"{given['location'][:40]!r} is unknown"]})
        if server is not None:
            _refuse_unready(server, given["type"])
        made = new_address(
            project,
            given["name"],
            given["type"],
            location,
            labels=given.get("labels", {}),
            auto_delete=given.get("auto_delete", False),
        )
        if server is None:
            return 201, {self.singular: self.show(project, made)}
        _give(made, server)
        resources = [(self.singular, made["id"]), ("server", server["id"])]
        return 201, {self.singular: self.show(project, made), "action": project.act("assign_primary_ip", resources)}

    def delete(self, project: Project, entry: Entry) -> Answer:
        self.refuse_protected(entry)
        if entry["assignee_id"] is not None:
            raise ApiError(422, "must_be_unassigned", f"primary IP {entry['id']} is assigned: unassign it first")
        return super().delete(project, entry)

    def protect(self, project: Project, entry: Entry, body: Body) -> Answer:
        if body.get("delete") and entry["auto_delete"]:
            raise invalid({"delete": ["a primary IP with auto_delete cannot be protected"]})
        return super().protect(project, entry, body)

    def change(self, project: Project, entry: Entry, body: Body) -> Answer:
        if body.get("auto_delete") is True and entry["protection"]["delete"]:
            raise invalid({"auto_delete": ["a protected primary IP cannot be deleted with its server"]})
        return super().change(project, entry, body)

    def _assign(self, project: Project, entry: Entry, body: Body) -> Answer:
        if entry["assignee_id"] is not None:
            raise ApiError(422, "primary_ip_already_assigned", f"primary IP {entry['id']} is assigned already")
        server = project.get("servers", body["assignee_id"], "server")
        if server["location"]["name"] != entry["location"]["name"]:
            raise invalid({"assignee_id": ["the server is in another location"]})
        _refuse_unready(server, entry["type"])
        _give(entry, server)
        return acted(project.act("assign_primary_ip", [(self.singular, entry["id"]), ("server", server["id"])]))

    def _unassign(self, project: Project, entry: Entry, body: Body) -> Answer:
        del body
        if entry["assignee_id"] is None:
            raise ApiError(422, "primary_ip_not_assigned", f"primary IP {entry['id']} is not assigned")
        if entry["assignee_type"] != "server":
            raise invalid("a load balancer keeps the primary IPs that it was created with")
        server = project.get("servers", entry["assignee_id"], "server")
        refuse_running(server)
        server[f"_{entry['type']}"] = None
        resources = [(self.singular, entry["id"]), ("server", server["id"])]
        free(entry)
        return acted(project.act("unassign_primary_ip", resources))

    def _change_dns(self, project: Project, entry: Entry, body: Body) -> Answer:
        set_dns(project, (entry["id"],), body)
        return acted(project.act("change_dns_ptr", [(self.singular, entry["id"])]))


def new_address(
    project: Project, name: str, type: str, location: Entry, *, labels: dict[str, str], auto_delete: bool
) -> Entry:
    """A new Primary IP, assigned to nobody."""
    pool = project.cloud.settings.addresses
    address = pool.ipv6() if type == "ipv6" else pool.ipv4(project.cloud.has_address)
    if address is None:
        raise too_many("primary_ips", pool.network.num_addresses)
    dns = [] if type == "ipv6" else [{"ip": address, "dns_ptr": _default_name(address)}]
    return project.add(
        "primary_ips",
        {
            "name": name,
            "labels": labels,
            "blocked": False,
            "location": location,
            "ip": address if type == "ipv4" else f"{address}/64",
            "dns_ptr": dns,
            "protection": {"delete": False},
            "type": type,
            "auto_delete": auto_delete,
            "assignee_type": "unassigned",
            "assignee_id": None,
        },
    )


def check_free(project: Project, id: int, type: str, location: str) -> Entry:
    """A Primary IP that a new server or load balancer may have.

    Raises:
        ApiError: it is none, of the other family, elsewhere, or somebody's.
    """
    entry = project.get("primary_ips", id, "primary_ip")
    if entry["type"] != type:
        raise ApiError(412, "primary_ip_version_mismatch", f"primary IP {id} is {entry['type']}, not {type}")
    if entry["location"]["name"] != location:
        raise invalid({f"public_net.{type}": [f"primary IP {id} is in {entry['location']['name']}, not in {location}"]})
    if entry["assignee_id"] is not None:
        raise ApiError(422, "primary_ip_assigned", f"primary IP {id} is assigned already")
    return entry


def assign(entry: Entry, type: str, id: int) -> None:
    """Say whose it is."""
    entry.update(assignee_type=type, assignee_id=id)


def free(entry: Entry) -> None:
    """Nobody's any more."""
    entry.update(assignee_type="unassigned", assignee_id=None)


def release(project: Project, id: int | None) -> None:
    """Its owner goes: it goes too, or is free."""
    if id is None or id not in project.kinds["primary_ips"]:
        return
    entry = project.kinds["primary_ips"][id]
    if entry["auto_delete"]:
        del project.kinds["primary_ips"][id]
    else:
        free(entry)


def set_dns(project: Project, ids: Iterable[int | None], given: Body) -> None:
    """Set, change or remove a reverse name of one of these Primary IPs.

    Raises:
        ApiError: 422, none of them holds the address.
    """
    for entry in (project.kinds["primary_ips"].get(id or 0) for id in ids):
        if entry is not None and _holds(entry, given["ip"]):
            entry["dns_ptr"] = [each for each in entry["dns_ptr"] if each["ip"] != given["ip"]]
            name = given.get("dns_ptr") or (_default_name(entry["ip"]) if entry["type"] == "ipv4" else None)
            if name is not None:
                entry["dns_ptr"].append({"ip": given["ip"], "dns_ptr": name})
            return
    raise invalid({"ip": [f"{given['ip'][:40]!r} is no address of it"]})


def _default_name(ip: str) -> str:
    return f"static.{'.'.join(reversed(ip.split('.')))}.clients.example.com"


def _holds(entry: Entry, ip: str) -> bool:
    try:
        return ip_address(ip) in ip_network(entry["ip"])
    except ValueError:
        return False


def _give(entry: Entry, server: Entry) -> None:
    assign(entry, "server", server["id"])
    server[f"_{entry['type']}"] = entry["id"]


def _refuse_unready(server: Entry, type: str) -> None:
    refuse_locked(server, f"server {server['id']}")
    refuse_running(server)
    if server[f"_{type}"] is not None:
        raise ApiError(422, f"server_has_{type}", f"server {server['id']} has an {type} address already")
