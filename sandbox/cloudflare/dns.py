"""DNS records: what may stand beside what."""

import re
from collections.abc import Iterable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, Final

from .errors import check_types, invalid

Entry = dict[str, Any]

_KNOWN: Final = {
    "name", "type", "content", "ttl", "proxied", "comment", "tags", "settings", "data", "priority", "private_routing",
}  # fmt: skip
_FIELD_TYPES: Final = {
    "ttl": (int, float), "proxied": bool, "comment": str, "tags": list, "settings": dict, "data": dict,
    "priority": (int, float), "private_routing": bool,
}  # fmt: skip
_TYPES: Final = ("A", "AAAA", "CNAME", "TXT", "MX", "NS", "CAA", "SRV")
_PROXIABLE: Final = ("A", "AAAA", "CNAME")
_NAMED: Final = ("CNAME", "MX", "NS")
"""Types whose content is a name."""
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
KEPT: Final = _KNOWN
"""Fields that a PATCH leaves as they are when it does not name them."""


def check_record(body: Entry, zone: str, others: list[Entry]) -> Entry:
    """The record that a body asks for.

    Raises:
        ApiError: it is malformed, or cannot stand beside the others.
    """
    if unknown := sorted(set(body) - _KNOWN - {"id", "zone_id", "meta"}):
        raise invalid(f"DNS validation error: unknown fields: {', '.join(unknown)[:100]}")
    check_types(body, _FIELD_TYPES)
    for name in ("name", "type", "content"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise invalid(f"DNS validation error: {name} is required", 9000)
    type, name, content = body["type"], _qualified(body["name"], zone), body["content"]
    if type not in _TYPES:
        raise invalid(f"DNS validation error: type {type[:20]!r} is unknown", 9004)
    content = _checked_content(type, content)
    proxied = body.get("proxied") or False
    if proxied and type not in _PROXIABLE:
        raise invalid(f"DNS validation error: a record of the type {type} cannot be proxied", 9004)
    ttl = body.get("ttl") or 1
    if not (ttl == 1 or 60 <= ttl <= 86400):
        raise invalid("DNS validation error: ttl must be 1 (automatic) or 60 to 86400 seconds", 9021)
    _check_neighbours(type, name, content, others)
    return {
        "name": name,
        "type": type,
        "content": content,
        "ttl": 1 if proxied else int(ttl),
        "proxied": proxied,
        "proxiable": type in _PROXIABLE,
        "comment": body.get("comment"),
        "tags": body.get("tags") or [],
        "settings": body.get("settings") or {},
        "meta": {},
        **({"priority": body["priority"]} if body.get("priority") is not None else {}),
        **({"data": body["data"]} if body.get("data") is not None else {}),
    }


def selected(entries: Iterable[Entry], query: Mapping[str, str]) -> list[Entry]:
    """The records that a list asks for: ``name``, ``name.contains``, ``type``, ``match=any``, ``order`` and so on."""
    tests = [
        (field, how or "exact", value)
        for name, value in query.items()
        for field, _, how in [name.partition(".")]
        if field in ("name", "content", "comment", "type", "proxied")
    ]
    match = any if query.get("match") == "any" else all
    found = [entry for entry in entries if not tests or match(_holds(entry, *test) for test in tests)]
    order = query.get("order", "")
    if order in ("name", "type", "content", "ttl", "proxied"):
        found.sort(key=lambda entry: entry[order], reverse=query.get("direction") == "desc")
    return found


def _holds(entry: Entry, field: str, how: str, wanted: str) -> bool:
    if field == "proxied":
        return entry["proxied"] == (wanted == "true")
    told = (entry.get(field) or "").lower()
    wanted = wanted.lower()
    return {
        "exact": told == wanted,
        "contains": wanted in told,
        "startswith": told.startswith(wanted),
        "endswith": told.endswith(wanted),
        "present": bool(told),
        "absent": not told,
    }.get(how, False)


def _qualified(name: str, zone: str) -> str:
    name = name.rstrip(".").lower()
    if name in ("@", zone):
        return zone
    qualified = name if name.endswith("." + zone) else f"{name}.{zone}"
    if not _is_name(qualified.removeprefix("*.")):
        raise invalid("DNS validation error: the name is malformed", 9000)
    return qualified


def _is_name(name: str) -> bool:
    return len(name) <= 253 and all(len(label) <= 63 and _LABEL.fullmatch(label) for label in name.split("."))


def _checked_content(type: str, content: str) -> str:
    """As the API tells it again: addresses in their short form, names in lower case and without the last dot."""
    try:
        if type == "A":
            return str(IPv4Address(content))
        if type == "AAAA":
            return str(IPv6Address(content))
    except AddressValueError as error:
        family, code = (4, 9005) if type == "A" else (6, 9006)
        raise invalid(f"Content for {type} record must be a valid IPv{family} address.", code) from error
    if type in _NAMED:
        name = content.removesuffix(".").lower()
        if not _is_name(name):
            raise invalid(f"Content for {type} record is invalid.", 9007)
        return name
    return content


def _check_neighbours(type: str, name: str, content: str, others: list[Entry]) -> None:
    for other in others:
        if other["name"] != name:
            continue
        if other["type"] == type and other["content"] == content:
            raise invalid("An identical record already exists.", 81058)
        if type == "CNAME":
            raise invalid("An A, AAAA, or CNAME record with that host already exists.", 81053)
        if other["type"] == "CNAME":
            raise invalid("A CNAME record with that host already exists.", 81054)
