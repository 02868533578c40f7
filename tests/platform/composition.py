"""What the regions' stacks make in their clusters, with real keys and certificates: every input as an API server would get it."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox.clouds import ThreadedClouds
from sandbox.deployment import Deployment, State
from sandbox.hetzner import hypervisor, load_balancers
from sandbox.machines.facts import Attachment, BalancerFacts, ServerFacts
from sandbox.plugins.values import plain
from tests.graph.conftest import Runner

Object = dict[str, Any]

REGIONS = {"prod": "fsn1", "dr": "nbg1"}
"""Region by stack."""

_KUBERNETES = "kubernetes:"
_RELEASE = "kubernetes:helm.sh/v3:Release"
_PATCH = "Patch"


@dataclass(frozen=True)
class Composition:
    """One region, as its stack makes it.

    Args:
        region: Its name.
        deployment: What came of the stack, where nothing of kind ``kubernetes`` was made anywhere.
        machines: The first server and all agents, with the user_data that the stack gives them.
        balancer: The load balancer of the API, in front of that server.
    """

    region: str
    deployment: Deployment
    machines: tuple[ServerFacts, ...]
    balancer: BalancerFacts

    def objects(self) -> list[Object]:
        """Manifests of everything but releases and patches, in the order in which the stack makes them."""
        return [_manifest(state) for state in self._states() if not state.type.endswith(_PATCH)]

    def patches(self) -> list[Object]:
        """What the stack says of objects that others make: to be applied."""
        return [_manifest(state) for state in self._states() if state.type.endswith(_PATCH)]

    def releases(self) -> list[Object]:
        """Inputs of the releases."""
        return [_plain(state) for state in self.deployment.states if state.type == _RELEASE]

    @property
    def kubeconfig(self) -> str:
        """The administrator's."""
        return str(plain(self.deployment.exports)["kubeconfig"])

    def robots(self) -> Iterator[tuple[str, str, Attachment]]:
        """Dedicated machines: name, join bundle, place."""
        told = plain(self.deployment.exports)
        bundles: Any = told["join_bundles"]
        addresses: Any = told["addresses"]
        for pool, machines in bundles.items():
            for number, text in machines.items():
                place = Attachment(self._network, addresses["pools"][pool][number])
                yield f"{self.region}-{pool}-{number}", text, place

    @property
    def _network(self) -> int:
        return self.machines[0].attachments[0].network_id

    def _states(self) -> list[State]:
        found = [state for state in self.deployment.states if state.type.startswith(_KUBERNETES)]
        return [state for state in found if state.type != _RELEASE]


def _plain(state: State) -> Object:
    told: Any = plain(state.outputs)
    return told


def _manifest(state: State) -> Object:
    """Its group and kind stand in the type, which for the groups of Kubernetes' own is ``<group>/<version>``."""
    group, _, kind = state.type.removeprefix(_KUBERNETES).partition(":")
    told = {key: value for key, value in _plain(state).items() if value is not None and key != "__defaults"}
    return {**told, "apiVersion": group.removeprefix("core/"), "kind": kind.removesuffix(_PATCH)}


def _with_machines(region: str, deployment: Deployment, clouds: ThreadedClouds, runner: Runner) -> Composition:
    project = clouds.clouds.hetzner.project(runner.access.token)
    assert project is not None
    servers = [each for each in project.all("servers") if each["labels"]["cluster"] == region]
    first = {"role": "server", "number": "1"}.items()
    wanted = [each for each in servers if first <= each["labels"].items() or each["labels"]["role"] != "server"]
    machines = tuple(hypervisor.facts(project, each) for each in wanted)
    (server,) = (each for each in machines if each.labels["role"] == "server")
    addresses: Any = plain(deployment.exports)["addresses"]
    balancers = [load_balancers.facts(project, each) for each in project.all("load_balancers")]
    (balancer,) = (each for each in balancers if each.attachments[0].ip == addresses["api_load_balancer"])
    targets = tuple(each for each in balancer.targets if each.server_id == server.id)
    return Composition(region, deployment, machines, replace(balancer, public_ipv4=None, targets=targets))


def compose(
    directory: Path, clouds: ThreadedClouds, change: Callable[[Runner], Any] = lambda runner: runner
) -> Mapping[str, Future[Composition]]:
    """Make the stacks in emulated clouds without machines, one after the other; by region, as they are ready.

    Args:
        directory: For a copy of the configuration.
        clouds: Empty ones.
        change: Changes the copy.
    """
    runner = Runner(directory, clouds)
    change(runner)
    worker = ThreadPoolExecutor(1)
    shared = worker.submit(lambda: runner.run("shared", preview=False))

    def composed(stack: str, region: str) -> Composition:
        deployment = runner.run(stack, preview=False, outputs=shared.result().exports)
        return clouds.call(lambda: _with_machines(region, deployment, clouds, runner))

    made = {region: worker.submit(composed, stack, region) for stack, region in REGIONS.items()}
    worker.shutdown(wait=False)
    return made
