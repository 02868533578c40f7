"""DNS records: what may stand beside what."""

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


def check_record(body: Entry, zone: str, others: list[Entry]) -> Entry:
    """The record that a body asks for.

    Raises:
        ApiError: it is malformed, or cannot stand beside the others.
    """
    if unknown := sorted(set(body) - _KNOWN - {"id", "zone_id", "meta"}):
        raise invalid(f"unknown fields: {', '.join(unknown)[:100]}", 9005)
    check_types(body, _FIELD_TYPES, 9005)
    for name in ("name", "type", "content"):
        if not isinstance(body.get(name), str) or not body[name]:
            raise invalid(f"DNS validation error: {name} is required", 9000)
    type, name, content = body["type"], _qualified(body["name"], zone), body["content"]
    if type not in _TYPES:
        raise invalid(f"DNS validation error: type {type[:20]!r} is unknown", 9004)
    _check_content(type, content)
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
        **({"priority": body["priority"]} if "priority" in body else {}),
    }


def _qualified(name: str, zone: str) -> str:
    name = name.rstrip(".").lower()
    if name in ("@", zone):
        return zone
    qualified = name if name.endswith("." + zone) else f"{name}.{zone}"
    if len(qualified) > 253 or not all(0 < len(label) <= 63 for label in qualified.split(".")):
        raise invalid("DNS validation error: the name is malformed", 9000)
    return qualified


def _check_content(type: str, content: str) -> None:
    try:
        if type == "A":
            IPv4Address(content)
        elif type == "AAAA":
            IPv6Address(content)
    except AddressValueError as error:
        raise invalid(f"Content for {type} record must be a valid address: {content[:60]!r}", 9005) from error


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
