"""Which public addresses a server has, and how they change: it is off meanwhile."""

import secrets
from typing import cast

from ...package import ProviderError
from ...values import Properties
from .api import Api, Entry, all_but
from .resource import entries, number

_FAMILIES = ("ipv4", "ipv6")


def public_net(inputs: Properties) -> Entry:
    """What a create sends."""
    merged = _merged(inputs)
    public: Entry = {}
    for family in _FAMILIES:
        id = merged.get(family)
        public[f"enable_{family}"] = bool(merged.get(f"{family}Enabled", True) or id)
        if id:
            public[family] = number(id)
    return public


def change_public_net(api: Api, entry: Entry, old: Properties, new: Properties) -> None:
    """Power it off, change each family, and power it on again, even when something fails."""
    id = entry["id"]
    api.act(f"/servers/{id}/actions/poweroff")
    try:
        for family in _FAMILIES:
            actual: Entry | None = entry["public_net"][family]
            _change(api, id, family, actual["id"] if actual else None, _merged(old), _merged(new))
    finally:
        api.attempt(lambda: api.act(f"/servers/{id}/actions/poweron"), all_but())


def _change(api: Api, server: int, family: str, actual: int | None, old: Entry, new: Entry) -> None:
    before, after = old.get(family), new.get(family)
    was_on, is_on = old.get(f"{family}Enabled", True), new.get(f"{family}Enabled", True)
    if after and not is_on:
        raise ProviderError(f"this operation is not allowed: {family}_enabled = false | {family} = {after}")
    if before == after and was_on == is_on:
        return
    if after or not is_on:
        if actual is not None:
            _take(api, actual, and_delete=not before)
        if after:
            body = {"assignee_type": "server", "assignee_id": server}
            api.act(f"/primary_ips/{number(after)}/actions/assign", body)
        return
    if before:
        _take(api, number(before), and_delete=False)
    _make(api, server, family)


def _take(api: Api, id: int, *, and_delete: bool) -> None:
    api.act(f"/primary_ips/{id}/actions/unassign")
    if and_delete:
        # The cloud made it for this server.
        api.delete(f"/primary_ips/{id}")


def _make(api: Api, server: int, family: str) -> None:
    body: Entry = {
        "name": f"primary_ip-{1_000_000 + secrets.randbelow(9_000_000)}",
        "type": family,
        "assignee_id": server,
        "assignee_type": "server",
        "auto_delete": True,
    }
    api.wait([api.post("/primary_ips", body).get("action")])


def _merged(inputs: Properties) -> Entry:
    merged: Entry = {}
    for net in cast("list[Entry]", entries(inputs, "publicNets")):
        merged |= net
    return merged
