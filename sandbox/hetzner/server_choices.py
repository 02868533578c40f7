"""What a server is made of: its type, location, image, and whether all that can be had."""

from datetime import datetime
from typing import Any, Final

from .catalogue import named
from .errors import ApiError, invalid
from .project import Entry, Project

USER_DATA_LIMIT: Final = 32 * 1024
"""Bytes."""


def server_type(project: Project, wanted: str) -> Entry:
    """By name or id.

    Raises:
        ApiError: 422, unknown.
    """
    found = named(project.cloud.catalogue.server_types, wanted)
    if found is None:
        raise invalid({"server_type": [f"{wanted[:40]!r} is unknown"]})
    return found


def location(project: Project, type: Entry, wanted: str | None) -> Entry:
    """The location asked for, else the first one where the type can be had.

    Raises:
        ApiError: 422, it is unknown, or the type is not sold there (any more).
    """
    locations = project.cloud.catalogue.locations
    if wanted is None:
        sold: list[Entry] = [each for each in type["locations"] if not _is_over(project, each["deprecation"])]
        first = next((each for each in sold if each["available"]), sold[0] if sold else type["locations"][0])
        wanted = str(first["name"])
    found = named(locations, wanted)
    if found is None:
        raise invalid({"location": [f"{wanted[:40]!r} is unknown"]})
    offer = _offer(type, found["name"])
    if offer is None:
        raise invalid({"server_type": [f"unsupported location for server type {type['name']}: {found['name']}"]})
    if _is_over(project, type["deprecation"]) or _is_over(project, offer["deprecation"]):
        raise invalid({"server_type": [f"server type {type['name']} is deprecated"]})
    return found


def refuse_out_of_stock(project: Project, type: Entry, location: str) -> None:
    """Whether the type can be had there now.

    Raises:
        ApiError: 412, it cannot; 422, it is not sold there.
    """
    offer = _offer(type, location)
    if offer is None:
        raise invalid({"server_type": [f"unsupported location for server type {type['name']}: {location}"]})
    if not offer["available"] or project.cloud.world.faults.unavailable(type["name"], location):
        raise ApiError(
            412, "resource_unavailable", f"server type {type['name']} is unavailable in {location} at this moment"
        )


def image(project: Project, wanted: str, type: Entry) -> Entry:
    """By name or id, for the type's architecture.

    Raises:
        ApiError: 422.
    """
    images = project.cloud.kinds["images"]
    found = [entry for entry in images.all(project) if wanted in (entry["name"], str(entry["id"]))]
    if not found:
        raise invalid({"image": [f"{wanted[:40]!r} is unknown"]})
    fitting = [entry for entry in found if entry["architecture"] == type["architecture"]]
    if not fitting:
        raise invalid(
            {"image": [f"is for {found[0]['architecture']}, server type {type['name']} is {type['architecture']}"]}
        )
    if fitting[0]["status"] != "available":
        raise invalid({"image": [f"image {fitting[0]['id']} is {fitting[0]['status']}"]})
    return images.show(project, fitting[0])


def user_data(text: str) -> str:
    """What a machine reads at its first boot.

    Raises:
        ApiError: 422, it is too long.
    """
    if len(text.encode("utf-8", "surrogatepass")) > USER_DATA_LIMIT:
        raise invalid({"user_data": [f"must not be longer than {USER_DATA_LIMIT} bytes"]})
    return text


def _offer(type: Entry, location: str) -> Entry | None:
    return next((each for each in type["locations"] if each["name"] == location), None)


def _is_over(project: Project, deprecation: Any) -> bool:
    if deprecation is None:
        return False
    return project.cloud.world.clock.now() >= datetime.fromisoformat(deprecation["unavailable_after"])
