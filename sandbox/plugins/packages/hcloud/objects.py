"""The simple objects: networks, firewalls, load balancers, addresses, keys, certificates, groups and volumes."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from ...package import Created, ProviderError
from ...values import Properties
from .resource import Api, Entry, Named, camelized, number, snaked


class Network(Named):
    """A Network; its subnets and routes are resources of their own."""

    kind, singular, protectable = "networks", "network", True
    sent = ("ipRange", "exposeRoutesToVswitch")

    def changes(self, changed: set[str], new: Properties) -> Entry:
        body = super().changes(changed, new)
        if "exposeRoutesToVswitch" in changed:
            body["expose_routes_to_vswitch"] = bool(new.get("exposeRoutesToVswitch"))
        return body


class SshKey(Named):
    """An SSH key."""

    kind, singular = "ssh_keys", "ssh_key"
    sent = ("publicKey",)
    renamed: ClassVar[Mapping[str, str]] = {"fingerprint": "fingerprint"}


class PlacementGroup(Named):
    """A placement group."""

    kind, singular = "placement_groups", "placement_group"
    sent = ("type",)
    renamed: ClassVar[Mapping[str, str]] = {"servers": "servers"}


class UploadedCertificate(Named):
    """A certificate; the API never tells its key."""

    kind, singular = "certificates", "certificate"
    sent = ("certificate", "privateKey")
    renamed: ClassVar[Mapping[str, str]] = {
        "type": "type",
        "domain_names": "domainNames",
        "fingerprint": "fingerprint",
        "created": "created",
        "not_valid_before": "notValidBefore",
        "not_valid_after": "notValidAfter",
    }
    retried_delete = ("resource_in_use",)

    def body(self, inputs: Properties) -> Entry:
        return {**super().body(inputs), "type": "uploaded"}


class PrimaryIp(Named):
    """A Primary IP."""

    kind, singular, protectable = "primary_ips", "primary_ip", True
    sent = ("type", "location", "assigneeId", "assigneeType", "autoDelete")
    renamed: ClassVar[Mapping[str, str]] = {
        "assignee_id": "assigneeId",
        "assignee_type": "assigneeType",
        "auto_delete": "autoDelete",
    }
    retried_delete = ("must_be_unassigned", "conflict", "locked", "service_error")

    def body(self, inputs: Properties) -> Entry:
        body = super().body(inputs)
        if "assigneeId" in inputs:
            body.setdefault("assignee_type", "server")
        return body

    def outputs(self, entry: Entry) -> Properties:
        told = super().outputs(entry)
        told["assigneeId"] = entry["assignee_id"] or 0
        if entry["assignee_type"] == "unassigned":
            # It says what it is for, not whose it is: the provider keeps what the program said.
            del told["assigneeType"]
        address = str(entry["ip"])
        first = address.partition("/")[0]
        told["ipAddress"] = first + "1" if entry["type"] == "ipv6" else address
        told["ipNetwork"] = address if entry["type"] == "ipv6" else ""
        return told

    def changes(self, changed: set[str], new: Properties) -> Entry:
        body = super().changes(changed, new)
        if "autoDelete" in changed:
            body["auto_delete"] = bool(new.get("autoDelete"))
        return body

    def alter(self, api: Api, id: int, changed: set[str], old: Properties, new: Properties) -> None:
        if "assigneeId" in changed:
            if old.get("assigneeId"):
                api.act(f"/primary_ips/{id}/actions/unassign")
            if new.get("assigneeId"):
                body = {"assignee_type": "server", "assignee_id": number(new["assigneeId"])}
                api.act(f"/primary_ips/{id}/actions/assign", body)


class Volume(Named):
    """A volume; attachments are resources of their own."""

    kind, singular, protectable = "volumes", "volume", True
    sent = ("size", "location", "serverId", "automount", "format")
    renamed: ClassVar[Mapping[str, str]] = {"size": "size", "linux_device": "linuxDevice"}
    retried_delete = ("locked", "conflict")

    def body(self, inputs: Properties) -> Entry:
        body = super().body(inputs)
        if "server_id" in body:
            body["server"] = number(body.pop("server_id"))
            body.pop("location", None)
        return body

    def outputs(self, entry: Entry) -> Properties:
        told = super().outputs(entry)
        if entry["server"]:
            told["serverId"] = entry["server"]
        return told

    def alter(self, api: Api, id: int, changed: set[str], old: Properties, new: Properties) -> None:
        if "size" in changed:
            api.act(f"/volumes/{id}/actions/resize", {"size": new["size"]})
        if "serverId" in changed:
            if old.get("serverId"):
                api.act(f"/volumes/{id}/actions/detach")
            if new.get("serverId"):
                api.act(f"/volumes/{id}/actions/attach", {"server": number(new["serverId"])})

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        if outputs.get("serverId"):
            api.act(f"/volumes/{id}/actions/detach")
        super().delete(api, id, outputs)


class Firewall(Named):
    """A firewall with its rules and what it is applied to."""

    kind, singular = "firewalls", "firewall"
    retried_delete = ("resource_in_use", "conflict", "locked")

    def body(self, inputs: Properties) -> Entry:
        body = super().body(inputs)
        body["rules"] = _rules(inputs)
        body["apply_to"] = _applied(inputs)
        return body

    def outputs(self, entry: Entry) -> Properties:
        told = super().outputs(entry)
        told["rules"] = [_told_rule(rule) for rule in entry["rules"]]
        told["applyTos"] = [
            {"server": each["server"]["id"]}
            if each["type"] == "server"
            else {"labelSelector": each["label_selector"]["selector"]}
            for each in entry["applied_to"]
        ]
        return told

    def alter(self, api: Api, id: int, changed: set[str], old: Properties, new: Properties) -> None:
        # The real provider sends no empty list of rules: those that there were stay.
        if "rules" in changed and new.get("rules"):
            api.act(f"/firewalls/{id}/actions/set_rules", {"rules": _rules(new)})
        if "applyTos" in changed:
            before, after = _applied(old), _applied(new)
            gone = [each for each in before if each not in after]
            come = [each for each in after if each not in before]
            if gone:
                api.act(f"/firewalls/{id}/actions/remove_from_resources", {"remove_from": gone})
            if come:
                api.act(f"/firewalls/{id}/actions/apply_to_resources", {"apply_to": come})

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        found = api.find(f"/firewalls/{id}")
        if found is None:
            return
        applied = [{"type": each["type"], each["type"]: each[each["type"]]} for each in found["firewall"]["applied_to"]]
        if applied:
            api.act(f"/firewalls/{id}/actions/remove_from_resources", {"remove_from": applied})
        super().delete(api, id, outputs)


def _rules(inputs: Properties) -> list[Entry]:
    return [snaked(rule) for rule in cast("list[Entry]", inputs.get("rules") or [])]


def _told_rule(rule: Entry) -> dict[str, Any]:
    return {name: value for name, value in camelized(rule).items() if value not in (None, [], "")}


def _applied(inputs: Properties) -> list[Entry]:
    return [
        {"type": "server", "server": {"id": number(each["server"])}}
        if each.get("server")
        else {"type": "label_selector", "label_selector": {"selector": each["labelSelector"]}}
        for each in cast("list[Entry]", inputs.get("applyTos") or [])
    ]


class LoadBalancer(Named):
    """A load balancer; Network, services and targets are resources of their own."""

    kind, singular, protectable = "load_balancers", "load_balancer", True
    sent = ("loadBalancerType", "location", "networkZone", "algorithm")
    retried_delete = ("locked", "conflict")

    def body(self, inputs: Properties) -> Entry:
        if inputs.get("targets"):
            raise ProviderError("inline targets are deprecated: use LoadBalancerTarget")
        body = super().body(inputs)
        given = {family: inputs.get(f"{family}Id") for family in ("ipv4", "ipv6")}
        public = {family: number(id) for family, id in given.items() if id}
        return body | ({"public_net": public} if public else {})

    def outputs(self, entry: Entry) -> Properties:
        told = super().outputs(entry)
        told["loadBalancerType"] = entry["load_balancer_type"]["name"]
        told["algorithm"] = {"type": entry["algorithm"]["type"]}
        told["networkZone"] = entry["location"]["network_zone"]
        for family in ("ipv4", "ipv6"):
            told[family] = entry["public_net"][family]["ip"] or ""
            if entry["public_net"][family].get("id"):
                told[f"{family}Id"] = entry["public_net"][family]["id"]
        private = entry["private_net"][0] if entry["private_net"] else {"network": 0, "ip": ""}
        told["networkId"], told["networkIp"] = private["network"], private["ip"]
        return told

    def alter(self, api: Api, id: int, changed: set[str], old: Properties, new: Properties) -> None:
        if "loadBalancerType" in changed:
            body = {"load_balancer_type": new["loadBalancerType"]}
            api.act(f"/load_balancers/{id}/actions/change_type", body)
        if "algorithm" in changed:
            api.act(f"/load_balancers/{id}/actions/change_algorithm", _algorithm(new))


def _algorithm(inputs: Properties) -> Entry:
    return cast("Entry", inputs.get("algorithm") or {"type": "round_robin"})


OBJECTS: dict[str, Named] = {
    "Firewall": Firewall(),
    "LoadBalancer": LoadBalancer(),
    "Network": Network(),
    "PlacementGroup": PlacementGroup(),
    "PrimaryIp": PrimaryIp(),
    "SshKey": SshKey(),
    "UploadedCertificate": UploadedCertificate(),
    "Volume": Volume(),
}

__all__ = ["OBJECTS", "Created"]
