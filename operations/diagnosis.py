"""Findings: what is wrong, where, and the exact lines that repair it. Pure: from what was read, to what is told."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from shlex import join
from typing import Any, Protocol

from .backend import Lock
from .compare import Comparison
from .imports import Import, ImportFile, is_remade
from .objects import CLOUDFLARE, CloudObject, Key
from .state import Resource, StackState

SERVERS = "server"
"""Label ``pool`` of the control plane's machines, whose settings stand under another key."""
SERVERS_KEY = "servers"

EXPIRY_WARNING = timedelta(days=30)
"""A deployment in a certificate's last 90 days renews it: within 30 days of its end nobody has deployed for long."""


@dataclass(frozen=True)
class Finding:
    """Something to be repaired, or that could not be looked at.

    Args:
        code: What kind of finding it is, for programs.
        where: The stack, or the cloud.
        what: What is wrong, for people.
        repair: Lines for a shell, to be run in this order.
        otherwise: Another way, where there is a choice.
        kinds: Of the objects that it is about, where that matters.
        deploy: The stack that has to be deployed once everything else is repaired; empty for none.
        blind: Whether it says only that something could not be looked at.
    """

    code: str
    where: str
    what: str
    repair: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    deploy: str = ""
    blind: bool = False


class Lines(Protocol):
    """Writes lines for a shell."""

    def command(self, stack: str, *arguments: str, configured: bool = False) -> str:
        """A Pulumi command for a stack."""
        ...

    def own(self, *arguments: str) -> str:
        """A command of this program."""
        ...


def remove_line(object: CloudObject, lines: Lines) -> str:
    """The line that removes an object that belongs to nobody."""
    return lines.own("remove", object.kind, object.id, "--yes")


# -- states


def lock_findings(locks: Iterable[Lock], lines: Lines) -> Iterator[Finding]:
    """Locks that nobody holds any more, and those that somebody may hold."""
    for lock in locks:
        holder = f"pid {lock.pid} of {lock.user}@{lock.host}, since {lock.taken}"
        cancel = lines.command(lock.stack, "cancel", "--yes")
        if lock.here and lock.runs():
            yield Finding(
                "busy",
                lock.stack,
                f"a command is changing this stack now ({holder}): look again when it has ended",
                blind=True,
            )
        elif lock.here:
            yield Finding("stale-lock", lock.stack, f"locked by a command that no longer runs ({holder})", (cancel,))
        else:
            yield Finding(
                "stale-lock",
                lock.stack,
                f"locked from another machine ({holder}). Make sure there that it no longer runs: "
                "the line below takes away every lock, whoever holds it",
                (cancel,),
            )


def plugin_findings(locks: Iterable[Lock], plugins: Iterable[int]) -> Iterator[Finding]:
    """A command was killed, and what it had started is not over."""
    running = sorted(plugins)
    stale = [lock for lock in locks if lock.here and not lock.runs()]
    if stale and running:
        yield Finding(
            "busy",
            ", ".join(sorted({lock.stack for lock in stale})),
            f"provider plugins of a command that was killed still end what they had begun (pid {', '.join(map(str, running))}): "
            "look again when they are gone",
            blind=True,
        )


def pending_findings(state: StackState, lines: Lines) -> Iterator[Finding]:
    """Operations that were cut off: one finding a stack, since one refresh resolves them all.

    What a create has made after all is an orphan then, and told as one. ``--import-pending-creates`` would be the shorter
    way, but Pulumi 3.259 forgets such a resource without importing it.
    """
    if not state.pending:
        return
    told = [
        f"{each.operation} {each.resource.type.rpartition(':')[2]} {each.resource.name!r}" for each in state.pending
    ]
    yield Finding(
        "pending-operations",
        state.stack,
        "a command was cut off, and nobody wrote down how these ended: " + "; ".join(told),
        (lines.command(state.stack, "refresh", "--yes", "--skip-preview", "--clear-pending-creates", configured=True),),
        deploy=state.stack,
    )


def half_made_findings(state: StackState, lines: Lines) -> Iterator[Finding]:
    """What a deployment began, and did not finish: a finding a stack for each of the two ways."""
    half = [each for each in state.resources if each.half_made]
    if half:
        told = "; ".join(f"{each.type.rpartition(':')[2]} {each.name!r}: {each.half_made[0]}" for each in half)
        yield Finding(
            "half-made",
            state.stack,
            f"was made, and something after that failed: {told}",
            (lines.command(state.stack, "refresh", "--yes", "--skip-preview", configured=True),),
            deploy=state.stack,
        )
    deleted = [each for each in state.resources if each.deleted]
    if deleted:
        told = ", ".join(f"{each.type.rpartition(':')[2]} {each.name!r}" for each in deleted)
        yield Finding(
            "interrupted-replacement",
            state.stack,
            f"was deleted, and its replacement has not been made yet: {told}",
            deploy=state.stack,
        )


def expiry_findings(state: StackState, now: datetime) -> Iterator[Finding]:
    """A kubeconfig whose certificate ends soon."""
    text = state.outputs.get("kubeconfig_expires")
    try:
        end = datetime.fromisoformat(str(text))
    except ValueError:
        return
    if end - now > EXPIRY_WARNING:
        return
    ended = "ended" if end <= now else "ends"
    yield Finding(
        "kubeconfig-expires",
        state.stack,
        f"the client certificate of the administrator's kubeconfig {ended} on {end:%Y-%m-%d}; Pulumi uses it too. "
        "A deployment renews it; then write the file anew (docs/first-deployment.md)",
        deploy=state.stack,
    )


# -- states and clouds


def missing_findings(
    comparison: Comparison, lines: Lines, configuration: str = "config/regions.yaml"
) -> Iterator[Finding]:
    """What somebody deleted behind Pulumi's back."""
    by_stack: dict[str, list[tuple[Resource, Key]]] = {}
    for stack, resource, key in comparison.missing:
        if not resource.replaced:
            by_stack.setdefault(stack, []).append((resource, key))
    for stack, gone in by_stack.items():
        what = f"{_count(gone)} in the state, gone from the cloud: " + "; ".join(_gone(*each) for each in gone)
        generations = [text for resource, key in gone if key[0] == "server" and (text := _next_generation(resource))]
        if generations:
            what += (
                f". A machine comes back under a new name, since the cluster refuses an old one with an empty disk: first write "
                f"in {configuration} {', '.join(generations)}"
            )
        yield Finding("missing", stack, what, (_refresh(stack, lines),), deploy=stack)


def _gone(resource: Resource, key: Key) -> str:
    return f"{key[0]} {key[1]} ({resource.name})"


def _next_generation(resource: Resource) -> str | None:
    labels: Any = resource.inputs.get("labels") or {}
    if not {"cluster", "pool", "number", "generation"} <= set(labels):
        return None
    place = SERVERS_KEY if labels["pool"] == SERVERS else f"pools.{labels['pool']}"
    return f"{labels['cluster']}.{place}.generations: {{{labels['number']}: {int(labels['generation']) + 1}}}"


def protection_findings(comparison: Comparison, lines: Lines) -> Iterator[Finding]:
    """What could be deleted by accident now, and should not."""
    stacks = {stack for stack, *_ in comparison.unprotected_in_cloud} | {
        stack for stack, _ in comparison.unprotected_in_state
    }
    for stack in sorted(stacks):
        in_cloud = [str(each) for owner, _, each in comparison.unprotected_in_cloud if owner == stack]
        in_state = [resource.name for owner, resource in comparison.unprotected_in_state if owner == stack]
        parts = [f"not protected in the cloud: {', '.join(in_cloud)}"] if in_cloud else []
        parts += [f"not protected in the state: {', '.join(in_state)}"] if in_state else []
        yield Finding("unprotected", stack, "; ".join(parts), (_refresh(stack, lines),), deploy=stack)


def owned_twice_findings(comparison: Comparison) -> Iterator[Finding]:
    """One object in two resources: the deletion of one would take it from the other."""
    for (kind, id), found in comparison.owned_twice:
        (first, _), *others = found
        yield Finding(
            "owned-twice",
            " and ".join(sorted({stack for stack, _ in found})),
            f"{kind} {id} is in the state twice: {', '.join(f'{resource.name!r} of {stack}' for stack, resource in found)}. "
            f"Keep the one that the program declares ({first} comes first), and take the other out of the state alone",
            tuple(
                join(["pulumi", "state", "remove", resource.urn, "--stack", stack, "--yes"])
                for stack, resource in others
            ),
        )


def duplicate_findings(comparison: Comparison, lines: Lines) -> Iterator[Finding]:
    """A second copy of something that a state owns."""
    for copy, (stack, resource) in comparison.duplicates:
        yield Finding(
            "duplicate",
            stack,
            f"{copy} is in no state, and is a second {resource.name!r}, whose own object is {resource.id}",
            (remove_line(copy, lines),),
        )


def is_foreign(object: CloudObject, wanted: Iterable[Import]) -> bool:
    """Whether it is somebody else's in the platform's zone: not everything there is made by this program."""
    return object.kind in CLOUDFLARE.values() and object.key not in {each.object.key for each in wanted}


def orphan_findings(
    orphans: Iterable[CloudObject], imports: Mapping[str, tuple[ImportFile, Path, Sequence[Import]]], lines: Lines
) -> Iterator[Finding]:
    """What is in the cloud and belongs to nobody.

    Args:
        orphans: All of them.
        imports: By stack: the import file, where it was written, and which orphans are in it.
        lines: Writes the commands.
    """
    importable: set[Key] = set()
    for stack, (file, path, wanted) in imports.items():
        taken = [each for each in wanted if each.object not in file.impossible]
        importable |= {each.object.key for each in wanted}
        halves = [each.object for each in taken if is_remade(each.object)]
        whole = [each.object for each in taken if not is_remade(each.object)]
        for each in file.impossible:
            yield Finding(
                "lost-state",
                stack,
                f"{each} is what this stack would make, but its state does not even have a provider: it was lost, or this is "
                "another backend. Put a copy of the state back; the object can be removed only if it is of no use",
                (f"pulumi stack history --stack {stack}",),
                (remove_line(each, lines),),
            )
        if whole:
            take = lines.command(
                stack, "import", "--file", str(path), "--yes", "--skip-preview", "--generate-code=false", "--protect=false",
                configured=True,
            )  # fmt: skip
            yield Finding(
                "lost-answer",
                stack,
                "made, but its answer was lost, so that no state knows it: "
                + "; ".join(_as(each) for each in taken if each.object in whole),
                (take,),
                tuple(remove_line(each, lines) for each in whole),
                kinds=tuple(each.kind for each in whole),
                deploy=stack,
            )
        for each in halves:
            yield Finding(
                "lost-answer",
                stack,
                f"{each} was made, but its answer was lost. It cannot be imported whole: it is removed and made anew",
                (remove_line(each, lines),),
                deploy=stack,
            )
    for each in orphans:
        if each.key not in importable:
            labels = ",".join(f"{key}={value}" for key, value in sorted(each.labels.items())) or "no labels"
            yield Finding(
                "orphan",
                "the cloud",
                f"{each} is in no state ({labels}), and is nothing that a stack wants",
                (remove_line(each, lines),),
            )


def _as(found: Import) -> str:
    return f"{found.object} as {found.planned.resource.name!r}"


def _refresh(stack: str, lines: Lines) -> str:
    return lines.command(stack, "refresh", "--yes", "--skip-preview", configured=True)


def _count(things: Sequence[object]) -> str:
    return f"{len(things)} resource{'' if len(things) == 1 else 's'}"
