"""Our own order: the resources of a preview as the engine makes them, and our machines as their boot script goes."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from components.cluster.readiness import STEADY, Patience
from components.cluster.user_data import AGENT_PACKAGES
from components.load_balancer.services import KUBERNETES_API
from sandbox.deployment import Deployment, Resource
from sandbox.hetzner import Catalogue
from sandbox.world import Latencies

from .plan import END, SERVER, Machine, Plan, machines
from .schedule import Task

BOOT_POLL: Final = 1 / 2
"""Seconds: boot.sh looks every second, so that it sees a change half of that later on average."""
_SERVICE = "hcloud:index/loadBalancerService:LoadBalancerService"
_GATED = "random:index/randomId:RandomId"
_MARKER = "hcloud:index/uploadedCertificate:UploadedCertificate"
SERVING: Final = "API load balancer: serves"

_OPERATIONS: Final[Mapping[str, tuple[int, tuple[str, ...]]]] = {
    "hcloud:index/firewall:Firewall": (1, ("set_firewall_rules",)),
    "hcloud:index/loadBalancer:LoadBalancer": (1, ("create_load_balancer",)),
    "hcloud:index/loadBalancerNetwork:LoadBalancerNetwork": (1, ("attach_to_network",)),
    _SERVICE: (1, ("add_service",)),
    "hcloud:index/loadBalancerTarget:LoadBalancerTarget": (1, ("add_target",)),
    "hcloud:index/networkSubnet:NetworkSubnet": (1, ("add_subnet",)),
}
"""Requests beside the actions', and actions, of a create as the hcloud provider makes it; (2, ()) for all others."""


def tasks(
    deployment: Deployment, latencies: Latencies, catalogue: Catalogue, *, network_after_marker: bool = False
) -> tuple[Task, ...]:
    """The whole deployment with its machines; `END` is among the tasks, and what only people wait for may end later.

    Args:
        deployment: A regional stack's preview.
        latencies: Seconds by name.
        catalogue: What the server types are.
        network_after_marker: Whether the network plugin comes once the engine saw the cluster ready; else each machine
            begins to pull its image as soon as it has joined.

    Raises:
        LookupError: the stack has no servers, no service for the API, or no marker.
    """
    plan = Plan(latencies)
    made = {machine.name: machine for machine in machines(deployment, catalogue)}
    servers = [machine for machine in made.values() if machine.is_server]
    if not servers:
        raise LookupError(f"the stack {deployment.stack} has no servers: choose a regional one, such as prod")
    joined = [f"{servers[0].name}: initialise", *(f"{machine.name}: join" for machine in servers[1:])]
    names = task_names(deployment)
    marker = _only(deployment.by_type(_MARKER), lambda _: True, "marker of the cluster")
    created: dict[str, tuple[str, str]] = {}
    for resource in deployment.resources:
        name = names[resource.urn]
        after = [names[urn] for urn in _waits_for(resource, deployment.resources) if urn in names]
        if resource.type == SERVER:
            created[resource.name] = plan.create_server(made[resource.name], after)
            # What the provider does once the machine has its address: protection, and a last look.
            plan.add(name, _protection(plan, resource) + plan.calls(1), created[resource.name])
        elif resource.type == _GATED and resource.urn in marker.dependencies:
            # Looks in a row that must find the cluster ready; the first comes half an interval late on average.
            plan.add(name, (STEADY - 1 + 1 / 2) * Patience().interval, [*after, *joined])
        else:
            plan.add(name, _seconds(plan, resource), after)
    _serve(plan, deployment, names, joined[0])
    _boot(plan, made.values(), created, [names[marker.urn]] if network_after_marker else [])
    return tuple(plan.tasks)


def task_names(deployment: Deployment) -> Mapping[str, str]:
    """Name of each resource's task by URN, such as ``Server fsn1-server-1``; the URN where that is not enough."""
    short = {each.urn: f"{each.type.rpartition(':')[2]} {each.name}" for each in deployment.resources}
    counts = Counter(short.values())
    return {urn: name if counts[name] == 1 else urn for urn, name in short.items()}


def _waits_for(resource: Resource, resources: Sequence[Resource]) -> list[str]:
    """What the engine makes first: dependencies, provider, parent; of a component, all that is inside it."""
    by_urn = {each.urn: each for each in resources}
    waits: list[str] = [resource.parent, resource.provider]
    todo = list(resource.dependencies)
    seen: set[str] = set()
    while todo:
        urn = todo.pop(0)
        if urn in seen:
            continue
        seen.add(urn)
        waits.append(urn)
        if urn in by_urn and not by_urn[urn].custom:
            todo += [each.urn for each in resources if each.parent == urn]
    return [urn for urn in waits if urn and urn != resource.urn]


def _seconds(plan: Plan, resource: Resource) -> float:
    package = resource.type.partition(":")[0]
    if not resource.custom or resource.external or package not in ("hcloud", "kubernetes"):
        # Keys, passwords and components cost this machine's time, which is no cloud's.
        return 0.0
    if package == "kubernetes":
        return plan.calls(1)
    calls, actions = _OPERATIONS.get(resource.type, (2, ()))
    seconds = plan.calls(calls) + sum(plan.act(command) for command in actions)
    if resource.inputs.get("enablePublicInterface") is False:
        seconds += plan.act("disable_public_interface")
    return seconds + _protection(plan, resource)


def _protection(plan: Plan, resource: Resource) -> float:
    return plan.act("change_protection") if resource.inputs.get("deleteProtection") else 0.0


def _serve(plan: Plan, deployment: Deployment, names: Mapping[str, str], initialised: str) -> None:
    service = _only(
        deployment.by_type(_SERVICE),
        lambda each: each.inputs.get("listenPort") == KUBERNETES_API,
        f"a load balancer that listens on {KUBERNETES_API}",
    )
    check = service.inputs["healthCheck"]
    healthy = float(check["interval"]) * float(check["retries"])
    plan.add(SERVING, healthy, [initialised, names[service.urn]])


def _boot(
    plan: Plan, made: Iterable[Machine], created: Mapping[str, tuple[str, str]], before_network: Sequence[str]
) -> None:
    """boot.sh: private address, k3s, then the first server initialises, the others join it, agents the load balancer.

    A server waits until those before it serve: etcd takes one learner at a time.
    """
    ready: list[str] = []
    serving: list[str] = []
    for machine in made:
        powered, attached = created[machine.name]
        # As cloud_init.render: package lists are read only where there are packages.
        booted = plan.boot(machine, powered, packages=not machine.is_server and bool(AGENT_PACKAGES))
        binary = plan.k3s_binary(machine, booted, attached)
        if machine.is_server and not serving:
            joined = plan.first_server(machine, binary)
        else:
            awaited = serving if machine.is_server else [SERVING]
            turn = plan.add(f"{machine.name}: sees its turn", BOOT_POLL, [binary, *awaited])
            joined = plan.join(machine, turn)
        if machine.is_server:
            serving.append(joined)
        ready.append(plan.ready(machine, joined, *before_network))
    plan.add(END, 0, ready)


def _only(found: list[Resource], fits: Callable[[Resource], bool], what: str) -> Resource:
    fitting = [each for each in found if fits(each)]
    if len(fitting) != 1:
        raise LookupError(f"the stack has {len(fitting)} resources where one is expected: {what}")
    return fitting[0]
