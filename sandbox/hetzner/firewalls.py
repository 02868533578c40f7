"""Firewalls: rules, and the servers that they hold for."""

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any, Final

from .errors import ApiError, invalid, too_many
from .fields import LABELS, NAME, Field, check
from .kind import Answer, Body, Kind
from .project import Entry, Project
from .selectors import Selector, SelectorError

FIREWALLS: Final = 50
RULES: Final = 50
CIDRS: Final = 100
EACH_SERVER: Final = 5
EFFECTIVE_RULES: Final = 500

_RULE: Final = {
    "direction": Field(str, required=True, choices=("in", "out")),
    "protocol": Field(str, required=True, choices=("tcp", "udp", "icmp", "esp", "gre")),
    "port": Field(str, nullable=True),
    "source_ips": Field(list, items=str),
    "destination_ips": Field(list, items=str),
    "description": Field(str, nullable=True),
}
_RESOURCE: Final = {
    "type": Field(str, required=True, choices=("server", "label_selector")),
    "server": Field(dict),
    "label_selector": Field(dict),
}
_RULES: Final = Field(list, required=True, items=dict)
_RESOURCES: Final = Field(list, required=True, items=dict)


class Firewalls(Kind):
    """Rules for public interfaces."""

    plural, singular = "firewalls", "firewall"

    def actions(self) -> Any:
        return {
            "set_rules": ({"rules": _RULES}, self._set_rules),
            "apply_to_resources": ({"apply_to": _RESOURCES}, self._apply),
            "remove_from_resources": ({"remove_from": _RESOURCES}, self._remove),
        }

    def show(self, project: Project, entry: Entry) -> Entry:
        applied: list[Entry] = []
        for each in entry["applied_to"]:
            shown = dict(each)
            if each["type"] == "label_selector":
                servers = _selected(project, each["label_selector"]["selector"])
                shown["applied_to_resources"] = [{"type": "server", "server": {"id": one["id"]}} for one in servers]
            applied.append(shown)
        return {**super().show(project, entry), "applied_to": applied}

    def create(self, project: Project, body: Body) -> Answer:
        given = check(
            body,
            {
                "name": NAME,
                "labels": LABELS,
                "rules": Field(list, items=dict),
                "apply_to": Field(list, items=dict),
            },
        )
        project.check_name(self.plural, given["name"])
        if len(project.kinds[self.plural]) >= FIREWALLS:
            raise too_many("firewalls", FIREWALLS)
        rules = _rules(given.get("rules", []))
        resources = [_resource(project, each, f"apply_to.{at}.") for at, each in enumerate(given.get("apply_to", []))]
        _refuse_unfit(project, {"id": None, "rules": rules, "applied_to": []}, resources)
        made = project.add(
            self.plural,
            {"name": given["name"], "labels": given.get("labels", {}), "rules": rules, "applied_to": []},
        )
        actions = [project.act("set_firewall_rules", [(self.singular, made["id"])])] if rules else []
        for each in resources:
            made["applied_to"].append(each)
            actions.append(self._acted(project, made, each, "apply_firewall"))
        return 201, {self.singular: self.show(project, made), "actions": actions}

    def delete(self, project: Project, entry: Entry) -> Answer:
        if entry["applied_to"]:
            raise ApiError(422, "resource_in_use", f"firewall {entry['id']} is still applied")
        return super().delete(project, entry)

    def _set_rules(self, project: Project, entry: Entry, body: Body) -> Answer:
        _refuse_busy(entry)
        rules = _rules(body["rules"])
        for server in project.all("servers"):
            applied = of_server(project, server)
            if entry["id"] in applied:
                _refuse_too_many_rules(project, [id for id in applied if id != entry["id"]], rules)
        entry["rules"] = rules
        return 201, {"actions": [project.act("set_firewall_rules", [(self.singular, entry["id"])], locks=entry)]}

    def _apply(self, project: Project, entry: Entry, body: Body) -> Answer:
        _refuse_busy(entry)
        resources = [_resource(project, each, f"apply_to.{at}.") for at, each in enumerate(body["apply_to"])]
        _refuse_unfit(project, entry, resources)
        actions: list[Entry] = []
        for each in resources:
            entry["applied_to"].append(each)
            actions.append(self._acted(project, entry, each, "apply_firewall"))
        return 201, {"actions": actions}

    def _remove(self, project: Project, entry: Entry, body: Body) -> Answer:
        _refuse_busy(entry)
        given = enumerate(body["remove_from"])
        resources = [_resource(project, each, f"remove_from.{at}.", exists=False) for at, each in given]
        kept = list(entry["applied_to"])
        for each in resources:
            if each not in kept:
                raise _not_applied(project, entry, each)
            kept.remove(each)
        entry["applied_to"] = kept
        actions: list[Entry] = []
        for each in resources:
            actions.append(self._acted(project, entry, each, "remove_firewall"))
        return 201, {"actions": actions}

    def _acted(self, project: Project, entry: Entry, resource: Entry, command: str) -> Entry:
        about = [("server", resource["server"]["id"])] if resource["type"] == "server" else []
        return project.act(command, [(self.singular, entry["id"]), *about])


def apply_to_server(firewall: Entry, id: int) -> None:
    """Make it hold for a server."""
    resource = {"type": "server", "server": {"id": id}}
    if resource not in firewall["applied_to"]:
        firewall["applied_to"].append(resource)


def of_server(project: Project, server: Entry) -> list[int]:
    """Ids of the firewalls that hold for a server, directly or by its labels."""
    return [
        firewall["id"]
        for firewall in project.all("firewalls")
        if any(_holds(each, server) for each in firewall["applied_to"])
    ]


def forget_server(project: Project, id: int) -> None:
    """The server is gone."""
    for firewall in project.all("firewalls"):
        firewall["applied_to"] = [
            each for each in firewall["applied_to"] if each["type"] != "server" or each["server"]["id"] != id
        ]


def _holds(resource: Entry, server: Entry) -> bool:
    if resource["type"] == "server":
        return resource["server"]["id"] == server["id"]
    return Selector(resource["label_selector"]["selector"]).matches(server["labels"])


def _selected(project: Project, selector: str) -> Iterable[Entry]:
    wanted = Selector(selector)
    return [server for server in project.all("servers") if wanted.matches(server["labels"])]


def _refuse_busy(entry: Entry) -> None:
    if "_lock" in entry:
        raise ApiError(409, "conflict", f"firewall {entry['id']} is being changed by action {entry['_lock']}")


def _refuse_unfit(project: Project, entry: Entry, resources: list[Entry]) -> None:
    """Whether a firewall can be applied to all of these."""
    for index, each in enumerate(resources):
        if each in entry["applied_to"] or each in resources[:index]:
            raise ApiError(422, "firewall_already_applied", f"firewall {entry['id']} is applied there already")
        if each["type"] == "server":
            server = project.get("servers", each["server"]["id"], "server")
            others = [id for id in of_server(project, server) if id != entry["id"]]
            if len(others) >= EACH_SERVER:
                raise too_many("firewalls_per_server", EACH_SERVER)
            _refuse_too_many_rules(project, others, entry["rules"])


def _refuse_too_many_rules(project: Project, others: list[int], rules: list[Entry]) -> None:
    """Whether a server that has these firewalls takes these rules too."""
    check_rules([*(project.kinds["firewalls"][id]["rules"] for id in others), rules])


def check_rules(of_one_server: Iterable[list[Entry]]) -> None:
    """A server takes 500 effective rules: one per network of each rule.

    Raises:
        ApiError: 403, these are more.
    """
    count = sum(len(rule["source_ips"] or rule["destination_ips"]) for rules in of_one_server for rule in rules)
    if count > EFFECTIVE_RULES:
        raise too_many("effective_firewall_rules", EFFECTIVE_RULES)


def _not_applied(project: Project, entry: Entry, resource: Entry) -> ApiError:
    if resource["type"] == "server":
        server = project.kinds["servers"].get(resource["server"]["id"])
        if server is not None and entry["id"] in of_server(project, server):
            return ApiError(422, "firewall_managed_by_label_selector", "the firewall was applied by a label selector")
    return ApiError(404, "firewall_resource_not_found", f"firewall {entry['id']} is not applied there")


def _resource(project: Project, given: Any, at: str, *, exists: bool = True) -> Entry:
    resource = check(given, _RESOURCE, at)
    if resource["type"] == "server":
        id = check(resource.get("server", {}), {"id": Field(int, required=True)}, f"{at}server.")["id"]
        server = project.kinds["servers"].get(id)
        if exists and server is None:
            raise ApiError(404, "firewall_resource_not_found", f"server with ID '{id}' not found")
        if exists and server is not None and server["_ipv4"] is None and server["_ipv6"] is None:
            raise ApiError(422, "private_net_only_server", f"server {id} has no public interface")
        return {"type": "server", "server": {"id": id}}
    form = {"selector": Field(str, required=True)}
    wanted = check(resource.get("label_selector", {}), form, f"{at}label_selector.")
    try:
        Selector(wanted["selector"])
    except SelectorError as error:
        raise invalid({f"{at}label_selector.selector": [str(error)[:200]]}) from error
    return {"type": "label_selector", "label_selector": {"selector": wanted["selector"]}}


def _rules(given: list[Any]) -> list[Entry]:
    if len(given) > RULES:
        raise invalid({"rules": [f"at most {RULES} rules"]})
    return [_rule(index, rule) for index, rule in enumerate(given)]


def _rule(index: int, given: Any) -> Entry:
    at = f"rules.{index}."
    rule = check(given, _RULE, at)
    with_port = rule["protocol"] in ("tcp", "udp")
    if with_port != ("port" in rule):
        raise invalid({f"{at}port": ["is needed for tcp and udp, and for nothing else"]})
    if with_port and not _is_port(rule["port"]):
        raise invalid({f"{at}port": [f"{rule['port'][:20]!r} is neither a port (1-65535) nor a range like 80-85"]})
    used, unused = ("source_ips", "destination_ips") if rule["direction"] == "in" else ("destination_ips", "source_ips")
    if not rule.get(used):
        raise invalid({f"{at}{used}": ["Missing data for required field."]})
    if rule.get(unused):
        raise invalid({f"{at}{unused}": [f"is not for the direction {rule['direction']}"]})
    if len(rule[used]) > CIDRS:
        raise invalid({f"{at}{used}": [f"at most {CIDRS} networks"]})
    for cidr in rule[used]:
        if not _is_network(cidr):
            raise invalid({f"{at}{used}": [f"{cidr[:60]!r} is no network in CIDR notation"]})
    if len(rule.get("description", "")) > 255:
        raise invalid({f"{at}description": ["must not be longer than 255 characters"]})
    empty: Entry = {"description": None, "source_ips": [], "destination_ips": [], "port": None}
    return {**empty, **rule}


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return "/" in text


def _is_port(text: str) -> bool:
    parts = text.split("-")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and len(part) <= 5 for part in parts):
        return False
    numbers = [int(part) for part in parts]
    return all(1 <= number <= 65535 for number in numbers) and numbers == sorted(numbers)
