"""The simple objects: networks, keys, placement groups, certificates, Primary IPs and volumes."""

from typing import ClassVar

from ...package import Created
from ...values import Properties
from .api import TRIES, Api, ApiFailure, Entry, all_but
from .resource import Named, differing, gone, number


class Network(Named):
    """A Network; its subnets and routes are resources of their own."""

    kind, singular, protectable, asks_by_name = "networks", "network", True, True
    sent = ("ipRange", "exposeRoutesToVswitch")

    def alter(self, api: Api, entry: Entry, changed: set[str], old: Properties, new: Properties) -> None:
        if "exposeRoutesToVswitch" in changed:
            body = {"expose_routes_to_vswitch": bool(new.get("exposeRoutesToVswitch"))}
            api.put(f"/networks/{entry['id']}", body)


class PlacementGroup(Named):
    """A placement group."""

    kind, singular = "placement_groups", "placement_group"
    sent = ("type",)
    renamed: ClassVar = {"servers": "servers"}


class UploadedCertificate(Named):
    """A certificate; the API never tells its key."""

    kind, singular, asks_by_name = "certificates", "certificate", True
    sent = ("certificate", "privateKey")
    renamed: ClassVar = {
        "type": "type",
        "domain_names": "domainNames",
        "fingerprint": "fingerprint",
        "created": "created",
        "not_valid_before": "notValidBefore",
        "not_valid_after": "notValidAfter",
    }

    def body(self, inputs: Properties) -> Entry:
        return {**super().body(inputs), "type": "uploaded"}


class SshKey(Named):
    """An SSH key: whatever is done to it is one request."""

    kind, singular = "ssh_keys", "ssh_key"
    sent = ("publicKey",)
    renamed: ClassVar = {"fingerprint": "fingerprint"}

    def outputs(self, entry: Entry, known: Properties) -> Properties:
        told = super().outputs(entry, known)
        said = str(known.get("publicKey", ""))
        # Files end with a newline, keys do not.
        return told | ({"publicKey": said} if said.strip() == entry["public_key"].strip() else {})

    def make(self, api: Api, inputs: Properties) -> Created:
        made = api.post("/ssh_keys", self.body(inputs))["ssh_key"]
        return Created(str(made["id"]), inputs | self.outputs(made, inputs))

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        body = {name: new.get(name, {}) for name in ("name", "labels") if name in differing(old, new)}
        return _put(api, self, id, body, new)


def _put(api: Api, resource: Named, id: str, body: Entry, new: Properties) -> Properties:
    try:
        return resource.outputs(api.put(f"/{resource.kind}/{id}", body)[resource.singular], new)
    except ApiFailure as failure:
        if failure.code == "not_found":
            raise gone(f"{resource.singular} {id}") from failure
        raise


class PrimaryIp(Named):
    """A Primary IP."""

    kind, singular, protectable = "primary_ips", "primary_ip", True
    sent = ("type", "location", "assigneeId", "assigneeType", "autoDelete")
    renamed: ClassVar = {"assignee_type": "assigneeType"}

    def body(self, inputs: Properties) -> Entry:
        body = super().body(inputs)
        # The type of whom it is for is of use together with the id alone.
        if "assigneeId" not in inputs:
            body.pop("assignee_type", None)
        return body

    def outputs(self, entry: Entry, known: Properties) -> Properties:
        told = super().outputs(entry, known)
        told["assigneeId"] = entry["assignee_id"] or 0
        if entry["assignee_type"] == "unassigned" and known.get("assigneeType"):
            # It says what it is for, not whose it is: what the program said stays.
            del told["assigneeType"]
        network = str(entry["ip"])
        is_network = entry["type"] == "ipv6"
        told["ipAddress"] = network.partition("/")[0] if is_network else network
        told["ipNetwork"] = network if is_network else None
        return told

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        changed = differing(old, new)
        if "deleteProtection" in changed:
            self.protect(api, number(id), new)
        if changed & {"assigneeId", "assigneeType"}:
            if old.get("assigneeId"):
                api.act(f"/primary_ips/{id}/actions/unassign")
            if new.get("assigneeId"):
                body = {"assignee_type": new["assigneeType"], "assignee_id": number(new["assigneeId"])}
                api.act(f"/primary_ips/{id}/actions/assign", body)
        body = {name: new.get(name, {}) for name in ("name", "labels") if name in changed}
        if "autoDelete" in changed:
            body["auto_delete"] = bool(new.get("autoDelete"))
        # Always, even when it is empty: its answer is what the state becomes.
        return _put(api, self, id, body, new)

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        if outputs.get("assigneeId"):
            self._take_away(api, id, outputs)
        api.attempt(lambda: api.delete(f"/primary_ips/{id}"), all_but("protected"), 2 * TRIES)

    def _take_away(self, api: Api, id: str, outputs: Properties) -> None:
        """From its server, which is off meanwhile; refusals do not matter, since it may be nobody's already."""
        if outputs.get("assigneeType") != "server":
            _unless_refused(api, f"/primary_ips/{id}/actions/unassign")
            return
        server = outputs["assigneeId"]
        found = api.find(f"/servers/{server}")
        public: Entry = found["server"]["public_net"] if found else {"ipv4": None, "ipv6": None}
        if id in {str(public[family]["id"]) for family in ("ipv4", "ipv6") if public[family]}:
            _unless_refused(api, f"/servers/{server}/actions/poweroff")
            _unless_refused(api, f"/primary_ips/{id}/actions/unassign")
            _unless_refused(api, f"/servers/{server}/actions/poweron")


def _unless_refused(api: Api, path: str) -> None:
    try:
        started = api.start(path)
    except ApiFailure:
        return
    api.wait(started)


class Volume(Named):
    """A volume; attachments may be resources of their own."""

    kind, singular, protectable = "volumes", "volume", True
    sent = ("size", "location", "serverId", "automount", "format")
    renamed: ClassVar = {"linux_device": "linuxDevice"}

    def body(self, inputs: Properties) -> Entry:
        body = super().body(inputs)
        if "server_id" in body:
            body["server"] = number(body.pop("server_id"))
        return body

    def outputs(self, entry: Entry, known: Properties) -> Properties:
        told = super().outputs(entry, known)
        # The provider takes no notice of how it was formatted.
        told.pop("format", None)
        return told | {"serverId": entry["server"]}

    def alter(self, api: Api, entry: Entry, changed: set[str], old: Properties, new: Properties) -> None:
        path = f"/volumes/{entry['id']}/actions"
        if "serverId" in changed:
            if entry["server"]:
                api.attempt(lambda: api.act(f"{path}/detach"), all_but())
            if new.get("serverId"):
                attach: Entry = {"server": number(new["serverId"])}
                attach |= {"automount": True} if new.get("automount") else {}
                api.attempt(lambda: api.act(f"{path}/attach", attach), all_but())
        if "size" in changed:
            api.act(f"{path}/resize", {"size": new["size"]})

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        found = self.find(api, id)
        if found is None:
            return
        if found["server"]:
            api.attempt(lambda: api.act(f"/volumes/{id}/actions/detach"), all_but())
        api.attempt(lambda: api.delete(f"/volumes/{id}"), all_but())
