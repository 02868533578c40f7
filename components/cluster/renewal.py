"""Which changes of machines one deployment may make: one server, or one agent of a pool, at a time.

Pure: what is wanted against what is deployed. Only whether the other servers are healthy voters must be asked of the
cluster, and only when a server is renewed; `needs_voters` tells for which.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .machines import SERVERS, Deployed, DeployedMachine, Machine


@dataclass(frozen=True)
class Refusal:
    """Why a change is not made: the machine, the setting to look at, and what to do instead."""

    machine: str
    """``general-2``."""
    setting: str
    """The setting of its pool: ``generations``, ``types``, ``drained``, ``unprotected`` or ``nodes``."""
    value: object
    problem: str
    remedy: str


@dataclass(frozen=True)
class Change:
    """One machine that would be replaced, resized or removed."""

    machine: DeployedMachine
    what: str
    """``replace``, ``resize`` or ``remove``."""
    wanted: Machine | None = None

    def __str__(self) -> str:
        return f"{self.what} {self.machine.label}"


def changes(wanted: Sequence[Machine], deployed: Deployed) -> list[Change]:
    """The machines that exist and would not stay as they are, in the order of their numbers."""
    by_key = {(machine.pool, machine.number): machine for machine in wanted}
    found: list[Change] = []
    for machine in deployed.machines:
        target = by_key.get((machine.pool, machine.number))
        if target is None:
            found.append(Change(machine, "remove"))
        elif target.generation != machine.generation:
            found.append(Change(machine, "replace", target))
        elif target.type != machine.type:
            found.append(Change(machine, "resize", target))
    return found


def restores(wanted: Sequence[Machine], deployed: Deployed, restore_from: str | None) -> bool:
    """Whether a snapshot is restored: asked for, and every server that exists gets a new generation in this deployment.

    A value that was left in the configuration restores nothing.
    """
    if restore_from is None:
        return False
    existing = deployed.by_key()
    return all(
        (SERVERS, machine.number) not in existing or existing[SERVERS, machine.number].generation < machine.generation
        for machine in wanted
        if machine.is_server
    )


def refusals(wanted: Sequence[Machine], deployed: Deployed, *, restoring: bool = False) -> list[Refusal]:
    """Everything that this deployment must not do, all at once.

    A cluster that was never ready has nothing to lose: until then machines may be replaced together, and undrained.

    Args:
        restoring: All servers are replaced together from a snapshot; the rules for servers do not hold then.
    """
    planned = changes(wanted, deployed)
    found = [refusal for change in planned for refusal in _refuse_generation(change)]
    for pool in sorted({change.machine.pool for change in planned}):
        of_pool = [change for change in planned if change.machine.pool == pool]
        if pool != SERVERS:
            found += _refuse_agents(of_pool) if deployed.initialized else []
        elif deployed.initialized and not restoring:
            found += _refuse_servers(of_pool, wanted, deployed)
        found += [refusal for change in of_pool for refusal in _refuse_protected(change)]
    return found


def needs_voters(wanted: Sequence[Machine], deployed: Deployed, *, restoring: bool = False) -> list[str]:
    """Node names of the servers that must be healthy voting members before a server is renewed; empty if none is."""
    renewed = {change.machine.number for change in changes(wanted, deployed) if change.machine.pool == SERVERS}
    if not renewed or restoring or not deployed.initialized:
        return []
    return [machine.name for machine in deployed.machines if machine.pool == SERVERS and machine.number not in renewed]


def missing_voters(needed: Sequence[str], voters: Mapping[str, bool]) -> list[str]:
    """Those of ``needed`` that are not healthy voting members (``voters``: node name → votes and is healthy)."""
    return [name for name in needed if not voters.get(name, False)]


def _refuse_generation(change: Change) -> list[Refusal]:
    wanted = change.wanted
    if wanted is None or wanted.generation >= change.machine.generation:
        return []
    return [
        Refusal(
            change.machine.label,
            "generations",
            wanted.generation,
            f"{change.machine.label} is of generation {change.machine.generation}: an older one would take an old node's name",
            f"write generations: {{{wanted.number}: {change.machine.generation}}} to keep it, or a higher number to replace it",
        )
    ]


def _refuse_protected(change: Change) -> list[Refusal]:
    if change.what == "resize" or not change.machine.protected:
        return []
    if change.wanted is not None and change.wanted.unprotected:
        remedy = "run `pulumi up` with the old generation first: that lifts the protection; then raise the generation"
    else:
        remedy = f"first write unprotected: [{change.machine.number}] and run `pulumi up`; then make this change"
    return [
        Refusal(
            change.machine.label,
            "unprotected",
            change.what,
            f"{change.machine.label} is protected: it cannot be {change.what}d",
            remedy,
        )
    ]


def _one_at_a_time(planned: Sequence[Change], allowed: Callable[[Change], bool]) -> list[Refusal]:
    """Refuse all but the first of ``planned``, unless ``allowed`` makes an exception."""
    counted = [change for change in planned if not allowed(change)]
    if len(counted) <= 1:
        return []
    first, *others = counted
    return [
        Refusal(
            change.machine.label,
            _setting(change),
            _value(change),
            f"{', '.join(map(str, counted))} in one deployment: at most one machine of a pool is renewed at a time",
            _keep(change, after=first),
        )
        for change in others
    ]


def _setting(change: Change) -> str:
    return {"replace": "generations", "resize": "types", "remove": "nodes"}[change.what]


def _value(change: Change) -> object:
    if change.wanted is None:
        return "removed"
    return change.wanted.generation if change.what == "replace" else change.wanted.type


def _keep(change: Change, after: Change) -> str:
    machine = change.machine
    keep = {
        "replace": f"generations: {{{machine.number}: {machine.generation}}}",
        "resize": f"types: {{{machine.number}: {machine.type}}}",
        "remove": f"{machine.number} in nodes",
    }[change.what]
    return f"keep {keep} until {after.machine.label} is done"


def _refuse_agents(planned: Sequence[Change]) -> list[Refusal]:
    # Machines that are drained carry nothing: a whole pool may go at once.
    found = _one_at_a_time(planned, lambda change: change.what == "remove" and change.machine.is_drained)
    for change in planned:
        if not change.machine.is_drained:
            found.append(
                Refusal(
                    change.machine.label,
                    "drained",
                    change.what,
                    f"{change.machine.label} is not drained: its pods would die with it",
                    f"first write drained: [{change.machine.number}] and run `pulumi up`; then {change.what} it",
                )
            )
    return found


def _refuse_servers(planned: Sequence[Change], wanted: Sequence[Machine], deployed: Deployed) -> list[Refusal]:
    existing = deployed.by_key()
    removed = [change for change in planned if change.what == "remove"]
    servers = [machine for machine in deployed.machines if machine.pool == SERVERS]
    absent = [machine for machine in wanted if machine.is_server and (SERVERS, machine.number) not in existing]
    # Five to three leaves a quorum of five; anything else at the same time does not, nor new servers in their place.
    shrinks = len(removed) == len(planned) and not absent and len(servers) - len(removed) > len(servers) // 2
    found = [] if shrinks else _one_at_a_time(planned, lambda _: False)
    # One that takes the place of one removed is a renewal of that one; any beyond are missing.
    if len(absent) > len(removed):
        change = planned[0]
        names = ", ".join(machine.label for machine in absent)
        found.append(
            Refusal(
                change.machine.label,
                _setting(change),
                _value(change),
                f"{names} is not deployed: with {change.machine.label} away too, etcd could lose its quorum",
                f"run `pulumi up` without this change first, so that {names} joins",
            )
        )
    return found
