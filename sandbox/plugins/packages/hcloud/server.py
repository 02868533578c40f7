"""Servers."""

from typing import Any, cast

from ...package import Created
from ...values import Properties
from .resource import Api, Entry, Named, finished, number

_ATTACH_RETRIES = ("conflict", "locked", "service_error", "no_subnet_available")


class Server(Named):
    """A server with its inline networks, in the order of calls of the real provider."""

    kind, singular, protectable = "servers", "server", True

    def make(self, api: Api, inputs: Properties) -> Created:
        body = self._body(api, inputs)
        answer = api.post("/servers", body)
        id = answer["server"]["id"]
        return finished(str(id), inputs, lambda: self._complete(api, id, answer, inputs, body))

    def _body(self, api: Api, inputs: Properties) -> Entry:
        type = _only(
            api.get("/server_types", name=inputs["serverType"])["server_types"], "server type", inputs["serverType"]
        )
        images = api.get("/images", name=inputs["image"], architecture=type["architecture"], include_deprecated="true")[
            "images"
        ]
        body: Entry = {
            "name": inputs["name"],
            "server_type": type["name"],
            "image": str(_only(images, "image", inputs.get("image"))["id"]),
            "labels": inputs.get("labels") or {},
        }
        for name in ("location", "userData"):
            if inputs.get(name):
                body["user_data" if name == "userData" else name] = inputs[name]
        if inputs.get("sshKeys"):
            body["ssh_keys"] = [str(key) for key in cast("list[Any]", inputs["sshKeys"])]
        if inputs.get("placementGroupId"):
            body["placement_group"] = number(inputs["placementGroupId"])
        if inputs.get("firewallIds"):
            body["firewalls"] = [{"firewall": number(id)} for id in cast("list[Any]", inputs["firewallIds"])]
        body["public_net"] = public = _public_net(inputs)
        # Without a public interface it starts after it was attached: else it would boot without any.
        body["start_after_create"] = public["enable_ipv4"] or public["enable_ipv6"]
        return body

    def _complete(self, api: Api, id: int, answer: Entry, inputs: Properties, body: Entry) -> Properties:
        api.wait([answer["action"], *answer["next_actions"]])
        for net in _networks(inputs):
            _attach(api, id, net)
        if not body["start_after_create"]:
            api.act(f"/servers/{id}/actions/poweron")
        if inputs.get("backups"):
            api.act(f"/servers/{id}/actions/enable_backup")
        if inputs.get("deleteProtection"):
            self.protect(api, id, True)
        read = self.read(api, str(id), inputs, {})
        assert read is not None
        return inputs | read

    def protect(self, api: Api, id: int, on: bool) -> None:
        api.act(f"/servers/{id}/actions/change_protection", {"delete": on, "rebuild": on})

    def read(self, api: Api, id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        found = api.find(f"/servers/{id}")
        if found is None:
            return None
        known = _networks(inputs) or _networks(outputs)
        return (
            outputs | self.outputs(found["server"]) | {"networks": cast("Any", _told_networks(found["server"], known))}
        )

    def outputs(self, entry: Entry) -> Properties:
        public, image = entry["public_net"], entry["image"]
        ipv6 = public["ipv6"]["ip"] if public["ipv6"] else ""
        told: Properties = {
            "name": entry["name"],
            "labels": entry["labels"],
            "serverType": entry["server_type"]["name"],
            "location": entry["location"]["name"],
            "image": image["name"] or str(image["id"]) if image else "",
            "status": entry["status"],
            "backups": bool(entry["backup_window"]),
            "backupWindow": entry["backup_window"] or "",
            "primaryDiskSize": entry["primary_disk_size"],
            "deleteProtection": entry["protection"]["delete"],
            "rebuildProtection": entry["protection"]["rebuild"],
            "firewallIds": [each["id"] for each in public["firewalls"]],
            "ipv4Address": public["ipv4"]["ip"] if public["ipv4"] else "",
            "ipv6Network": ipv6,
            "ipv6Address": ipv6.partition("/")[0] + "1" if ipv6 else "",
            "networks": cast("Any", _told_networks(entry, [])),
        }
        if entry["placement_group"]:
            told["placementGroupId"] = entry["placement_group"]["id"]
        return told

    def alter(self, api: Api, id: int, changed: set[str], old: Properties, new: Properties) -> None:
        if "networks" in changed:
            _move(api, id, _networks(old), _networks(new))
        if "firewallIds" in changed:
            _change_firewalls(api, id, old, new)
        if "backups" in changed:
            api.act(f"/servers/{id}/actions/{'enable' if new.get('backups') else 'disable'}_backup")
        off = {"serverType", "publicNets", "placementGroupId"} & changed
        if off:
            self._alter_while_off(api, id, off, old, new)

    def _alter_while_off(self, api: Api, id: int, changed: set[str], old: Properties, new: Properties) -> None:
        path = f"/servers/{id}/actions"
        api.act(f"{path}/poweroff")
        if "serverType" in changed:
            body = {"server_type": new["serverType"], "upgrade_disk": not new.get("keepDisk")}
            api.act(f"{path}/change_type", body)
        if "placementGroupId" in changed:
            if old.get("placementGroupId"):
                api.act(f"{path}/remove_from_placement_group")
            if new.get("placementGroupId"):
                api.act(f"{path}/add_to_placement_group", {"placement_group": number(new["placementGroupId"])})
        if "publicNets" in changed:
            _change_public(api, id, _public_net(new))
        api.act(f"{path}/poweron")

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        if outputs.get("shutdownBeforeDeletion"):
            api.act(f"/servers/{id}/actions/shutdown")
        super().delete(api, id, outputs)


def _only(found: list[Entry], what: str, name: Any) -> Entry:
    from ...package import ProviderError  # noqa: PLC0415

    if not found:
        raise ProviderError(f"{what} {name!r} not found")
    return found[0]


def _public_net(inputs: Properties) -> Entry:
    merged: Entry = {}
    for net in cast("list[Entry]", inputs.get("publicNets") or []):
        merged |= net
    public: Entry = {"enable_ipv4": merged.get("ipv4Enabled", True), "enable_ipv6": merged.get("ipv6Enabled", True)}
    for family in ("ipv4", "ipv6"):
        if merged.get(family) and public[f"enable_{family}"]:
            public[family] = number(merged[family])
    return public


def _networks(properties: Properties) -> list[Entry]:
    return cast("list[Entry]", properties.get("networks") or [])


def network_of(net: Entry) -> int:
    """The id of the Network that an attachment names, by itself or by a subnet."""
    return number(net.get("networkId") or str(net.get("subnetId", "")).partition("-")[0])


def attachment(net: Entry) -> Entry:
    """What ``attach_to_network`` takes."""
    body: Entry = {"network": network_of(net)}
    if net.get("ip"):
        body["ip"] = net["ip"]
    elif net.get("subnetId"):
        body["ip_range"] = str(net["subnetId"]).partition("-")[2]
    if net.get("aliasIps"):
        body["alias_ips"] = net["aliasIps"]
    return body


def _attach(api: Api, id: int, net: Entry) -> None:
    from .resource import RefusedError  # noqa: PLC0415

    try:
        api.retry(_ATTACH_RETRIES, lambda: api.act(f"/servers/{id}/actions/attach_to_network", attachment(net)))
    except RefusedError as failure:
        if failure.code != "server_already_attached":
            raise


def _told_networks(entry: Entry, known: list[Entry]) -> list[Entry]:
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


def _move(api: Api, id: int, before: list[Entry], after: list[Entry]) -> None:
    wanted = {network_of(net): net for net in after}
    for net in before:
        there = wanted.get(network_of(net))
        if there is None or attachment(there) != attachment(net):
            api.act(f"/servers/{id}/actions/detach_from_network", {"network": network_of(net)})
    unchanged = [attachment(net) for net in before]
    for net in after:
        if attachment(net) not in unchanged:
            _attach(api, id, net)


def _change_firewalls(api: Api, id: int, old: Properties, new: Properties) -> None:
    before = {number(each) for each in cast("list[Any]", old.get("firewallIds") or [])}
    after = {number(each) for each in cast("list[Any]", new.get("firewallIds") or [])}
    resource = [{"type": "server", "server": {"id": id}}]
    for firewall in sorted(before - after):
        api.act(f"/firewalls/{firewall}/actions/remove_from_resources", {"remove_from": resource})
    for firewall in sorted(after - before):
        api.act(f"/firewalls/{firewall}/actions/apply_to_resources", {"apply_to": resource})


def _change_public(api: Api, id: int, wanted: Entry) -> None:
    public = api.get(f"/servers/{id}")["server"]["public_net"]
    for family in ("ipv4", "ipv6"):
        has = public[family]["id"] if public[family] else None
        if has is not None and has != wanted.get(family):
            api.act(f"/primary_ips/{has}/actions/unassign")
        if wanted.get(family) and wanted[family] != has:
            body = {"assignee_type": "server", "assignee_id": id}
            api.act(f"/primary_ips/{wanted[family]}/actions/assign", body)
