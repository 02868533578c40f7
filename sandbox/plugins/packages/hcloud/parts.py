"""Parts of objects: subnets, routes, and what is attached to what. Their ids are spelled as the Terraform provider does."""

import hashlib
from typing import Any, cast

from ...package import Created, ProviderError
from ...values import Properties
from .resource import Api, Entry, RefusedError, camelized, finished, number, snaked
from .server import attachment, network_of

_SUBNET_ATTEMPTS = 50


class Part:
    """A part of an object: made and taken away by actions on the whole, and read with it."""

    whole: str
    singular: str
    owner: str
    """The input that names the whole."""

    def id(self, inputs: Properties) -> str:
        """Its id."""
        raise NotImplementedError

    def split(self, id: str) -> tuple[int, str]:
        """The id of the whole, and what is left."""
        owner, _, rest = id.partition("-")
        return number(owner), rest

    def add(self, api: Api, inputs: Properties) -> None:
        """Make it."""
        raise NotImplementedError

    def find(self, whole: Entry, rest: str) -> Entry | None:
        """The part in the whole."""
        raise NotImplementedError

    def told(self, whole: Entry, part: Entry) -> Properties:
        """Properties by what the API tells."""
        raise NotImplementedError

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> None:
        """Take it away."""
        raise NotImplementedError

    def make(self, api: Api, inputs: Properties) -> Created:
        self.add(api, inputs)
        id = self.id(inputs)

        def read() -> Properties:
            found = self.read(api, id, inputs, {})
            if found is None:
                raise ProviderError(f"{id} was made, and is not there")
            return inputs | found

        return finished(id, inputs, read)

    def read(self, api: Api, id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        owner, rest = self.split(id)
        whole = api.find(f"/{self.whole}/{owner}")
        if whole is None:
            return None
        part = self.find(whole[self.singular], rest)
        return None if part is None else outputs | self.told(whole[self.singular], part)

    def update(self, api: Api, id: str, old: Properties, new: Properties, outputs: Properties) -> Properties:
        raise ProviderError(f"{id} cannot be changed in place")

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        owner, rest = self.split(id)
        try:
            self.remove(api, owner, rest, outputs)
        except RefusedError as failure:
            if failure.code != "not_found":
                raise


class NetworkSubnet(Part):
    """A subnet: ``<network>-<cidr>``."""

    whole, singular, owner = "networks", "network", "networkId"

    def id(self, inputs: Properties) -> str:
        return f"{inputs['networkId']}-{inputs['ipRange']}"

    def add(self, api: Api, inputs: Properties) -> None:
        body = {
            "type": inputs["type"],
            "ip_range": inputs["ipRange"],
            "network_zone": inputs["networkZone"],
            **({"vswitch_id": inputs["vswitchId"]} if inputs.get("vswitchId") else {}),
        }
        path = f"/networks/{inputs['networkId']}/actions/add_subnet"
        api.retry(("conflict", "vswitch_id_already_used"), lambda: api.act(path, body))

    def find(self, whole: Entry, rest: str) -> Entry | None:
        return next((each for each in whole["subnets"] if each["ip_range"] == rest), None)

    def told(self, whole: Entry, part: Entry) -> Properties:
        told = {key: value for key, value in camelized(part).items() if value is not None}
        return {**told, "networkId": whole["id"]}

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> None:
        path = f"/networks/{owner}/actions/delete_subnet"
        codes = ("conflict", "locked", "service_error")
        api.retry(codes, lambda: api.act(path, {"ip_range": rest}), _SUBNET_ATTEMPTS)


class NetworkRoute(Part):
    """A route: ``<network>-<destination>``."""

    whole, singular, owner = "networks", "network", "networkId"

    def id(self, inputs: Properties) -> str:
        return f"{inputs['networkId']}-{inputs['destination']}"

    def add(self, api: Api, inputs: Properties) -> None:
        body = {name: inputs[name] for name in ("destination", "gateway")}
        api.retry(("conflict",), lambda: api.act(f"/networks/{inputs['networkId']}/actions/add_route", body))

    def find(self, whole: Entry, rest: str) -> Entry | None:
        return next((each for each in whole["routes"] if each["destination"] == rest), None)

    def told(self, whole: Entry, part: Entry) -> Properties:
        return {**part, "networkId": whole["id"]}

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> None:
        body = {"destination": rest, "gateway": outputs["gateway"]}
        api.retry(("conflict", "locked"), lambda: api.act(f"/networks/{owner}/actions/delete_route", body))


class _Membership(Part):
    """A place in a Network: ``<member>-<network>``."""

    already: str

    def id(self, inputs: Properties) -> str:
        return f"{inputs[self.owner]}-{network_of(cast('Entry', inputs))}"

    def add(self, api: Api, inputs: Properties) -> None:
        path = f"/{self.whole}/{inputs[self.owner]}/actions/attach_to_network"
        body = attachment(cast("Entry", inputs))
        try:
            api.retry(("conflict", "locked", "service_error", "no_subnet_available"), lambda: api.act(path, body))
        except RefusedError as failure:
            if failure.code != self.already:
                raise

    def find(self, whole: Entry, rest: str) -> Entry | None:
        return next((each for each in whole["private_net"] if str(each["network"]) == rest), None)

    def told(self, whole: Entry, part: Entry) -> Properties:
        return {self.owner: whole["id"], "networkId": part["network"], "ip": part["ip"]}

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> None:
        path = f"/{self.whole}/{owner}/actions/detach_from_network"
        api.retry(("conflict", "locked", "service_error"), lambda: api.act(path, {"network": number(rest)}))


class ServerNetwork(_Membership):
    """A server in a Network."""

    whole, singular, owner, already = "servers", "server", "serverId", "server_already_attached"

    def told(self, whole: Entry, part: Entry) -> Properties:
        return super().told(whole, part) | {"macAddress": part["mac_address"], "aliasIps": part["alias_ips"]}

    def update(self, api: Api, id: str, old: Properties, new: Properties, outputs: Properties) -> Properties:
        owner, rest = self.split(id)
        body = {"network": number(rest), "alias_ips": new.get("aliasIps") or []}
        api.act(f"/servers/{owner}/actions/change_alias_ips", body)
        return {**outputs, **new}


class LoadBalancerNetwork(_Membership):
    """A load balancer in a Network."""

    whole, singular, owner, already = (
        "load_balancers",
        "load_balancer",
        "loadBalancerId",
        "load_balancer_already_attached",
    )

    def add(self, api: Api, inputs: Properties) -> None:
        super().add(api, inputs)
        if inputs.get("enablePublicInterface") is False:
            api.act(f"/load_balancers/{inputs['loadBalancerId']}/actions/disable_public_interface")

    def told(self, whole: Entry, part: Entry) -> Properties:
        return super().told(whole, part) | {"enablePublicInterface": whole["public_net"]["enabled"]}

    def update(self, api: Api, id: str, old: Properties, new: Properties, outputs: Properties) -> Properties:
        owner, _ = self.split(id)
        on = new.get("enablePublicInterface") is not False
        api.act(f"/load_balancers/{owner}/actions/{'enable' if on else 'disable'}_public_interface")
        return {**outputs, **new}


class LoadBalancerService(Part):
    """A service: ``<load balancer>__<listen port>``."""

    whole, singular, owner = "load_balancers", "load_balancer", "loadBalancerId"

    def id(self, inputs: Properties) -> str:
        port = inputs.get("listenPort") or (443 if inputs["protocol"] == "https" else 80)
        return f"{inputs['loadBalancerId']}__{port}"

    def split(self, id: str) -> tuple[int, str]:
        owner, _, rest = id.partition("__")
        return number(owner), rest

    def add(self, api: Api, inputs: Properties) -> None:
        path = f"/load_balancers/{inputs['loadBalancerId']}/actions/add_service"
        api.retry(("service_error",), lambda: api.act(path, _service(inputs)))

    def find(self, whole: Entry, rest: str) -> Entry | None:
        return next((each for each in whole["services"] if str(each["listen_port"]) == rest), None)

    def told(self, whole: Entry, part: Entry) -> Properties:
        return {**camelized(part), "loadBalancerId": str(whole["id"])}

    def update(self, api: Api, id: str, old: Properties, new: Properties, outputs: Properties) -> Properties:
        owner, rest = self.split(id)
        body = {**_service(new), "listen_port": number(rest)}
        path = f"/load_balancers/{owner}/actions/update_service"
        api.retry(("service_error",), lambda: api.act(path, body))
        return {**outputs, **new}

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> None:
        path = f"/load_balancers/{owner}/actions/delete_service"
        api.retry(("locked", "conflict", "service_error"), lambda: api.act(path, {"listen_port": number(rest)}))


def _service(inputs: Properties) -> Entry:
    names = ("protocol", "listenPort", "destinationPort", "proxyprotocol", "healthCheck", "http")
    return snaked({name: inputs[name] for name in names if inputs.get(name) is not None})


class LoadBalancerTarget(Part):
    """A target: ``lb-srv-tgt-<server>-<load balancer>`` and the like."""

    whole, singular, owner = "load_balancers", "load_balancer", "loadBalancerId"

    def id(self, inputs: Properties) -> str:
        balancer = inputs["loadBalancerId"]
        if inputs["type"] == "server":
            return f"lb-srv-tgt-{inputs['serverId']}-{balancer}"
        if inputs["type"] == "ip":
            return f"lb-ip-tgt-{inputs['ip']}-{balancer}"
        return f"lb-label-selector-tgt-{_digest(str(inputs['labelSelector']))}-{balancer}"

    def split(self, id: str) -> tuple[int, str]:
        rest, _, owner = id.rpartition("-")
        return number(owner), rest

    def add(self, api: Api, inputs: Properties) -> None:
        path = f"/load_balancers/{inputs['loadBalancerId']}/actions/add_target"
        body = {**_target(inputs), "use_private_ip": bool(inputs.get("usePrivateIp"))}
        if inputs["type"] == "ip":
            del body["use_private_ip"]
        try:
            api.retry(("conflict", "locked"), lambda: api.act(path, body))
        except RefusedError as failure:
            if failure.code != "target_already_defined":
                raise

    def find(self, whole: Entry, rest: str) -> Entry | None:
        return next((each for each in whole["targets"] if self._rest(each) == rest), None)

    def _rest(self, target: Entry) -> str:
        match target["type"]:
            case "server":
                return f"lb-srv-tgt-{target['server']['id']}"
            case "ip":
                return f"lb-ip-tgt-{target['ip']['ip']}"
            case _:
                return f"lb-label-selector-tgt-{_digest(target['label_selector']['selector'])}"

    def told(self, whole: Entry, part: Entry) -> Properties:
        told: Properties = {"loadBalancerId": whole["id"], "type": part["type"]}
        if part["type"] == "server":
            told["serverId"] = part["server"]["id"]
        elif part["type"] == "ip":
            told["ip"] = part["ip"]["ip"]
        else:
            told["labelSelector"] = part["label_selector"]["selector"]
        return told | ({"usePrivateIp": part["use_private_ip"]} if "use_private_ip" in part else {})

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> None:
        path = f"/load_balancers/{owner}/actions/remove_target"
        api.retry(("conflict", "locked"), lambda: api.act(path, _target(outputs)))


def _digest(selector: str) -> str:
    return hashlib.sha256(selector.encode()).hexdigest()[:8]


def _target(properties: Properties) -> Entry:
    match properties["type"]:
        case "server":
            return {"type": "server", "server": {"id": number(properties["serverId"])}}
        case "ip":
            return {"type": "ip", "ip": {"ip": properties["ip"]}}
        case _:
            return {"type": "label_selector", "label_selector": {"selector": properties["labelSelector"]}}


class VolumeAttachment(Part):
    """A volume at a server; its id is the volume's."""

    whole, singular, owner = "volumes", "volume", "volumeId"

    def id(self, inputs: Properties) -> str:
        return str(inputs["volumeId"])

    def split(self, id: str) -> tuple[int, str]:
        return number(id), ""

    def add(self, api: Api, inputs: Properties) -> None:
        body: dict[str, Any] = {"server": number(inputs["serverId"])}
        if "automount" in inputs:
            body["automount"] = inputs["automount"]
        api.retry(("locked",), lambda: api.act(f"/volumes/{inputs['volumeId']}/actions/attach", body))

    def find(self, whole: Entry, rest: str) -> Entry | None:
        return whole if whole["server"] else None

    def told(self, whole: Entry, part: Entry) -> Properties:
        return {"volumeId": whole["id"], "serverId": whole["server"]}

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> None:
        api.retry(("locked",), lambda: api.act(f"/volumes/{owner}/actions/detach"))


PARTS: dict[str, Part] = {
    "LoadBalancerNetwork": LoadBalancerNetwork(),
    "LoadBalancerService": LoadBalancerService(),
    "LoadBalancerTarget": LoadBalancerTarget(),
    "NetworkRoute": NetworkRoute(),
    "NetworkSubnet": NetworkSubnet(),
    "ServerNetwork": ServerNetwork(),
    "VolumeAttachment": VolumeAttachment(),
}

__all__ = ["PARTS"]
