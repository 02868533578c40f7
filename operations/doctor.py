"""Examines a deployment: reads everything, judges it, and writes the files that the repairs need."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from stacks.settings import SHARED

from . import diagnosis
from .compare import Comparison, compare
from .diagnosis import Finding
from .imports import Import, ImportFile, Planned, import_file, match, read_plan
from .objects import CLOUDFLARE, HETZNER, CloudObject
from .processes import orphaned_plugins
from .pulumi import ROOT, Pulumi, PulumiError
from .reading import Clouds, Stacks, read_clouds, read_locations, read_stacks
from .state import StackState


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Report:
    """What was found.

    Args:
        findings: In the order in which they are to be repaired.
        deployments: Lines that come last: each stack that is not as it should be is deployed once.
        notes: What is as it should be, and worth a word.
    """

    findings: list[Finding] = field(default_factory=list[Finding])
    deployments: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    @property
    def status(self) -> int:
        """0 healthy, 1 something is to be repaired, 2 something could not be looked at."""
        if any(not each.blind for each in self.findings):
            return 1
        return 2 if self.findings else 0


@dataclass(frozen=True)
class Doctor:
    """Examines one project's stacks.

    Args:
        pulumi: The command line.
        out: Where import files go.
        now: The time.
    """

    pulumi: Pulumi
    out: Path = ROOT / "out" / "doctor"
    now: Callable[[], datetime] = _now

    def examine(self) -> Report:
        """Look at everything that can be looked at.

        Raises:
            PulumiError: nothing can.
        """
        stacks = read_stacks(self.pulumi)
        report = Report(findings=list(diagnosis.lock_findings(stacks.locks, self.pulumi)))
        report.findings += diagnosis.plugin_findings(stacks.locks, orphaned_plugins())
        report.findings += stacks.findings
        if not stacks.names:
            report.findings.append(
                Finding("no-stacks", "the backend", "there are no stacks in this backend", blind=True)
            )
            return report
        clouds = read_clouds(stacks)
        report.findings += clouds.findings
        busy = any(each.code == "busy" for each in report.findings)
        report.findings += [] if busy else self._compared(stacks, clouds, report)
        for state in stacks.states.values():
            report.findings += diagnosis.expiry_findings(state, self.now())
        if any(each.code == "lost-answer" and "network" in each.kinds for each in report.findings):
            # The Network that no state records is on its way into one.
            report.findings = [each for each in report.findings if each.code != "lost-state"]
        wanting = {each.deploy for each in report.findings if each.deploy}
        report.deployments += [
            self.pulumi.command(stack, "up", configured=True)
            # The regions read what `shared` exports.
            for stack in sorted(wanting, key=lambda stack: (stack != SHARED, stack))
        ]
        return report

    def _compared(self, stacks: Stacks, clouds: Clouds, report: Report) -> Iterator[Finding]:
        states = list(stacks.states.values())
        comparison = compare(
            states, clouds.objects, clouds.looked_at, clouds.trusted, read_locations(self.pulumi.project)
        )
        known = len(stacks.states) == len(stacks.names)
        if not known and any(each.kind not in CLOUDFLARE.values() for each in comparison.orphans):
            yield Finding(
                "unread-orphans",
                "the cloud",
                "what belongs to nobody cannot be told from what the stacks own whose state could not be read",
                blind=True,
            )
        orphans = list(comparison.orphans) if known and not is_lost(comparison, clouds.objects, states) else []
        for state in states:
            if state.stack in clouds.trusted:
                yield from diagnosis.pending_findings(state, self.pulumi)
                yield from diagnosis.half_made_findings(state, self.pulumi)
        yield from diagnosis.owned_twice_findings(comparison)
        yield from diagnosis.missing_findings(comparison, self.pulumi)
        yield from diagnosis.duplicate_findings(comparison, self.pulumi) if known else ()
        yield from self._orphans(orphans, stacks, clouds)
        yield from diagnosis.protection_findings(comparison, self.pulumi)
        report.notes += _controllers(comparison)

    def _orphans(self, orphans: list[CloudObject], stacks: Stacks, clouds: Clouds) -> Iterator[Finding]:
        if not orphans:
            return
        imports: dict[str, tuple[ImportFile, Path, list[Import]]] = {}
        unplanned: list[Finding] = []
        zone = stacks.zone()
        for stack, state in stacks.states.items():
            if stack not in clouds.trusted:
                continue
            plan: list[Planned] = []
            try:
                plan = read_plan(self.pulumi.preview(stack))
            except PulumiError as error:
                unplanned.append(
                    Finding("unread-plan", stack, f"what it would create was not looked at: {error}", blind=True)
                )
            wanted = match(orphans, plan)
            if wanted:
                file = import_file(state, plan, wanted, zone.id if zone else "")
                imports[stack] = file, self._write(file), wanted
        all_wanted = [each for _, _, wanted in imports.values() for each in wanted]
        ours = [each for each in orphans if not diagnosis.is_foreign(each, all_wanted)]
        if ours:
            yield from unplanned
        yield from diagnosis.orphan_findings(ours, imports, self.pulumi)

    def _write(self, file: ImportFile) -> Path:
        path = self.out / f"{file.stack}-import.json"
        if file.content:
            self.out.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(file.content, indent=2) + "\n", encoding="utf-8")
        return path


def is_lost(comparison: Comparison, objects: Sequence[CloudObject], states: Iterable[StackState]) -> bool:
    """Whether the project holds a whole platform, of which no state owns a single object.

    It is in use then, under a state that is elsewhere: nothing of it is to be taken or removed. A whole platform has its
    Network and more; what has not is left by the lost answers of a first deployment, and creates that were cut off may
    have made even that.
    """
    hetzner = [each for each in objects if each.kind not in CLOUDFLARE.values() and each.whole is None]
    strangers = {each.key for each in comparison.orphans}
    begun = any(
        each.operation == "creating" and each.resource.type in HETZNER for state in states for each in state.pending
    )
    whole = len(hetzner) > 1 and any(each.kind == "network" for each in hetzner)
    return whole and not begun and all(each.key in strangers for each in hetzner)


def _controllers(comparison: Comparison) -> Iterator[str]:
    for made in comparison.controllers:
        yield f"{made.object} was made by the {made.controller} of {made.cluster or 'a cluster'}: it goes with `make sweep`"
