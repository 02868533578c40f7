"""Load balancers, and their place in a Network, services and targets, which are resources of their own."""

import hashlib
from typing import Any

from ...package import Created, ProviderError
from ...values import Properties
from .api import Api, ApiFailure, Entry, only
from .parts import Membership, Part
from .resource import Named, camelized, number, snaked

_DETACHED_WITHIN = 10
"""How often the provider looks whether a load balancer has really left its Network."""


class LoadBalancer(Named):
    """A load balancer."""

    kind, singular, protectable, asks_by_name = "load_balancers", "load_balancer", True, True
    sent = ("loadBalancerType", "location", "networkZone", "algorithm")

    def body(self, inputs: Properties) -> Entry:
        given = {family: inputs.get(f"{family}Id") for family in ("ipv4", "ipv6")}
        public = {family: number(id) for family, id in given.items() if id}
        return super().body(inputs) | ({"public_net": public} if public else {})

    def outputs(self, entry: Entry, known: Properties) -> Properties:
        told = super().outputs(entry, known)
        told["loadBalancerType"] = entry["load_balancer_type"]["name"]
        told["algorithm"] = {"type": entry["algorithm"]["type"]}
        told["networkZone"] = entry["location"]["network_zone"]
        for family in ("ipv4", "ipv6"):
            told[family] = entry["public_net"][family]["ip"] or ""
            told[f"{family}Id"] = entry["public_net"][family].get("id")
        private = entry["private_net"][0] if entry["private_net"] else {"network": 0, "ip": ""}
        return told | {"networkId": private["network"], "networkIp": private["ip"]}

    def alter(self, api: Api, entry: Entry, changed: set[str], old: Properties, new: Properties) -> None:
        path = f"/load_balancers/{entry['id']}/actions"
        if "loadBalancerType" in changed:
            api.act(f"{path}/change_type", {"load_balancer_type": new["loadBalancerType"]})
        if "algorithm" in changed and new.get("algorithm"):
            algorithm: Any = new["algorithm"]
            api.act(f"{path}/change_algorithm", {"type": algorithm["type"]})

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        found = self.find(api, id)
        if found is not None:
            super().delete(api, str(found["id"]), outputs)


class LoadBalancerNetwork(Membership):
    """A load balancer in a Network: ``<load balancer>-<network>``."""

    whole, singular, owner = "load_balancers", "load_balancer", "loadBalancerId"
    already = "load_balancer_already_attached"

    def add(self, api: Api, inputs: Properties) -> list[Entry]:
        started = super().add(api, inputs)
        if not started and self.read(api, self.id(inputs), {}) is None:
            raise ProviderError(f"load balancer {inputs[self.owner]} is in another network already ({self.already})")
        return started

    def told(self, whole: Entry, part: Entry) -> Properties:
        return super().told(whole, part) | {"enablePublicInterface": whole["public_net"]["enabled"]}

    def complete(self, api: Api, id: str, inputs: Properties) -> Properties:
        return self._switch(api, id, inputs, self.existing(api, id, inputs))

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        return self._switch(api, id, new, self.existing(api, id, new))

    def _switch(self, api: Api, id: str, wanted: Properties, found: Properties) -> Properties:
        on = wanted.get("enablePublicInterface", True)
        if found["enablePublicInterface"] != on:
            owner, _ = self.split(id)
            api.act(f"/load_balancers/{owner}/actions/{'enable' if on else 'disable'}_public_interface")
        return found | {"enablePublicInterface": on}

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        super().delete(api, id, outputs)
        api.attempt(lambda: self._see_it_gone(api, id), lambda _: True, _DETACHED_WITHIN)

    def _see_it_gone(self, api: Api, id: str) -> None:
        if self.read(api, id, {}) is not None:
            raise ProviderError(f"{id} is still there")


class LoadBalancerService(Part):
    """A service: ``<load balancer>__<listen port>``."""

    whole, singular, owner = "load_balancers", "load_balancer", "loadBalancerId"

    def id(self, inputs: Properties) -> str:
        return f"{inputs['loadBalancerId']}__{_port(inputs)}"

    def split(self, id: str) -> tuple[int, str]:
        owner, _, rest = id.partition("__")
        return number(owner), rest

    def add(self, api: Api, inputs: Properties) -> list[Entry]:
        path = f"/load_balancers/{inputs['loadBalancerId']}/actions/add_service"
        body = _service(inputs) | {"listen_port": _port(inputs)}
        return api.attempt(lambda: api.start(path, body), only("service_error"))

    def part_of(self, whole: Entry, rest: str) -> Entry | None:
        return next((each for each in whole["services"] if str(each["listen_port"]) == rest), None)

    def told(self, whole: Entry, part: Entry) -> Properties:
        told = {key: value for key, value in camelized(part).items() if key != "http" or part["protocol"] != "tcp"}
        return {**told, "loadBalancerId": str(whole["id"])}

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        self.existing(api, id, new)
        owner, rest = self.split(id)
        body = {"proxyprotocol": False} | _service(new) | {"listen_port": number(rest)}
        api.act(f"/load_balancers/{owner}/actions/update_service", body)
        return self.existing(api, id, new)

    def remove(self, api: Api, owner: int, rest: str, outputs: Properties) -> list[Entry]:
        if self.read(api, f"{owner}__{rest}", {}) is None:
            return []
        return api.start(f"/load_balancers/{owner}/actions/delete_service", {"listen_port": number(rest)})


def _port(inputs: Properties) -> Any:
    return inputs.get("listenPort") or {"http": 80, "https": 443}.get(str(inputs["protocol"]), 0)


def _service(inputs: Properties) -> Entry:
    names = ("protocol", "destinationPort", "proxyprotocol", "healthCheck", "http")
    return snaked({name: inputs[name] for name in names if inputs.get(name) is not None})


class LoadBalancerTarget:
    """A target: ``lb-srv-tgt-<server>-<load balancer>`` and the like; imported as ``<load balancer>__<type>__<what>``."""

    def make(self, api: Api, inputs: Properties) -> Created:
        balancer, target = number(inputs["loadBalancerId"]), _target(inputs)
        self._see_both(api, balancer, target)
        body = target | ({"use_private_ip": True} if inputs.get("usePrivateIp") else {})
        try:
            # The provider notes the id after this: a target whose action fails is not recorded.
            api.act(f"/load_balancers/{balancer}/actions/add_target", body)
        except ApiFailure as failure:
            if failure.code != "target_already_defined":
                raise
        told = {"usePrivateIp": bool(inputs.get("usePrivateIp"))} if target["type"] != "ip" else {}
        return Created(target_id(balancer, target), inputs | told)

    def _see_both(self, api: Api, balancer: int, target: Entry) -> None:
        if api.find(f"/load_balancers/{balancer}") is None:
            raise ProviderError(f"load balancer {balancer}: not found")
        if target["type"] == "server" and api.find(f"/servers/{target['server']['id']}") is None:
            raise ProviderError(f"server {target['server']['id']}: not found")

    def read(self, api: Api, id: str, known: Properties) -> Properties | None:
        wanted = known if "loadBalancerId" in known else _imported(id)
        balancer = number(wanted["loadBalancerId"])
        found = self._find(api, balancer, _target(wanted))
        if found is None:
            return None
        told: Properties = {"loadBalancerId": balancer, "type": found["type"], **_subject(found)}
        return told | ({"usePrivateIp": bool(found.get("use_private_ip"))} if found["type"] != "ip" else {})

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        self.delete(api, id, old)
        return self.make(api, new).outputs

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        balancer = number(outputs["loadBalancerId"])
        found = self._find(api, balancer, _target(outputs))
        if found is None:
            return
        path, body = f"/load_balancers/{balancer}/actions/remove_target", _target(_subject(found))
        try:
            started = api.attempt(lambda: api.start(path, body), only("conflict", "locked"))
        except ApiFailure as failure:
            if failure.code != "not_found":
                raise
            return
        api.wait(started)

    def _find(self, api: Api, balancer: int, target: Entry) -> Entry | None:
        whole = api.find(f"/load_balancers/{balancer}")
        targets: list[Entry] = whole["load_balancer"]["targets"] if whole else []
        return next((each for each in targets if _target(_subject(each)) == target), None)


def target_id(balancer: int, target: Entry) -> str:
    """The id under which the provider keeps a target."""
    match target["type"]:
        case "server":
            return f"lb-srv-tgt-{target['server']['id']}-{balancer}"
        case "ip":
            return f"lb-ip-tgt-{_digest(target['ip']['ip'])}-{balancer}"
        case _:
            return f"lb-label-selector-tgt-{_digest(target['label_selector']['selector'])}-{balancer}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _imported(id: str) -> Properties:
    """What an id for an import names.

    Raises:
        ProviderError: it is malformed.
    """
    balancer, _, rest = id.partition("__")
    type, _, subject = rest.partition("__")
    field = {"server": "serverId", "label_selector": "labelSelector", "ip": "ip"}.get(type)
    if field is None or not subject:
        raise ProviderError(f"import id has invalid format: {id}; write <load balancer>__<type>__<identifier>")
    return {"loadBalancerId": number(balancer), "type": type, field: subject}


def _subject(told: Entry) -> Properties:
    """Whom a target that the API tells is about."""
    match told["type"]:
        case "server":
            return {"type": "server", "serverId": told["server"]["id"]}
        case "ip":
            return {"type": "ip", "ip": told["ip"]["ip"]}
        case _:
            return {"type": "label_selector", "labelSelector": told["label_selector"]["selector"]}


def _target(properties: Properties) -> Entry:
    match properties["type"]:
        case "server":
            return {"type": "server", "server": {"id": number(properties["serverId"])}}
        case "ip":
            return {"type": "ip", "ip": {"ip": properties["ip"]}}
        case _:
            return {"type": "label_selector", "label_selector": {"selector": properties["labelSelector"]}}


def id_of_target(found: Properties) -> str:
    """The id of a target by its properties."""
    return target_id(number(found["loadBalancerId"]), _target(found))
