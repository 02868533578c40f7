"""Parts of objects: subnets, routes, and what is attached to what. Their ids are spelled as the Terraform provider does."""

from typing import Any

from ...package import Created, ProviderError
from ...values import Properties
from .api import TRIES, Api, ApiFailure, Entry, code_of, only
from .networks import ATTACHING, BUSY, attachment, network_of
from .resource import camelized, gone, number, recorded


class Part:
    """A part of an object: made and taken away by actions on the whole, and read with it."""

    whole: str
    singular: str
    owner: str
    """The input that names the whole."""
    noted_early: bool = True
    """Whether the provider notes the id before the action is over."""

    # -- what each type says of itself

    def id(self, inputs: Properties) -> str:
        """Its id."""
        raise NotImplementedError

    def split(self, id: str) -> tuple[int, str]:
        """The id of the whole, and what is left."""
        owner, _, rest = id.partition("-")
        return number(owner), rest

    def add(self, api: Api, inputs: Properties) -> list[Entry]:
        """Start to make it; returns actions."""
        raise NotImplementedError

    def part_of(self, whole: Entry, rest: str) -> Entry | None:
        """The part in the whole."""
        raise NotImplementedError

    def told(self, whole: Entry, part: Entry) -> Properties:
        """Properties by what the API tells."""
        raise NotImplementedError

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> list[Entry]:
        """Start to take it away; returns actions."""
        raise NotImplementedError

    # -- what all do

    def make(self, api: Api, inputs: Properties) -> Created:
        started, id = self.add(api, inputs), self.id(inputs)
        if not self.noted_early:
            api.wait(started)
            return recorded(id, inputs, lambda: self.complete(api, id, inputs))

        def waited() -> Properties:
            api.wait(started)
            return self.complete(api, id, inputs)

        return recorded(id, inputs, waited)

    def complete(self, api: Api, id: str, inputs: Properties) -> Properties:
        """What a create does when the action is over."""
        return self.existing(api, id, inputs)

    def existing(self, api: Api, id: str, known: Properties) -> Properties:
        """What the cloud tells.

        Raises:
            ProviderError: it is gone.
        """
        found = self.read(api, id, known)
        if found is None:
            raise gone(f"{self.singular.replace('_', ' ')} part {id}")
        return found

    def read(self, api: Api, id: str, known: Properties) -> Properties | None:
        owner, rest = self.split(id)
        whole = api.find(f"/{self.whole}/{owner}")
        part = self.part_of(whole[self.singular], rest) if whole else None
        return self.told(whole[self.singular], part) if whole and part else None

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        # Every difference replaces it; a part whose making failed half-way is only looked at again.
        return self.existing(api, id, new)

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        owner, rest = self.split(id)
        try:
            started = self.remove(api, owner, rest, outputs)
        except ApiFailure as failure:
            if failure.code != "not_found":
                raise
            return
        api.wait(started)


class NetworkSubnet(Part):
    """A subnet: ``<network>-<cidr>``."""

    whole, singular, owner = "networks", "network", "networkId"

    def id(self, inputs: Properties) -> str:
        return f"{inputs['networkId']}-{inputs['ipRange']}"

    def add(self, api: Api, inputs: Properties) -> list[Entry]:
        body = {"type": inputs["type"], "ip_range": inputs["ipRange"], "network_zone": inputs["networkZone"]}
        if inputs["type"] == "vswitch":
            body["vswitch_id"] = inputs.get("vswitchId")
        path = f"/networks/{inputs['networkId']}/actions/add_subnet"
        return api.attempt(lambda: api.start(path, body), only("conflict", "vswitch_id_already_used"))

    def part_of(self, whole: Entry, rest: str) -> Entry | None:
        return next((each for each in whole["subnets"] if each["ip_range"] == rest), None)

    def told(self, whole: Entry, part: Entry) -> Properties:
        told = {key: value for key, value in camelized(part).items() if value is not None}
        return {**told, "networkId": whole["id"]}

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> list[Entry]:
        try:
            return api.attempt(lambda: self._remove_once(api, owner, rest), _is_in_use, 10 * TRIES)
        except ApiFailure as failure:
            if failure.code == "service_error" and _is_in_use(failure):
                # The provider assumes that the whole network goes, and lets the subnet be.
                return []
            raise

    def _remove_once(self, api: Api, owner: int, rest: str) -> list[Entry]:
        # It asks each time whether network and subnet are there still.
        if self.read(api, f"{owner}-{rest}", {}) is None:
            return []
        return api.start(f"/networks/{owner}/actions/delete_subnet", {"ip_range": rest})


def _is_in_use(failure: ProviderError) -> bool:
    text = str(failure)
    attached = "servers are attached" in text or "network has attached resources" in text
    return code_of(failure) in ("conflict", "locked") or (code_of(failure) == "service_error" and attached)


class NetworkRoute(Part):
    """A route: ``<network>-<destination>``."""

    whole, singular, owner = "networks", "network", "networkId"

    def id(self, inputs: Properties) -> str:
        return f"{inputs['networkId']}-{inputs['destination']}"

    def add(self, api: Api, inputs: Properties) -> list[Entry]:
        body = {name: inputs[name] for name in ("destination", "gateway")}
        path = f"/networks/{inputs['networkId']}/actions/add_route"
        return api.attempt(lambda: api.start(path, body), only("conflict"))

    def part_of(self, whole: Entry, rest: str) -> Entry | None:
        return next((each for each in whole["routes"] if each["destination"] == rest), None)

    def told(self, whole: Entry, part: Entry) -> Properties:
        return {"destination": part["destination"], "gateway": part["gateway"], "networkId": whole["id"]}

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> list[Entry]:
        found = self.read(api, f"{owner}-{rest}", {})
        if found is None:
            return []
        body = {"destination": rest, "gateway": found["gateway"]}
        return api.attempt(lambda: api.start(f"/networks/{owner}/actions/delete_route", body), only("conflict"))


class Membership(Part):
    """A place in a Network: ``<member>-<network>``."""

    already: str
    noted_early = False

    def id(self, inputs: Properties) -> str:
        return f"{inputs[self.owner]}-{network_of(inputs)}"

    def add(self, api: Api, inputs: Properties) -> list[Entry]:
        path = f"/{self.whole}/{inputs[self.owner]}/actions/attach_to_network"
        try:
            return api.attempt(lambda: api.start(path, attachment(inputs)), ATTACHING)
        except ApiFailure as failure:
            if failure.code != self.already:
                raise
            return []

    def part_of(self, whole: Entry, rest: str) -> Entry | None:
        return next((each for each in whole["private_net"] if str(each["network"]) == rest), None)

    def told(self, whole: Entry, part: Entry) -> Properties:
        return {self.owner: whole["id"], "networkId": part["network"], "ip": part["ip"]}

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> list[Entry]:
        path = f"/{self.whole}/{owner}/actions/detach_from_network"
        return api.attempt(lambda: api.start(path, {"network": number(rest)}), BUSY)


class ServerNetwork(Membership):
    """A server in a Network."""

    whole, singular, owner, already = "servers", "server", "serverId", "server_already_attached"

    def told(self, whole: Entry, part: Entry) -> Properties:
        return super().told(whole, part) | {"macAddress": part["mac_address"], "aliasIps": part["alias_ips"]}

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        owner, rest = self.split(id)
        body = {"network": number(rest), "alias_ips": new.get("aliasIps") or []}
        api.act(f"/servers/{owner}/actions/change_alias_ips", body)
        return self.existing(api, id, new)


class VolumeAttachment(Part):
    """A volume at a server; its id is the volume's."""

    whole, singular, owner = "volumes", "volume", "volumeId"

    def id(self, inputs: Properties) -> str:
        return str(inputs["volumeId"])

    def split(self, id: str) -> tuple[int, str]:
        return number(id), ""

    def add(self, api: Api, inputs: Properties) -> list[Entry]:
        body: dict[str, Any] = {"server": number(inputs["serverId"])}
        if inputs.get("automount"):
            body["automount"] = True
        return api.attempt(lambda: api.start(f"/volumes/{inputs['volumeId']}/actions/attach", body), only("locked"))

    def part_of(self, whole: Entry, rest: str) -> Entry | None:
        return whole if whole["server"] else None

    def told(self, whole: Entry, part: Entry) -> Properties:
        return {"volumeId": whole["id"], "serverId": whole["server"]}

    def read(self, api: Api, id: str, known: Properties) -> Properties | None:
        found = super().read(api, id, known)
        # It also asks for the server that the state names, and forgets the attachment with it.
        server = known.get("serverId") or (found or {}).get("serverId")
        return found if found is None or api.find(f"/servers/{server}") is not None else None

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> list[Entry]:
        found = api.find(f"/volumes/{owner}")
        if found is None or not found["volume"]["server"]:
            return []
        return api.attempt(lambda: api.start(f"/volumes/{owner}/actions/detach"), only("locked"))
