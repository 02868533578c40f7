"""Volumes."""

import re
from typing import Any, ClassVar, Final

from .catalogue import named
from .errors import ApiError, invalid, too_many
from .fields import CHANGE, LABELS, NAME_OR_ID, Field, check
from .kind import NOTHING, PROTECTION, Answer, Body, Kind, acted, only_one
from .lists import one_of
from .project import Entry, Project, refuse_locked
from .servers import VOLUMES_EACH

_NAME_FORM: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


def _name_problem(name: str) -> str | None:
    return None if _NAME_FORM.fullmatch(name) else "must be up to 64 of A-Za-z0-9._-, alphanumeric at both ends"


class Volumes(Kind):
    """Block storage."""

    plural, singular = "volumes", "volume"
    filters: ClassVar = {**Kind.filters, "status": one_of("status", "available", "creating")}
    changes: ClassVar = {**CHANGE, "name": Field(str, check=_name_problem)}

    def actions(self) -> Any:
        return {
            "attach": ({"server": Field(int, required=True), "automount": Field(bool)}, self._attach),
            "detach": (NOTHING, self._detach),
            "resize": ({"size": Field(int, required=True)}, self._resize),
            "change_protection": (PROTECTION, self.protect),
        }

    def create(self, project: Project, body: Body) -> Answer:
        given = check(
            body,
            {
                "name": Field(str, required=True, check=_name_problem),
                "size": Field(int, required=True, check=_size_problem),
                "labels": LABELS,
                "automount": Field(bool),
                "format": Field(str, choices=("ext4", "xfs")),
                "location": NAME_OR_ID,
                "server": Field(int),
            },
        )
        project.check_name(self.plural, given["name"])
        server = None
        if only_one(given, "location", "server") == "server":
            server = _with_room(project, given["server"])
            location = server["location"]
        else:
            location = named(project.cloud.catalogue.locations, given["location"])
            if location is None:
                raise invalid({"location": [f"{given['location'][:40]!r} is unknown"]})
            for name in ("automount", "format"):
                if given.get(name):
                    raise invalid({name: ["needs a server"]})
        made = project.add(
            self.plural,
            {
                "name": given["name"],
                "server": server["id"] if server else None,
                "location": location,
                "size": given["size"],
                "protection": {"delete": False},
                "labels": given.get("labels", {}),
                "status": "creating",
                "format": given.get("format"),
            },
        )
        made["linux_device"] = f"/dev/disk/by-id/scsi-0HC_Volume_{made['id']}"
        about = [(self.singular, made["id"])]

        def created() -> None:
            made["status"] = "available"

        action = project.act("create_volume", about, created, locks=made)
        following = []
        if server is not None:
            following = [project.act("attach_volume", [*about, ("server", server["id"])], follows=action)]
        return 201, {self.singular: self.show(project, made), "action": action, "next_actions": following}

    def delete(self, project: Project, entry: Entry) -> Answer:
        self.refuse_protected(entry)
        refuse_locked(entry, f"volume {entry['id']}")
        if entry["server"] is not None:
            raise ApiError(
                422, "resource_in_use", f"volume {entry['id']} is still attached to server {entry['server']}"
            )
        return super().delete(project, entry)

    def _attach(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"volume {entry['id']}")
        if entry["server"] is not None:
            raise ApiError(422, "volume_already_attached", f"volume {entry['id']} is attached already")
        server = _with_room(project, body["server"])
        if server["location"]["name"] != entry["location"]["name"]:
            raise invalid({"server": ["is in another location than the volume"]})
        entry["server"] = server["id"]
        about = [(self.singular, entry["id"]), ("server", server["id"])]
        return acted(project.act("attach_volume", about, locks=entry))

    def _detach(self, project: Project, entry: Entry, body: Body) -> Answer:
        del body
        refuse_locked(entry, f"volume {entry['id']}")
        if entry["server"] is None:
            raise ApiError(422, "volume_not_attached", f"volume {entry['id']} is not attached")
        about = [(self.singular, entry["id"]), ("server", entry["server"])]
        entry["server"] = None
        return acted(project.act("detach_volume", about, locks=entry))

    def settle(self, project: Project) -> None:
        for entry in project.all(self.plural):
            entry["status"] = "available"

    def _resize(self, project: Project, entry: Entry, body: Body) -> Answer:
        refuse_locked(entry, f"volume {entry['id']}")
        if said := _size_problem(body["size"]):
            raise invalid({"size": [said]})
        if body["size"] <= entry["size"]:
            raise invalid({"size": [f"must be more than {entry['size']}: volumes only grow"]})
        entry["size"] = body["size"]
        return acted(project.act("resize_volume", [(self.singular, entry["id"])], locks=entry))


def _size_problem(size: int) -> str | None:
    return None if 10 <= size <= 10_240 else "must be 10 to 10240 GB"


def _with_room(project: Project, id: int) -> Entry:
    server = project.get("servers", id, "server")
    if sum(1 for volume in project.all("volumes") if volume["server"] == id) >= VOLUMES_EACH:
        raise too_many("volumes_per_server", VOLUMES_EACH)
    return server
