"""Which planned resource an orphan is, and the file with which ``pulumi import`` takes it into the state."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from .objects import CLOUDFLARE, KINDS, CloudObject, target_id
from .state import STACK_TYPE, Resource, StackState

_REMADE: Final = frozenset({"certificate", "ruleset", "origin-certificate", "origin-pull-certificate", "tunnel"})


def is_remade(object: CloudObject) -> bool:
    """Whether it is rather removed and made anew than imported.

    A server's create goes on after its answer (Network, start); a private key, a request and a tunnel's secret are not
    told by the API, so that an import would know half of them.
    """
    return object.kind in _REMADE or (object.kind == "server" and not object.attributes.get("complete"))


@dataclass(frozen=True)
class Planned:
    """A resource that the next ``up`` would create.

    Args:
        resource: As the program declares it.
        component: Whether it has no object of its own.
    """

    resource: Resource
    component: bool = False


@dataclass(frozen=True)
class Import:
    """An orphan and the resource that it should have been."""

    object: CloudObject
    planned: Planned


def read_plan(preview: object) -> list[Planned]:
    """What a preview (``pulumi preview --json``) would create."""
    steps = cast("list[dict[str, Any]]", cast("dict[str, Any]", preview).get("steps") or [])
    return [_planned(step["newState"]) for step in steps if step.get("op") == "create" and step.get("newState")]


def _planned(state: Mapping[str, Any]) -> Planned:
    resource = Resource(
        urn=str(state["urn"]),
        type=str(state["type"]),
        parent=str(state.get("parent") or ""),
        provider=str(state.get("provider") or ""),
        protect=bool(state.get("protect")),
        inputs=dict(state.get("inputs") or {}),
    )
    return Planned(resource, component=not state.get("custom", True))


def match(orphans: Iterable[CloudObject], planned: Sequence[Planned]) -> list[Import]:
    """Which planned resource each orphan is; those that are none are left out.

    An orphan that two resources could be is none of them.
    """
    by_purpose: dict[tuple[str, object], list[Planned]] = {}
    for each in planned:
        kind = KINDS.get(each.resource.type)
        if kind is not None:
            by_purpose.setdefault((kind, planned_purpose(kind, each.resource.inputs)), []).append(each)
    found: list[Import] = []
    for orphan in orphans:
        candidates = by_purpose.get((orphan.kind, actual_purpose(orphan)), [])
        if len(candidates) == 1:
            found.append(Import(orphan, candidates[0]))
    return found


def actual_purpose(object: CloudObject) -> object:
    """What the object is for, as `planned_purpose` says it of a resource's inputs."""
    if object.kind in CLOUDFLARE.values():
        return object.attributes.get("purpose")
    return object.id if object.whole is not None and object.kind != "primary-ip" else object.name


def planned_purpose(kind: str, inputs: Mapping[str, Any]) -> object:
    """What a resource is for: its name in the cloud, where it has one that is unique; else what it must be one of."""
    purpose = _PURPOSES.get(kind)
    return purpose(inputs) if purpose else inputs.get("name")


def _service(inputs: Mapping[str, Any]) -> str:
    port = inputs.get("listenPort") or (443 if inputs.get("protocol") == "https" else 80)
    return f"{_id(inputs.get('loadBalancerId'))}__{_id(port)}"


def _attachment(inputs: Mapping[str, Any], whole: str) -> str:
    network = inputs.get("networkId") or str(inputs.get("subnetId")).partition("-")[0]
    return f"{_id(inputs.get(whole))}-{_id(network)}"


def _target(inputs: Mapping[str, Any]) -> str:
    value = inputs.get("labelSelector") or inputs.get("ip") or _id(inputs.get("serverId"))
    return target_id(_id(inputs.get("loadBalancerId")), str(inputs.get("type")), value)


_PURPOSES: Final[dict[str, Callable[[Mapping[str, Any]], object]]] = {
    "dns-record": lambda inputs: (inputs.get("type"), inputs.get("name"), inputs.get("content")),
    "ruleset": lambda inputs: inputs.get("phase"),
    "origin-certificate": lambda inputs: tuple(sorted(inputs.get("hostnames") or ())),
    "origin-pull-certificate": lambda _: "origin-pull-certificate",
    "subnet": lambda inputs: f"{_id(inputs.get('networkId'))}-{inputs.get('ipRange')}",
    "route": lambda inputs: f"{_id(inputs.get('networkId'))}-{inputs.get('destination')}",
    "load-balancer-network": lambda inputs: _attachment(inputs, "loadBalancerId"),
    "load-balancer-service": _service,
    "load-balancer-target": _target,
    "server-network": lambda inputs: _attachment(inputs, "serverId"),
}


def _id(value: object) -> str:
    """Numbers in JSON may come as 7.0, ids as texts."""
    return str(int(value)) if isinstance(value, float) else str(value)


@dataclass
class ImportFile:
    """A file for ``pulumi import --file``.

    Args:
        stack: Whose state it is for.
        content: What stands in it.
        impossible: Objects whose provider is not in the state yet, so that nothing can be imported.
    """

    stack: str
    content: dict[str, Any] = field(default_factory=dict[str, Any])
    impossible: list[CloudObject] = field(default_factory=list[CloudObject])


def import_file(state: StackState, plan: Sequence[Planned], wanted: Sequence[Import], zone: str = "") -> ImportFile:
    """The file that takes the objects into the state, each under its parent and with its provider.

    Args:
        state: What there is already.
        plan: Everything that would be created: parents among it are made by the import.
        wanted: What to import; what is rather remade is left out.
        zone: Cloudflare's id of the zone: part of the ids that its provider takes.
    """
    known = {each.urn for each in state.resources}
    planned = {each.resource.urn: each for each in plan}
    names: dict[str, str] = {}
    entries: dict[str, dict[str, Any]] = {}
    made = ImportFile(state.stack)

    def refer(urn: str) -> str | None:
        if urn in known:
            return names.setdefault(urn, f"{urn.rpartition('::')[2]}@{len(names)}")
        parent = planned.get(urn)
        if parent is None or not parent.component:
            return None
        entries.setdefault(urn, {"type": parent.resource.type, "name": parent.resource.name, "component": True})
        _relate(entries[urn], "parent", parent.resource.parent, refer)
        return parent.resource.name

    for each in wanted:
        resource = each.planned.resource
        provider = resource.provider.rpartition("::")[0]
        if provider not in known:
            made.impossible.append(each.object)
            continue
        if is_remade(each.object):
            continue
        entry: dict[str, Any] = {
            "type": resource.type,
            "name": resource.name,
            "id": import_id(each.object, zone),
            "provider": refer(provider),
        }
        _relate(entry, "parent", resource.parent, refer)
        entries[resource.urn] = entry
    resources = list(entries.values())
    made.content = (
        {"nameTable": {name: urn for urn, name in names.items()}, "resources": resources} if resources else {}
    )
    return made


def _relate(entry: dict[str, Any], key: str, urn: str, refer: Any) -> None:
    # Without a parent, a resource belongs to the stack itself.
    if urn and urn.split("::")[2] != STACK_TYPE and (name := refer(urn)) is not None:
        entry[key] = name


def import_id(object: CloudObject, zone: str) -> str:
    """The id under which the provider imports the object."""
    if object.kind == "load-balancer-target":
        balancer, type, value = object.id.split(" ", 2)
        return f"{balancer}__{type}__{value}"
    return f"{zone}/{object.id}" if object.kind == "dns-record" else object.id
