"""Placement groups: servers that never share a host."""

from typing import ClassVar

from .errors import ApiError, too_many
from .fields import LABELS, NAME, Field, check
from .kind import Answer, Body, Kind
from .lists import one_of
from .project import Entry, Project

GROUPS = 50
SERVERS_EACH = 10


class PlacementGroups(Kind):
    """Of the type ``spread``, for at most ten servers."""

    plural, singular = "placement_groups", "placement_group"
    filters: ClassVar = {**Kind.filters, "type": one_of("type", "spread")}

    def show(self, project: Project, entry: Entry) -> Entry:
        return {**super().show(project, entry), "servers": members(project, entry["id"])}

    def create(self, project: Project, body: Body) -> Answer:
        given = check(body, {"name": NAME, "type": Field(str, required=True, choices=("spread",)), "labels": LABELS})
        project.check_name(self.plural, given["name"])
        if len(project.kinds[self.plural]) >= GROUPS:
            raise too_many("placement_groups", GROUPS)
        made = project.add(self.plural, {"name": given["name"], "labels": given.get("labels", {}), "type": "spread"})
        return 201, {self.singular: self.show(project, made), "action": None}

    def delete(self, project: Project, entry: Entry) -> Answer:
        if servers := members(project, entry["id"]):
            raise ApiError(409, "resource_in_use", f"placement group {entry['id']} has servers: {servers}")
        return super().delete(project, entry)


def members(project: Project, id: int) -> list[int]:
    """Ids of the servers in a group."""
    return [server["id"] for server in project.all("servers") if server["_placement_group"] == id]


def check_room(project: Project, id: int) -> None:
    """Whether one more server fits.

    Raises:
        ApiError: there is no such group, or it is full.
    """
    project.get("placement_groups", id)
    if len(members(project, id)) >= SERVERS_EACH:
        raise ApiError(422, "placement_error", f"placement group {id} has {SERVERS_EACH} servers already")
