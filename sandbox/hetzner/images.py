"""Images: the system's, and snapshots of servers."""

from typing import Any, ClassVar

from .errors import ApiError, not_found
from .fields import LABELS, Field
from .kind import PROTECTION, Answer, Body, Kind
from .lists import by, one_of
from .project import Entry, Project, refuse_locked


class Images(Kind):
    """System images belong to everybody; snapshots to their project."""

    plural, singular = "images", "image"
    filters: ClassVar = {
        **Kind.filters,
        "type": one_of("type", "system", "app", "snapshot", "backup"),
        "status": one_of("status", "available", "creating", "unavailable"),
        "architecture": one_of("architecture", "x86", "arm"),
        "bound_to": by("bound_to"),
    }
    """``include_deprecated`` is taken and changes nothing: no image is deprecated."""
    changes: ClassVar = {"description": Field(str), "type": Field(str, choices=("snapshot",)), "labels": LABELS}
    can_create = False

    def actions(self) -> Any:
        return {"change_protection": (PROTECTION, self.protect)}

    def all(self, project: Project) -> list[Entry]:
        return [*project.cloud.catalogue.images.values(), *project.all("snapshots")]

    def get(self, project: Project, id: int) -> Entry:
        found = project.cloud.catalogue.images.get(id) or project.kinds["snapshots"].get(id)
        if found is None:
            raise not_found(self.singular, id)
        return found

    def change(self, project: Project, entry: Entry, body: Body) -> Answer:
        _refuse_system(entry)
        return super().change(project, entry, body)

    def delete(self, project: Project, entry: Entry) -> Answer:
        _refuse_system(entry)
        self.refuse_protected(entry)
        refuse_locked(entry, f"image {entry['id']}")
        del project.kinds["snapshots"][entry["id"]]
        return 204, None

    def settle(self, project: Project) -> None:
        for entry in project.all("snapshots"):
            if entry["status"] == "creating":
                entry["status"] = "available"

    def protect(self, project: Project, entry: Entry, body: Body) -> Answer:
        _refuse_system(entry)
        return super().protect(project, entry, body)


def snapshot(project: Project, server: Entry, given: Body) -> Entry:
    """A snapshot of a server, or a backup; it is `creating` until its action is over."""
    base: Entry = server["image"]
    return project.add(
        "snapshots",
        {
            "type": given.get("type", "snapshot"),
            "status": "creating",
            "name": None,
            "description": given.get("description", server["name"]),
            "image_size": 2.3,
            "disk_size": server["primary_disk_size"],
            "created_from": {"id": server["id"], "name": server["name"]},
            "bound_to": server["id"] if given.get("type") == "backup" else None,
            "os_flavor": base.get("os_flavor", "unknown"),
            "os_version": base.get("os_version"),
            "rapid_deploy": False,
            "protection": {"delete": False},
            "deprecated": None,
            "deleted": None,
            "labels": given.get("labels", {}),
            "architecture": server["server_type"]["architecture"],
        },
    )


def _refuse_system(entry: Entry) -> None:
    if entry["type"] == "system":
        raise ApiError(403, "forbidden", f"image {entry['id']} belongs to the system")
