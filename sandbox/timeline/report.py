"""What the three orders take, side by side, and what decides it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.deployment import Deployment
from sandbox.hetzner import Catalogue
from sandbox.world import Latencies

from . import others, ours
from .plan import END, Machine, machines
from .schedule import Schedule, Task, schedule, until

NOTHING_MEASURED = "All seconds are estimates (sandbox/timeline/latencies.yaml): nothing was measured on an account."


@dataclass(frozen=True)
class Row:
    """An order of doing things, until all machines are Ready."""

    name: str
    in_turn: Schedule
    """When etcd lets one server join at a time."""
    together: Schedule | None = None
    """When servers that start to join together end together; None where the order joins them in turn anyway."""

    @property
    def shortest(self) -> Schedule:
        """The better of its two."""
        return self.together or self.in_turn


@dataclass(frozen=True)
class Comparison:
    """The same machines, made in three orders."""

    stack: str
    machines: tuple[Machine, ...]
    ours: Row
    ours_after_marker: Row
    """Ours, with the network plugin installed once the engine saw the cluster ready."""
    hetzner_k3s: Row
    kube_hetzner: Row


def compare(deployment: Deployment, latencies: Latencies, catalogue: Catalogue) -> Comparison:
    """Schedule all of them.

    Args:
        deployment: A regional stack's preview.
        latencies: Seconds by name, the same for all.
        catalogue: What the server types are.

    Raises:
        LookupError: the stack lacks what a timeline needs; the message says what.
    """
    made = machines(deployment, catalogue)
    own = ours.tasks(deployment, latencies, catalogue)
    after_marker = ours.tasks(deployment, latencies, catalogue, network_after_marker=True)
    return Comparison(
        deployment.stack,
        made,
        Row("ours", _ready(own)),
        Row("ours, network plugin after the marker", _ready(after_marker)),
        *(
            Row(name, _ready(order(made, latencies, joins_in_turn=True)), _ready(order(made, latencies)))
            for name, order in (("hetzner-k3s", others.hetzner_k3s), ("kube-hetzner", others.kube_hetzner))
        ),
    )


def _ready(tasks: Sequence[Task]) -> Schedule:
    return schedule(until(tasks, END))


def text(comparison: Comparison) -> str:
    """The report, for a terminal of 80 columns."""
    servers = sum(machine.is_server for machine in comparison.machines)
    agents = len(comparison.machines) - servers
    rows = (comparison.ours, comparison.ours_after_marker, comparison.hetzner_k3s, comparison.kube_hetzner)
    lines = [
        f"{comparison.stack}: seconds from the first request to {servers} Ready servers and {agents} Ready agents",
        "",
        f"{'':40}{'servers join':>14}{'servers join':>14}",
        f"{'':40}{'together':>14}{'in turn':>14}",
        *(f"{row.name:40}{_total(row.together):>14}{_total(row.in_turn):>14}" for row in rows),
    ]
    for row in (comparison.ours, comparison.hetzner_k3s, comparison.kube_hetzner):
        lines += ["", *_path(row)]
    return "\n".join(
        [
            *lines,
            "",
            "edge: seconds by which all machines were Ready sooner if the step did not wait for the one above it;",
            "0 where something else takes as long.",
            NOTHING_MEASURED,
        ]
    )


def _total(found: Schedule | None) -> str:
    return f"{found.makespan:.1f}" if found else "-"


def _path(row: Row) -> list[str]:
    how = "" if row.together is None else ", servers joining together"
    return [
        f"{'critical path of ' + row.name + how:60}{'from':>7}{'takes':>7}{'edge':>7}",
        *(
            f"  {step.task.name:58}{step.start:>7.1f}{step.task.seconds:>7.1f}{step.cost:>7.1f}"
            for step in row.shortest.critical_path
            if step.task.seconds
        ),
    ]
