"""Servers: created, changed and deleted in the order of calls of the real provider."""

import base64
import hashlib
from typing import Any

from ...package import Created, PartiallyCreated, ProviderError
from ...values import Properties
from .api import TRIES, Api, ApiFailure, Entry, all_but
from .networks import ATTACHING, BUSY, attachment, network_of
from .public_net import change_public_net, public_net
from .resource import Named, entries, number, recorded


class Server(Named):
    """A server with its inline networks."""

    kind, singular, protectable, asks_by_name = "servers", "server", True, True

    # -- creating

    def make(self, api: Api, inputs: Properties) -> Created:
        body = self._new(api, inputs)
        answer = api.post("/servers", body)
        id = answer["server"]["id"]
        try:
            made = recorded(str(id), inputs, lambda: self._finish(api, id, answer, inputs, body))
        except PartiallyCreated as partial:
            partial.outputs.update(hashed(inputs))
            raise
        return Created(made.id, made.outputs | hashed(inputs))

    def _new(self, api: Api, inputs: Properties) -> Entry:
        type = _required(api.look_up("server_types", "server_type", str(inputs["serverType"])), "server type", inputs)
        query = {"architecture": type["architecture"], "include_deprecated": "true"}
        image = _required(api.look_up("images", "image", str(inputs.get("image", "")), **query), "image", inputs)
        body: Entry = {"name": inputs["name"], "server_type": type["name"], "image": str(image["id"])}
        keys = [
            _required(api.look_up("ssh_keys", "ssh_key", str(key)), "SSH key", {"SSH key": key})
            for key in entries(inputs, "sshKeys")
        ]
        if keys:
            body["ssh_keys"] = [str(key["id"]) for key in keys]
        for name, field in (("labels", "labels"), ("location", "location"), ("userData", "user_data")):
            if inputs.get(name):
                body[field] = inputs[name]
        if firewalls := entries(inputs, "firewallIds"):
            body["firewalls"] = [{"firewall": number(id)} for id in firewalls]
        if group := inputs.get("placementGroupId"):
            body["placement_group"] = _group(api, number(group))
        if inputs.get("publicNets"):
            body["public_net"] = public = public_net(inputs)
            if inputs.get("networks") and not (public["enable_ipv4"] or public["enable_ipv6"]):
                # It starts when it is attached: else it would boot without any interface.
                body["start_after_create"] = False
        return body

    def _finish(self, api: Api, id: int, answer: Entry, inputs: Properties, body: Entry) -> Properties:
        for action in [answer["action"], *answer["next_actions"]]:
            api.wait([action])
        for net in entries(inputs, "networks"):
            _attach(api, id, net)
        if body.get("start_after_create") is False:
            power_on(api, id)
        if inputs.get("backups"):
            api.act(f"/servers/{id}/actions/enable_backup")
        if inputs.get("deleteProtection") or inputs.get("rebuildProtection"):
            self.protect(api, id, inputs)
        return self.outputs(self.existing(api, str(id)), inputs)

    def protect(self, api: Api, id: int, inputs: Properties) -> None:
        wanted = {name: bool(inputs.get(f"{name}Protection")) for name in ("delete", "rebuild")}
        api.act(f"/servers/{id}/actions/change_protection", wanted)

    # -- reading

    def outputs(self, entry: Entry, known: Properties) -> Properties:
        public, image, group = entry["public_net"], entry["image"], entry["placement_group"]
        network = public["ipv6"]["ip"] if public["ipv6"] else ""
        told: Properties = {
            "name": entry["name"],
            "labels": entry["labels"],
            "serverType": entry["server_type"]["name"],
            "location": entry["location"]["name"],
            "status": entry["status"],
            "backups": bool(entry["backup_window"]),
            "backupWindow": entry["backup_window"] or "",
            "primaryDiskSize": entry["primary_disk_size"],
            "deleteProtection": entry["protection"]["delete"],
            "rebuildProtection": entry["protection"]["rebuild"],
            "firewallIds": [each["id"] for each in public["firewalls"]],
            "placementGroupId": group["id"] if group else None,
            "ipv4Address": public["ipv4"]["ip"] if public["ipv4"] else "",
            "ipv6Network": network,
            "ipv6Address": network.partition("/")[0] + "1" if network else "",
        }
        if image:
            by_id = not image["name"] or str(image["id"]) == known.get("image")
            told["image"] = str(image["id"]) if by_id else image["name"]
        if known.get("networks") or "serverType" not in known:
            # Inline networks are told where there are some; else they may be resources of their own.
            told["networks"] = _told_networks(entry, entries(known, "networks"))
        return told

    # -- changing

    def alter(self, api: Api, entry: Entry, changed: set[str], old: Properties, new: Properties) -> None:
        path = f"/servers/{entry['id']}/actions"
        if "serverType" in changed:
            if entry["status"] == "running":
                api.act(f"{path}/poweroff")
            # The API starts it again by itself.
            body = {"server_type": new["serverType"], "upgrade_disk": not new.get("keepDisk")}
            api.act(f"{path}/change_type", body)
        if "backups" in changed and bool(entry["backup_window"]) != bool(new.get("backups")):
            api.act(f"{path}/{'enable' if new.get('backups') else 'disable'}_backup")
        if "networks" in changed:
            _move(api, entry, entries(new, "networks"))
        if "firewallIds" in changed:
            _change_firewalls(api, entry, entries(new, "firewallIds"))
        if "publicNets" in changed:
            change_public_net(api, entry, old, new)
        if "placementGroupId" in changed:
            _regroup(api, entry, number(new.get("placementGroupId") or 0))
        if "rebuildProtection" in changed and "deleteProtection" not in changed:
            self.protect(api, entry["id"], new)

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        return super().update(api, id, old, new) | hashed(new)

    # -- deleting

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        if outputs.get("shutdownBeforeDeletion"):
            try:
                api.act(f"/servers/{id}/actions/shutdown")
            except ApiFailure as failure:
                if failure.code == "not_found":
                    return
                raise
            self._wait_until_off(api, id)
        super().delete(api, id, outputs)

    def _wait_until_off(self, api: Api, id: str) -> None:
        def is_off() -> None:
            found = api.find(f"/servers/{id}")
            if found is not None and found["server"]["status"] != "off":
                raise _StillRunningError(f"server {id} has not shut down yet")

        try:
            api.attempt(is_off, lambda failure: isinstance(failure, _StillRunningError), TRIES)
        except _StillRunningError:
            # The provider warns, and deletes it all the same.
            return


class _StillRunningError(ProviderError):
    """A server takes its time to shut down."""


def hashed(properties: Properties) -> Properties:
    """The state knows user_data by its hash alone."""
    data = properties.get("userData")
    if not isinstance(data, str):
        return {}
    return {"userData": base64.b64encode(hashlib.sha1(data.encode(), usedforsecurity=False).digest()).decode()}


def power_on(api: Api, id: int) -> None:
    """Start it, again after whatever failure."""
    api.attempt(lambda: api.act(f"/servers/{id}/actions/poweron"), all_but())


def _required(found: Entry | None, what: str, inputs: Properties) -> Entry:
    if found is None:
        name = inputs.get({"server type": "serverType"}.get(what, what))
        raise ProviderError(f"{what} {name} not found")
    return found


def _group(api: Api, id: int) -> int:
    if api.find(f"/placement_groups/{id}") is None:
        raise ProviderError(f"placement group not found: {id}")
    return id


def _attach(api: Api, id: int, net: Entry) -> None:
    path = f"/servers/{id}/actions/attach_to_network"
    try:
        started = api.attempt(lambda: api.start(path, attachment(net)), ATTACHING)
    except ApiFailure as failure:
        if failure.code != "server_already_attached":
            raise
        return
    api.wait(started)


def _detach(api: Api, id: int, network: int) -> None:
    path = f"/servers/{id}/actions/detach_from_network"
    try:
        started = api.attempt(lambda: api.start(path, {"network": network}), BUSY)
    except ApiFailure as failure:
        if failure.code != "not_found":
            raise
        return
    api.wait(started)


def _told_networks(entry: Entry, known: list[Entry]) -> list[Any]:
    """A server's attachments, in the order in which they are known, with the subnets that were asked for."""
    by_network = {net["network"]: net for net in entry["private_net"]}
    told: list[Entry] = []
    for each in known:
        found = by_network.pop(network_of(each), None)
        if found is not None:
            told.append({**_told(found), **({"subnetId": each["subnetId"]} if each.get("subnetId") else {})})
    return told + [_told(net) for net in by_network.values()]


def _told(net: Entry) -> Entry:
    return {
        "networkId": net["network"],
        "ip": net["ip"],
        "aliasIps": net["alias_ips"],
        "macAddress": net["mac_address"],
    }


def _move(api: Api, entry: Entry, wanted: list[Entry]) -> None:
    """Bring its attachments, as they are, to what is wanted; another address means out and in again."""
    missing = {network_of(net): net for net in wanted}
    for actual in entry["private_net"]:
        net = missing.pop(actual["network"], None)
        if net is None:
            _detach(api, entry["id"], actual["network"])
        elif net.get("ip") and net["ip"] != actual["ip"]:
            _detach(api, entry["id"], actual["network"])
            _attach(api, entry["id"], net)
        elif set(net.get("aliasIps") or []) != set(actual["alias_ips"]):
            body: Entry = {"network": actual["network"], "alias_ips": net.get("aliasIps") or []}
            api.act(f"/servers/{entry['id']}/actions/change_alias_ips", body)
    for net in missing.values():
        _attach(api, entry["id"], net)


def _change_firewalls(api: Api, entry: Entry, wanted: list[Any]) -> None:
    before = {each["id"] for each in entry["public_net"]["firewalls"]}
    after = {number(each) for each in wanted}
    resource = [{"type": "server", "server": {"id": entry["id"]}}]
    for firewall in sorted(before - after):
        api.act(f"/firewalls/{firewall}/actions/remove_from_resources", {"remove_from": resource})
    for firewall in sorted(after - before):
        api.act(f"/firewalls/{firewall}/actions/apply_to_resources", {"apply_to": resource})


def _regroup(api: Api, entry: Entry, group: int) -> None:
    path = f"/servers/{entry['id']}/actions"
    if entry["placement_group"]:
        if entry["status"] != "off":
            raise ProviderError(
                "removing a running server from a placement group is not supported by the provider: "
                f"shut server {entry['id']} down, apply again, and start it"
            )
        api.act(f"{path}/remove_from_placement_group")
    if group:
        api.act(f"{path}/add_to_placement_group", {"placement_group": _group(api, group)})
