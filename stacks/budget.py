"""What the platform requests of a region's machines, against what they offer: does it fit, also with one agent lost?

Pods are placed whole, as a scheduler would; sums alone would fit what no machine can take.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from components.cluster import SERVERS
from components.layer import Workload, mebibytes, millicores
from components.problem import Problem

from . import layer_charts
from .checks import machines, numbers
from .models import AutoscaledPool, CloudPool, Prices, Region, RobotPool
from .nodes import gpu_pools, is_closed
from .settings import Settings
from .tenant_checks import Offer

RESERVED_CPU: Final = 500
"""Millicores that the kubelet keeps for the system and for itself (components/cluster/k3s.py)."""
RESERVED_MEMORY: Final = 512 + 300 + 100
"""MiB that the kubelet keeps: for itself, for the system, and its eviction threshold (Kubernetes' default)."""
KERNEL_SHARE: Final = 0.03
"""Part of a machine's memory that the kernel keeps to itself; an estimate: 16 GB machines show 15.2 to 15.6 GiB."""
CONTROL_PLANE_MEMORY: Final = 1536
"""MiB of k3s and etcd on a server, which no pod requests (estimate)."""


@dataclass(frozen=True)
class Machine:
    """What a machine offers to pods: millicores and MiB.

    A ``closed`` one has a taint that no pod tolerates but those of every machine: nothing else is placed there.
    """

    name: str
    pool: str
    cpu: int
    memory: int
    server: bool = False
    storage: bool = False
    gpu: bool = False
    closed: bool = False


@dataclass
class _Room:
    """A machine and what is left of it."""

    machine: Machine
    cpu: int
    memory: int
    taken: set[str] = field(default_factory=set[str])

    def takes(self, workload: Workload) -> bool:
        return workload.cpu <= self.cpu and workload.memory <= self.memory

    def place(self, workload: Workload) -> None:
        self.cpu -= workload.cpu
        self.memory -= workload.memory
        self.taken.add(workload.name)


@dataclass(frozen=True)
class Sum:
    """Millicores and MiB."""

    cpu: int = 0
    memory: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.cpu + other.cpu, self.memory + other.memory)


@dataclass(frozen=True)
class Row:
    """What a layer requests, by the kind of machines that its pods run on."""

    layer: str
    servers: Sum
    agents: Sum
    gpu: Sum


@dataclass(frozen=True)
class Budget:
    """A region's requests and offers.

    Args:
        region: Its name.
        rows: By layer.
        offered: What servers, agents and GPU machines offer; machines that are closed by a taint stand in no row.
        unplaced: Workloads that no machine has room for.
        unplaced_without_agent: The same with the largest agent gone, those that must not share a machine aside.
        left: What is left on the agents for tenants.
        left_without_agent: The same with the largest agent gone.
        lost: The agent that was thought away; empty without agents.
        quotas: What tenants may request, all quotas together.
        growing: The pool that can grow, as a key of config/regions.yaml.
        autoscaled: What autoscaled machines would add at most.
    """

    region: str
    rows: Sequence[Row]
    offered: Row
    unplaced: Sequence[str]
    unplaced_without_agent: Sequence[str]
    left: Sum
    left_without_agent: Sum
    lost: str
    quotas: Sum
    growing: str
    autoscaled: Sum = Sum()

    @property
    def requested(self) -> Row:
        """All layers together."""
        return _total("layers in all", self.rows)

    @property
    def shares(self) -> tuple[float, float]:
        """Part of the CPU and of the memory of servers and agents that the layers request."""
        requested, offered = self.requested, self.offered
        return (
            (requested.servers.cpu + requested.agents.cpu) / max(1, offered.servers.cpu + offered.agents.cpu),
            (requested.servers.memory + requested.agents.memory)
            / max(1, offered.servers.memory + offered.agents.memory),
        )

    @property
    def verdict(self) -> str:
        """One line for people."""
        if self.unplaced:
            return f"does not fit: no machine has room for {', '.join(self.unplaced)}; grow {self.growing}"
        if self.unplaced_without_agent:
            waiting = ", ".join(self.unplaced_without_agent)
            return f"fits; with {self.lost} lost there is no room for {waiting}; grow {self.growing}"
        return "fits, and fits with one agent lost"


def region_budget(name: str, settings: Settings) -> Budget:
    """A region's budget as configured."""
    region = settings.regions[name]
    requested = layer_charts.requested(region, settings.platform, settings.prices)
    quotas = [block.quota for tenant in settings.tenants.tenants.values() for block in tenant.environments.values()]
    promised = Sum(
        sum(_or_zero(millicores, each.cpu) for each in quotas), sum(_or_zero(mebibytes, each.memory) for each in quotas)
    )
    return budget(name, region, settings.prices, requested, promised)


def _or_zero(read: Callable[[object], int], quantity: str) -> int:
    """A quantity that is none is told where it stands."""
    try:
        return read(quantity)
    except ValueError:
        return 0


def offered(name: str, region: Region, prices: Prices) -> list[Machine]:
    """The machines of a region that always run, and what each offers to pods."""
    found = [_cloud(f"{name}-{SERVERS}", each, prices, server=True) for each in _cloud_types(SERVERS, region, prices)]
    gpus = gpu_pools(region, prices)
    for pool, settings in region.pools.items():
        own: list[Machine] = []
        if isinstance(settings, CloudPool):
            own = [
                replace(_cloud(f"{name}-{pool}", each, prices), storage=pool not in gpus, gpu=pool in gpus)
                for each in _cloud_types(pool, region, prices)
            ]
        elif isinstance(settings, RobotPool) and settings.model in prices.robot_models:
            model = prices.robot_models[settings.model]
            own = [
                _machine(f"{name}-{pool}-{number}", pool, model.cores, model.memory_gb, gpu=pool in gpus)
                for number in numbers(settings)
            ]
        closed = is_closed(region, pool, settings, prices)
        found += [replace(each, closed=closed) for each in own]
    return found


def _cloud_types(pool: str, region: Region, prices: Prices) -> list[tuple[str, int, str]]:
    settings = region.servers if pool == SERVERS else region.pools[pool]
    if isinstance(settings, RobotPool | AutoscaledPool):
        return []
    return [(pool, each.number, each.type) for each in machines(pool, settings) if each.type in prices.server_types]


def _cloud(prefix: str, machine: tuple[str, int, str], prices: Prices, *, server: bool = False) -> Machine:
    pool, number, type_ = machine
    size = prices.server_types[type_]
    return _machine(f"{prefix}-{number}", pool, size.cores, size.memory_gb, server=server)


def _machine(name: str, pool: str, cores: int, memory_gb: int, *, server: bool = False, gpu: bool = False) -> Machine:
    memory = round(memory_gb * 1024 * (1 - KERNEL_SHARE)) - RESERVED_MEMORY - (CONTROL_PLANE_MEMORY if server else 0)
    return Machine(name, pool, cores * 1000 - RESERVED_CPU, max(0, memory), server=server, gpu=gpu)


def budget(
    name: str,
    region: Region,
    prices: Prices,
    requested: Mapping[str, Sequence[Workload]],
    quotas: Sum = Sum(),
) -> Budget:
    """A region's budget.

    Args:
        name: The region.
        region: Its machines.
        prices: Sizes of types.
        requested: What each layer runs.
        quotas: What tenants may request, all together.
    """
    there = offered(name, region, prices)
    agents = [each for each in there if _general(each)]
    # The largest, and of equal ones the first: losing it is the worst that can happen.
    lost = max(agents, key=lambda each: (each.memory, each.cpu), default=None)
    every = [workload for each in requested.values() for workload in each]
    rooms, unplaced = place(there, every)
    without = [each for each in there if each is not lost]
    open_ = [each for each in there if not each.closed]
    rooms_without, unplaced_without = place(without, every, apart=False)
    return Budget(
        region=name,
        rows=[_row(layer, each, open_) for layer, each in requested.items()],
        offered=_offer("offered", open_),
        unplaced=unplaced,
        unplaced_without_agent=unplaced_without if lost else ["every agent: there is none"],
        left=_left(rooms),
        left_without_agent=_left(rooms_without),
        lost=lost.name if lost else "",
        quotas=quotas,
        growing=_growing(name, region, agents, prices),
        autoscaled=_autoscaled(region, prices),
    )


def place(there: Sequence[Machine], every: Iterable[Workload], *, apart: bool = True) -> tuple[list[_Room], list[str]]:
    """Put pods onto machines: daemons first, then the largest, each where most memory is free.

    Args:
        there: The machines.
        every: What is to run.
        apart: Whether pods that must not share a machine with their like all need one; without it, as many as there are
            machines for will do: the others wait for the lost machine.

    Returns:
        The machines with what is left, and the workloads that found no room (``name (2 of 3)``).
    """
    rooms = [_Room(machine, machine.cpu, machine.memory) for machine in there]
    missing: list[str] = []
    workloads = list(every)
    for workload in workloads:
        if workload.kind == "DaemonSet":
            fitting = [room for room in rooms if _suits(workload, room.machine)]
            placed = 0
            for room in fitting:
                if room.takes(workload):
                    room.place(workload)
                    placed += 1
            if placed < len(fitting):
                missing.append(f"{workload.name} ({placed} of {len(fitting)})")
    for workload in sorted(
        (each for each in workloads if each.kind != "DaemonSet"), key=lambda each: (-each.memory, -each.cpu, each.name)
    ):
        suiting = [room for room in rooms if _suits(workload, room.machine)]
        wanted = workload.replicas
        if workload.apart and not apart:
            wanted = min(wanted, len(suiting))
        placed = sum(_place_one(workload, suiting) for _ in range(wanted))
        if placed < wanted:
            missing.append(f"{workload.name} ({placed} of {wanted})")
    return rooms, missing


def _place_one(workload: Workload, rooms: Sequence[_Room]) -> bool:
    open_ = [room for room in rooms if room.takes(workload) and not (workload.apart and workload.name in room.taken)]
    if not open_:
        return False
    # Spread first, as the scheduler's defaults do; then where most is free.
    chosen = max(open_, key=lambda room: (workload.name not in room.taken, room.memory, room.cpu))
    chosen.place(workload)
    return True


def _suits(workload: Workload, machine: Machine) -> bool:
    match workload.on:
        case "every":
            return True
        case "servers":
            return machine.server
        case "storage":
            return machine.storage and not machine.closed
        case "gpu":
            return machine.gpu and not machine.closed
        case _:
            return _general(machine)


def _general(machine: Machine) -> bool:
    """Whether it takes pods that ask for no machine in particular."""
    return not machine.server and not machine.gpu and not machine.closed


def _row(layer: str, workloads: Sequence[Workload], there: Sequence[Machine]) -> Row:
    sums = {"servers": Sum(), "agents": Sum(), "gpu": Sum()}
    for workload in workloads:
        each = Sum(workload.cpu, workload.memory)
        if workload.kind == "DaemonSet":
            for machine in there:
                if _suits(workload, machine):
                    sums[_kind(machine)] += each
        else:
            kind = {"servers": "servers", "gpu": "gpu"}.get(workload.on, "agents")
            sums[kind] += Sum(each.cpu * workload.replicas, each.memory * workload.replicas)
    return Row(layer, **sums)


def _kind(machine: Machine) -> str:
    return "servers" if machine.server else "gpu" if machine.gpu else "agents"


def _offer(label: str, there: Iterable[Machine]) -> Row:
    sums = {"servers": Sum(), "agents": Sum(), "gpu": Sum()}
    for machine in there:
        sums[_kind(machine)] += Sum(machine.cpu, machine.memory)
    return Row(label, **sums)


def _total(label: str, rows: Sequence[Row]) -> Row:
    total = Row(label, Sum(), Sum(), Sum())
    for row in rows:
        total = Row(label, total.servers + row.servers, total.agents + row.agents, total.gpu + row.gpu)
    return total


def _left(rooms: Iterable[_Room]) -> Sum:
    free = [room for room in rooms if _general(room.machine)]
    return Sum(sum(room.cpu for room in free), sum(room.memory for room in free))


def _autoscaled(region: Region, prices: Prices) -> Sum:
    total = Sum()
    for name, pool in region.pools.items():
        if not isinstance(pool, AutoscaledPool) or is_closed(region, name, pool, prices):
            continue
        if pool.type in prices.server_types:
            size = prices.server_types[pool.type]
            one = _machine("", "", size.cores, size.memory_gb)
            total += Sum(one.cpu * pool.max, one.memory * pool.max)
    return total


def _growing(name: str, region: Region, agents: Sequence[Machine], prices: Prices) -> str:
    open_ = (pool for pool, settings in region.pools.items() if not is_closed(region, pool, settings, prices))
    pool = agents[0].pool if agents else next(open_, "general")
    return f"config/regions.yaml: {name}.pools.{pool}.nodes"


def check_budget(budget: Budget, region: Region) -> Iterable[Problem]:
    """A platform that cannot be scheduled; keys are those of config/regions.yaml."""
    if budget.unplaced:
        waiting = ", ".join(budget.unplaced)
        key = budget.growing.partition(": ")[2]
        pool = region.pools.get(key.split(".")[2])
        problem = f"the platform cannot be scheduled: no machine has room for {waiting}"
        nodes = pool.nodes if isinstance(pool, CloudPool | RobotPool) else None
        yield Problem(key, nodes, problem, "add machines to this pool, or take a larger type")


def offer(budget: Budget) -> Offer:
    """What is left for tenants, GPU machines included."""
    gpu = budget.offered.gpu
    taken = budget.requested.gpu
    return Offer(
        max(0, budget.left.cpu) + max(0, gpu.cpu - taken.cpu),
        max(0, budget.left.memory) + max(0, gpu.memory - taken.memory),
    )


def warn_of_budget(budget: Budget) -> Iterable[str]:
    """What fits, but not with the largest agent lost, or not with everything that tenants may ask for."""
    if budget.unplaced_without_agent and not budget.unplaced:
        waiting = ", ".join(budget.unplaced_without_agent)
        yield (
            f"{budget.region}: with {budget.lost or 'an agent'} lost there is no room for {waiting}: "
            f"grow {budget.growing}"
        )
    wanted, left = budget.quotas, budget.left_without_agent
    for what, asked, had, unit, more in (
        ("CPU", wanted.cpu, left.cpu, 1000, budget.autoscaled.cpu),
        ("GiB of memory", wanted.memory, left.memory, 1024, budget.autoscaled.memory),
    ):
        if asked > had:
            helped = f"autoscaled machines would add {more / unit:.1f}" if more else "no pool is autoscaled"
            yield (
                f"{budget.region}: tenants may request {asked / unit:.1f} {what}, but with {budget.lost} lost "
                f"{max(0, had) / unit:.1f} are left; {helped}, or grow {budget.growing}"
            )


def table(budget: Budget) -> dict[str, object]:
    """The budget as an output of the stack: cores and GiB by layer and kind of machine, and the verdict."""
    rows = [*budget.rows, budget.requested, budget.offered]
    return {
        "layers": {
            row.layer: {kind: _plain(getattr(row, kind)) for kind in ("servers", "agents", "gpu")} for row in rows
        },
        "left_for_tenants": _plain(budget.left),
        "left_with_one_agent_lost": _plain(budget.left_without_agent),
        "tenants_quotas": _plain(budget.quotas),
        "verdict": budget.verdict,
    }


def _plain(amount: Sum) -> dict[str, float]:
    return {"cpu": round(amount.cpu / 1000, 2), "memory_gib": round(amount.memory / 1024, 2)}
