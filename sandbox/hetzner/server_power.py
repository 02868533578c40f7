"""Servers on and off, on another disk, or of another type: what passes through a state in between."""

import secrets
from collections.abc import Callable
from typing import Any, Final

from . import server_choices
from .errors import ApiError
from .fields import NEEDED_NAME_OR_ID, Field
from .hypervisor import cut_power, tell
from .kind import Answer, Body, acted
from .project import Entry, Project, refuse_locked


def transit(
    project: Project,
    entry: Entry,
    command: str,
    between: str,
    after: Entry,
    done: Callable[[], None] | None = None,
) -> Entry:
    """An action during which the server is in a state in between; a failure leads back to the state before.

    Args:
        project: Whose server it is.
        entry: The server.
        command: The action.
        between: Its state meanwhile.
        after: What it is at the end; a state that is put back starts from there.
        done: What happens then.
    """
    before = entry["status"]
    entry["status"] = between
    entry["_becomes"] = after

    def over() -> None:
        entry.update(entry.pop("_becomes"))
        if done is not None:
            done()

    def failed() -> None:
        del entry["_becomes"]
        entry["status"] = before

    return project.act(command, [("server", entry["id"])], over, otherwise=failed, locks=entry)


def refuse_running(entry: Entry) -> None:
    """What needs the server off.

    Raises:
        ApiError: 422, it is not.
    """
    if entry["status"] != "off":
        raise ApiError(422, "server_not_stopped", f"server {entry['id']} must be off")


def _power_on(project: Project, entry: Entry, body: Body) -> Answer:
    del body
    refuse_locked(entry, f"server {entry['id']}")
    if entry["status"] == "running":
        return acted(project.act("start_server", [("server", entry["id"])], locks=entry))
    _refuse_isolated(entry)
    return acted(_start(project, entry, "start_server", "starting"))


def _start(project: Project, entry: Entry, command: str, between: str) -> Entry:
    entry["_signal"] = None
    return transit(project, entry, command, between, {"status": "running"}, lambda: tell(project, entry, "power_on"))


def _power_off(project: Project, entry: Entry, body: Body) -> Answer:
    del body
    refuse_locked(entry, f"server {entry['id']}")
    if entry["status"] == "off":
        return acted(project.act("stop_server", [("server", entry["id"])], locks=entry))
    entry["_signal"] = None
    cut_power(project, entry)
    return acted(transit(project, entry, "stop_server", "stopping", {"status": "off"}))


def _shutdown(project: Project, entry: Entry, body: Body) -> Answer:
    """The action ends when the signal is sent; the state changes later."""
    del body
    refuse_locked(entry, f"server {entry['id']}")
    _refuse_stopped(entry)
    signal = entry["_signal"] = secrets.token_hex(4)

    def stopped() -> None:
        if entry["_signal"] == signal and entry["status"] == "running" and entry["id"] in project.kinds["servers"]:
            entry["status"] = "off"
            cut_power(project, entry)

    clock, seconds = project.cloud.world.clock, project.cloud.world.latencies.seconds("shutdown")
    return acted(project.act("shutdown_server", [("server", entry["id"])], lambda: clock.call_later(seconds, stopped)))


def _reboot(project: Project, entry: Entry, body: Body) -> Answer:
    del body
    refuse_locked(entry, f"server {entry['id']}")
    _refuse_stopped(entry)
    cut_power(project, entry)
    return acted(_start(project, entry, "reboot_server", "running"))


def _reset(project: Project, entry: Entry, body: Body) -> Answer:
    del body
    refuse_locked(entry, f"server {entry['id']}")
    _refuse_isolated(entry)
    cut_power(project, entry)
    return acted(_start(project, entry, "reset_server", "running" if entry["status"] == "running" else "starting"))


def _refuse_isolated(entry: Entry) -> None:
    if entry["_ipv4"] is None and entry["_ipv6"] is None and not entry["private_net"]:
        told = f"server {entry['id']} has no network: it cannot be started"
        raise ApiError(422, "invalid_input", told, {"fields": []})


def _refuse_stopped(entry: Entry) -> None:
    if entry["status"] != "running":
        raise ApiError(422, "invalid_input", f"server {entry['id']} does not run", {"fields": []})


def _rebuild(project: Project, entry: Entry, body: Body) -> Answer:
    refuse_locked(entry, f"server {entry['id']}")
    if entry["protection"]["rebuild"]:
        raise ApiError(423, "protected", f"server {entry['id']} is protected from rebuilds")
    image = server_choices.image(project, body["image"], entry["server_type"])
    entry["_user_data"] = server_choices.user_data(body.get("user_data", entry["_user_data"]))
    entry["image"], entry["_signal"] = image, None
    cut_power(project, entry)
    action = transit(
        project,
        entry,
        "rebuild_server",
        "rebuilding",
        {"status": "running"},
        lambda: tell(project, entry, "wipe"),
    )
    return 201, {"action": action, "root_password": secrets.token_urlsafe(15)}


def _change_type(project: Project, entry: Entry, body: Body) -> Answer:
    refuse_locked(entry, f"server {entry['id']}")
    refuse_running(entry)
    type = server_choices.server_type(project, body["server_type"])
    if type["architecture"] != entry["server_type"]["architecture"]:
        raise ApiError(422, "invalid_server_type", f"server type {type['name']} is {type['architecture']}")
    if type["disk"] < entry["primary_disk_size"]:
        raise ApiError(422, "invalid_server_type", f"the disk of {type['name']} is smaller than the server's")
    server_choices.location(project, type, entry["location"]["name"])
    server_choices.refuse_out_of_stock(project, type, entry["location"]["name"])
    disk = type["disk"] if body["upgrade_disk"] else entry["primary_disk_size"]
    # "This copies the content of its disk, and starts it again."
    after = {"status": "running", "server_type": type, "primary_disk_size": disk}
    return acted(
        transit(
            project,
            entry,
            "change_server_type",
            "migrating",
            after,
            lambda: tell(project, entry, "power_on"),
        )
    )


ACTIONS: Final[dict[str, Any]] = {
    "poweron": ({}, _power_on),
    "poweroff": ({}, _power_off),
    "shutdown": ({}, _shutdown),
    "reboot": ({}, _reboot),
    "reset": ({}, _reset),
    "rebuild": ({"image": NEEDED_NAME_OR_ID, "user_data": Field(str)}, _rebuild),
    "change_type": ({"server_type": NEEDED_NAME_OR_ID, "upgrade_disk": Field(bool, required=True)}, _change_type),
}
