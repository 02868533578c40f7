"""Compares the stacks' states with what the clouds hold."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .controllers import Made, controller_of, made_by_controllers
from .objects import PARTS, CloudObject, Key, keys
from .state import Resource, StackState

Owner = tuple[str, Resource]
"""A stack and one of its resources."""

ROUTES = "route"
"""The cloud controller manager keeps the routes of a Network; those of a stack are compared all the same."""


@dataclass(frozen=True)
class Comparison:
    """What is on one side alone, or twice.

    Args:
        orphans: In the cloud, in no state, and of no controller.
        duplicates: Those of them that are the same thing as something that a state owns.
        controllers: What controllers made; it is theirs.
        missing: In a state, gone from the cloud.
        owned_twice: The same object in two resources.
        unprotected: What should be protected, and no longer is in the cloud or in the state.
    """

    orphans: tuple[CloudObject, ...] = ()
    duplicates: tuple[tuple[CloudObject, Owner], ...] = ()
    controllers: tuple[Made, ...] = ()
    missing: tuple[tuple[str, Resource, Key], ...] = ()
    owned_twice: tuple[tuple[Key, tuple[Owner, ...]], ...] = ()
    unprotected_in_cloud: tuple[tuple[str, Resource, CloudObject], ...] = ()
    unprotected_in_state: tuple[Owner, ...] = ()


def owners(states: Iterable[StackState]) -> Mapping[Key, tuple[Owner, ...]]:
    """Who owns what."""
    found: defaultdict[Key, list[Owner]] = defaultdict(list)
    for state in states:
        for resource in state.resources:
            for key in keys(resource):
                found[key].append((state.stack, resource))
    return {key: tuple(each) for key, each in found.items()}


def compare(
    states: Iterable[StackState],
    objects: Iterable[CloudObject],
    looked_at: Iterable[str],
    trusted: Iterable[str],
    locations: Mapping[str, str],
) -> Comparison:
    """Compare all states with all objects.

    Args:
        states: Of every stack.
        objects: What the clouds hold.
        looked_at: The kinds that were looked at: of others nothing is missing.
        trusted: The stacks whose cloud was looked at: of others nothing is missing.
        locations: Location by cluster.
    """
    everything, kinds, stacks = list(objects), set(looked_at), set(trusted)
    owned, there = owners(states), {each.key: each for each in everything}
    made = tuple(made_by_controllers(everything, set(owned), locations))
    accounted = set(owned) | {each.object.key for each in made}
    strangers = [each for each in everything if each.key not in accounted and not _goes_with(each, there, accounted)]
    duplicates = [(each, owner) for each in strangers if (owner := _same(each, owned, there))]
    return Comparison(
        orphans=tuple(each for each in strangers if each.key not in {twin.key for twin, _ in duplicates}),
        duplicates=tuple(duplicates),
        controllers=made,
        missing=tuple(
            (stack, resource, key)
            for key, each in owned.items()
            if key[0] in kinds and key not in there and not _whole_missing(key, there)
            for stack, resource in each
            if stack in stacks
        ),
        owned_twice=tuple((key, each) for key, each in owned.items() if len(each) > 1),
        unprotected_in_cloud=tuple(
            (stack, resource, there[key])
            for key, each in owned.items()
            if key in there and there[key].protected is False
            for stack, resource in each
            if resource.inputs.get("deleteProtection") is True
        ),
        unprotected_in_state=tuple(
            owner
            for key, each in owned.items()
            if key[0] not in PARTS
            for owner in each
            if owner[1].inputs.get("deleteProtection") is True and not owner[1].protect
        ),
    )


def _goes_with(object: CloudObject, there: Mapping[Key, CloudObject], accounted: set[Key]) -> bool:
    """Whether it needs no word of its own: a part of something that has nobody itself, or an address of a machine."""
    if object.kind == ROUTES:
        return True
    if object.whole is None or object.whole not in there:
        return False
    return object.kind not in PARTS or object.whole not in accounted or _of_controller(object, there)


def _of_controller(object: CloudObject, there: Mapping[Key, CloudObject]) -> bool:
    assert object.whole is not None
    return controller_of(there[object.whole]) is not None


def _same(
    object: CloudObject, owned: Mapping[Key, tuple[Owner, ...]], there: Mapping[Key, CloudObject]
) -> Owner | None:
    """Who owns the object that this one is a second copy of: of the same kind, with the same purpose."""
    purpose = _purpose(object)
    if purpose is None:
        return None
    for key, found in owned.items():
        if key[0] == object.kind and key in there and _purpose(there[key]) == purpose:
            return found[0]
    return None


def _purpose(object: CloudObject) -> object:
    """What there must be one of; None where nothing says it."""
    if "purpose" in object.attributes:
        return object.attributes["purpose"]
    telling = {
        key: value for key, value in object.labels.items() if key in ("cluster", "pool", "number", "role", "state")
    }
    if "cluster" in telling and telling.keys() & {"number", "role", "state"}:
        return frozenset(telling.items())
    return None


def _whole_missing(key: Key, there: Mapping[Key, CloudObject]) -> bool:
    """Whether what it is a part of is gone too: that is told once, for the whole."""
    kind, id = key
    whole = {
        "server-network": ("server", id.partition("-")[0]),
        "subnet": ("network", id.partition("-")[0]),
        "route": ("network", id.partition("-")[0]),
        "load-balancer-network": ("load-balancer", id.partition("-")[0]),
        "load-balancer-service": ("load-balancer", id.partition("_")[0]),
        "load-balancer-target": ("load-balancer", id.partition(" ")[0]),
    }.get(kind)
    return whole is not None and whole not in there
