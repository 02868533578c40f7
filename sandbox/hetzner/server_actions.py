"""What else servers can do: protection, placement groups, backups, snapshots and reverse names."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from . import primary_ips, server_networks, server_power
from .errors import ApiError, invalid
from .fields import LABELS, Field
from .images import snapshot
from .kind import Answer, Body, acted, change_protection
from .placement_groups import check_room
from .project import Entry, Project, refuse_locked


def _add_to_group(project: Project, entry: Entry, body: Body) -> Answer:
    refuse_locked(entry, f"server {entry['id']}")
    if entry["_placement_group"] is not None:
        raise ApiError(422, "already_in_placement_group", f"server {entry['id']} is in a placement group already")
    server_power.refuse_running(entry)
    check_room(project, body["placement_group"])
    entry["_placement_group"] = body["placement_group"]
    return acted(project.act("add_to_placement_group", [("server", entry["id"])], locks=entry))


def _leave_group(project: Project, entry: Entry, body: Body) -> Answer:
    del body
    refuse_locked(entry, f"server {entry['id']}")
    if entry["_placement_group"] is None:
        raise ApiError(422, "not_in_placement_group", f"server {entry['id']} is in no placement group")
    entry["_placement_group"] = None
    return acted(project.act("remove_from_placement_group", [("server", entry["id"])], locks=entry))


def _change_protection(project: Project, entry: Entry, body: Body) -> Answer:
    wanted = {**entry["protection"], **body}
    if wanted["delete"] != wanted["rebuild"]:
        raise invalid({"rebuild": ["delete and rebuild protection must be equal"]})
    return acted(change_protection(project, "server", entry, wanted))


def _backup(command: str, window: str | None) -> Callable[[Project, Entry, Body], Answer]:
    def act(project: Project, entry: Entry, body: Body) -> Answer:
        del body
        entry["backup_window"] = window
        return acted(project.act(command, [("server", entry["id"])]))

    return act


def _create_image(project: Project, entry: Entry, body: Body) -> Answer:
    if body.get("type") == "backup" and entry["backup_window"] is None:
        raise invalid({"type": [f"server {entry['id']} has no backups enabled"]})
    made = snapshot(project, entry, body)

    def created() -> None:
        made["status"] = "available"

    def failed() -> None:
        made["status"] = "unavailable"

    resources = [("server", entry["id"]), ("image", made["id"])]
    action = project.act("create_image", resources, created, otherwise=failed, locks=made)
    return 201, {"image": project.cloud.kinds["images"].show(project, made), "action": action}


def _change_dns(project: Project, entry: Entry, body: Body) -> Answer:
    primary_ips.set_dns(project, (entry["_ipv4"], entry["_ipv6"]), body)
    return acted(project.act("change_dns_ptr", [("server", entry["id"])]))


ACTIONS: Final[Mapping[str, Any]] = {
    **server_power.ACTIONS,
    **server_networks.ACTIONS,
    "add_to_placement_group": ({"placement_group": Field(int, required=True)}, _add_to_group),
    "remove_from_placement_group": ({}, _leave_group),
    "change_protection": ({"delete": Field(bool), "rebuild": Field(bool)}, _change_protection),
    "enable_backup": ({}, _backup("enable_backup", "22-02")),
    "disable_backup": ({}, _backup("disable_backup", None)),
    "create_image": (
        {"description": Field(str), "type": Field(str, choices=("snapshot", "backup")), "labels": LABELS},
        _create_image,
    ),
    "change_dns_ptr": (primary_ips.DNS, _change_dns),
}
