"""Firewalls: rules, and what they are applied to."""

from typing import Any

from ...package import Created
from ...values import Properties
from .api import TRIES, Api, ApiFailure, Entry, only
from .resource import Named, camelized, entries, gone, number, snaked


class Firewall(Named):
    """A firewall with its rules."""

    kind, singular = "firewalls", "firewall"

    def make(self, api: Api, inputs: Properties) -> Created:
        answer = api.post("/firewalls", self.body(inputs))
        # The provider notes the id after this: a firewall whose rules fail belongs to nobody.
        api.wait(answer["actions"])
        id = str(answer["firewall"]["id"])
        return Created(id, inputs | self.outputs(self.existing(api, id), inputs))

    def body(self, inputs: Properties) -> Entry:
        return {**super().body(inputs), "rules": _rules(inputs), "apply_to": _applied(inputs)}

    def outputs(self, entry: Entry, known: Properties) -> Properties:
        told = super().outputs(entry, known)
        told["rules"] = [_told_rule(rule) for rule in entry["rules"]]
        told["applyTos"] = [
            {"server": each["server"]["id"]}
            if each["type"] == "server"
            else {"labelSelector": each["label_selector"]["selector"]}
            for each in entry["applied_to"]
        ]
        return told

    def alter(self, api: Api, entry: Entry, changed: set[str], old: Properties, new: Properties) -> None:
        # The real provider sends no empty list of rules: those that there were stay.
        if "rules" in changed and new.get("rules"):
            api.wait(api.start(f"/firewalls/{entry['id']}/actions/set_rules", {"rules": _rules(new)}))
        if "applyTos" in changed:
            before, after = _applied(old), _applied(new)
            _remove(api, entry["id"], [each for each in before if each not in after])
            _apply(api, entry["id"], [each for each in after if each not in before])

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        found = self.find(api, id)
        if found is None:
            return
        _remove(api, found["id"], [_resource(each) for each in found["applied_to"]])
        worth = only("conflict", "resource_in_use")
        api.attempt(lambda: api.delete(f"/firewalls/{id}"), worth, 2 * TRIES)


class FirewallAttachment:
    """What a firewall is applied to; its id is the firewall's."""

    def make(self, api: Api, inputs: Properties) -> Created:
        id = str(inputs["firewallId"])
        try:
            _apply(api, number(id), _attached(inputs))
        except ApiFailure as failure:
            if failure.code != "firewall_already_applied":
                raise
        return Created(id, inputs | self._existing(api, id))

    def read(self, api: Api, id: str, known: Properties) -> Properties | None:
        found = api.find(f"/firewalls/{number(id)}")
        if found is None:
            return None
        applied = found["firewall"]["applied_to"]
        return {
            "firewallId": number(id),
            "serverIds": [each["server"]["id"] for each in applied if each["type"] == "server"],
            "labelSelectors": [
                each["label_selector"]["selector"] for each in applied if each["type"] == "label_selector"
            ],
        }

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        before, after = _attached(self._existing(api, id)), _attached(new)
        _remove(api, number(id), [each for each in before if each not in after])
        _apply(api, number(id), [each for each in after if each not in before])
        return self._existing(api, id)

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        try:
            _remove(api, number(id), _attached(outputs))
        except ApiFailure as failure:
            if failure.code not in ("not_found", "firewall_resource_not_found"):
                raise

    def _existing(self, api: Api, id: str) -> Properties:
        found = self.read(api, id, {})
        if found is None:
            raise gone(f"the attachment of firewall {id}")
        return found


def _apply(api: Api, id: int, resources: list[Entry]) -> None:
    if resources:
        api.act(f"/firewalls/{id}/actions/apply_to_resources", {"apply_to": resources})


def _remove(api: Api, id: int, resources: list[Entry]) -> None:
    """Those that are gone meanwhile are left out by the API's own refusal."""
    if not resources:
        return
    try:
        started = api.start(f"/firewalls/{id}/actions/remove_from_resources", {"remove_from": resources})
    except ApiFailure as failure:
        if failure.code != "firewall_resource_not_found":
            raise
        return
    api.wait(started)


def _rules(inputs: Properties) -> list[Entry]:
    return [snaked(rule) for rule in entries(inputs, "rules")]


def _told_rule(rule: Entry) -> dict[str, Any]:
    return {name: value for name, value in camelized(rule).items() if value not in (None, [], "")}


def _applied(inputs: Properties) -> list[Entry]:
    return [
        _server(each["server"]) if each.get("server") else _selector(each["labelSelector"])
        for each in entries(inputs, "applyTos")
    ]


def _attached(inputs: Properties) -> list[Entry]:
    servers = [_server(id) for id in entries(inputs, "serverIds")]
    return servers + [_selector(each) for each in entries(inputs, "labelSelectors")]


def _server(id: Any) -> Entry:
    return {"type": "server", "server": {"id": number(id)}}


def _selector(selector: str) -> Entry:
    return {"type": "label_selector", "label_selector": {"selector": selector}}


def _resource(told: Entry) -> Entry:
    """As the API takes what it tells: the servers that a selector finds are left out."""
    return {"type": told["type"], told["type"]: told[told["type"]]}
