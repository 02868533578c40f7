"""Who manages which fields of an object, where applying needs to know."""

from typing import Any, Final, cast

from .cluster import Manifest

CREATED_BY: Final = "pulumi-kubernetes"
"""The field manager of creations; the first update takes its fields over."""

_TAKEN_OVER: Final = {
    ("kubectl", "Apply"),
    ("kubectl", "Update"),
    ("before-first-apply", "Update"),
    (CREATED_BY, "Update"),
    ("pulumi-kubernetes.exe", "Update"),
    ("pulumi-resource-kubernetes", "Update"),
}


def taken_over(live: Manifest, manager: str) -> list[dict[str, Any]]:
    """A JSON patch that gives fields of creations and of kubectl to ``manager``; empty when there is nothing to give.

    Without it, fields that a program no longer gives would stay: their creation would still own them.
    """
    entries = cast("list[dict[str, Any]]", live["metadata"].get("managedFields") or [])
    given = [entry for entry in entries if _is_taken(entry)]
    if not given:
        return []
    own = next(
        (entry for entry in entries if entry.get("manager") == manager and entry.get("operation") == "Apply"), None
    )
    fields: dict[str, Any] = {}
    for entry in [*([own] if own else []), *given]:
        fields = _merged(fields, entry.get("fieldsV1") or {})
    kept = [entry for entry in entries if entry is not own and not _is_taken(entry)]
    # The time is left out: the server writes it.
    one = {name: value for name, value in (own or given[0]).items() if name != "time"}
    one |= {"manager": manager, "operation": "Apply", "fieldsV1": fields}
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": [one, *kept]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
    ]


def has_no_managers(live: Manifest) -> bool:
    """Objects older than server-side apply do not say who manages what: all of them is taken."""
    return not live["metadata"].get("managedFields")


def was_created_here(live: Manifest) -> bool:
    """Whether the creation still owns fields; an update takes them over first, which a preview cannot."""
    entries = cast("list[dict[str, Any]]", live["metadata"].get("managedFields") or [])
    return any(entry.get("operation") == "Update" and entry.get("manager") == CREATED_BY for entry in entries)


def _is_taken(entry: dict[str, Any]) -> bool:
    return not entry.get("subresource") and (entry.get("manager"), entry.get("operation")) in _TAKEN_OVER


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = dict(one)
    for name, value in other.items():
        before = merged.get(name)
        both = isinstance(before, dict) and isinstance(value, dict)
        merged[name] = _merged(cast("dict[str, Any]", before), cast("dict[str, Any]", value)) if both else value
    return merged
