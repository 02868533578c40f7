"""All machines and load balancers of a sandbox."""

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from ..world import Clock
from .addons import install_addons
from .addresses import Addresses
from .api import ApiError
from .balancer import Balancer
from .cluster import Cluster, join
from .configuration import K3sConfig
from .controller import Controller
from .etcd import EtcdError
from .facts import DEDICATED, Attachment, BalancerFacts, ServerFacts
from .join import Endpoint, RefusedError, Token
from .kubelet import Kubelet
from .machine import Machine
from .metadata import Metadata
from .pods import Pods
from .root import Root
from .server import Server
from .tools import Tools
from .watching import Watching

_API_PORT: Final = 6443
_PAUSE: Final = 0.5

Attendant = Callable[[Watching, Callable[[str], None]], Coroutine[Any, Any, None]]
"""Works in a cluster until it is cancelled; told how the cluster is watched, and where to tell of troubles."""


class MachineRoom:
    """Implements `Machines` in the running event loop.

    Args:
        directory: For disks and logs; mode 0700. What an earlier room left there is removed.
        clock: The world's; not asked, for real programs take real time.
        tools: Of control-plane servers; needed to boot in full.
        octet: N of the sandbox's 127.N.0.0/16.
        boot: ``full`` starts k3s's parts; ``booted`` runs each boot script once and starts no k3s; ``off`` runs nothing.
        attendants: What works in each cluster besides.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        tools: Tools | None,
        *,
        octet: int,
        boot: Literal["full", "booted", "off"] = "full",
        attendants: Sequence[Attendant] = (),
    ) -> None:
        # Machines take the time that they take: nothing here is virtual.
        del clock
        self._directory = directory
        self._tools = tools if boot == "full" else None
        self._off = boot == "off"
        self._attendants = attendants
        for left in ("machines", "addresses"):
            shutil.rmtree(directory / left, ignore_errors=True)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._map = Addresses(octet, directory / "addresses")
        self._machines: dict[int, Machine] = {}
        self._balancers: dict[int, Balancer] = {}
        self._clusters: list[Cluster] = []
        self._attended: dict[Cluster, asyncio.Task[None]] = {}
        self._metadata = Metadata(self._at)
        self._metadata_urls: dict[str, str] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()
        self._dedicated = 0

    # -- what the cloud tells

    def power_on(self, server: ServerFacts) -> None:
        self._later(self._power_on(server))

    def power_off(self, server_id: int) -> None:
        self._later(self._power_off(server_id))

    def changed(self, server: ServerFacts) -> None:
        self._later(self._changed(server))

    def wipe(self, server: ServerFacts) -> None:
        self._later(self._wipe(server))

    def delete(self, server_id: int) -> None:
        self._later(self._delete(server_id))

    def balance(self, balancer: BalancerFacts) -> None:
        self._later(self._balance(balancer))

    def unbalance(self, balancer_id: int) -> None:
        self._later(self._unbalance(balancer_id))

    def health(self, balancer_id: int) -> Mapping[tuple[str, int], str]:
        balancer = self._balancers.get(balancer_id)
        return balancer.health() if balancer is not None else {}

    def console(self, server_id: int) -> str:
        machine = self._machines.get(server_id)
        return machine.console if machine is not None else ""

    # -- what people ask

    def address_map(self) -> dict[tuple[int, str], str]:
        """(Network, private address) → loopback address."""
        return self._map.all()

    def addresses(self, labels: Mapping[str, str]) -> list[str]:
        """Loopback addresses of machines that run and carry these labels, those whose API is ready first."""
        ready = {server.address for cluster in self._clusters for server in cluster.live}
        found = [
            machine.address
            for machine in self._machines.values()
            if machine.on and labels.items() <= machine.facts.labels.items()
        ]
        return sorted(found, key=lambda address: address not in ready)

    def address(self, server_id: int) -> str | None:
        """Where a machine is on the loopback network."""
        machine = self._machines.get(server_id)
        return machine.address if machine is not None else None

    def metadata_url(self, server_id: int) -> str:
        """Where a machine finds its metadata; empty when it has none."""
        return self._metadata_urls.get(self.address(server_id) or "", "")

    def problems(self) -> list[str]:
        """What load balancers cannot do on this computer, one line each."""
        return [
            f"load balancer {id}: {problem}"
            for id, balancer in self._balancers.items()
            for problem in balancer.problems.values()
        ]

    def join_robot(self, name: str, user_data: str, *attachments: Attachment) -> int:
        """Start a dedicated machine with its join bundle; returns its number, below 0, for `console`, `power_off` and
        `delete`.
        """
        self._dedicated -= 1
        self.power_on(ServerFacts(self._dedicated, name, user_data, attachments=attachments, size=DEDICATED))
        return self._dedicated

    async def settled(self) -> None:
        """Until everything that was told so far has been done: machines boot on."""
        while self._work:
            await asyncio.gather(*self._work, return_exceptions=True)

    async def close(self) -> None:
        """End everything that runs. Disks stay."""
        await self.settled()
        for attended in self._attended.values():
            attended.cancel()
        await asyncio.gather(*self._attended.values(), return_exceptions=True)
        self._attended.clear()
        await asyncio.gather(*(balancer.close() for balancer in self._balancers.values()))
        await asyncio.gather(*(machine.power_off() for machine in self._machines.values()))
        await self._metadata.close()

    # -- how it is done: one thing after the other, in the order in which it was told

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        if self._off:
            work.close()
            return

        async def in_order() -> None:
            async with self._order:
                await work

        task = asyncio.get_running_loop().create_task(in_order())
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _power_on(self, facts: ServerFacts) -> None:
        machine = self._machines.get(facts.id)
        if machine is None:
            machine = self._machines[facts.id] = self._new_machine(facts)
        self._place(machine, facts)
        if not machine.on:
            if not machine.dedicated:
                await self._serve_metadata(machine)
            machine.power_on()

    def _new_machine(self, facts: ServerFacts) -> Machine:
        root = Root(self._directory / "machines" / str(facts.id))
        address = facts.public_ipv4 or self._map.allocate()
        settings = {} if self._tools else {"restarts": 1}
        return Machine(facts, root, address, self._environment, self._run_k3s, **settings)

    def _place(self, machine: Machine, facts: ServerFacts) -> None:
        self._map.forget(machine.address)
        for place in facts.attachments:
            self._map.set(place.network_id, place.ip, machine.address)
        machine.moved(facts)

    async def _serve_metadata(self, machine: Machine) -> None:
        try:
            self._metadata_urls[machine.address] = await self._metadata.serve(machine.address)
        except OSError as error:
            machine.say(f"the metadata service cannot listen at {machine.address}: {error.strerror}")

    async def _power_off(self, id: int) -> None:
        if id in self._machines:
            await self._machines[id].power_off()

    async def _changed(self, facts: ServerFacts) -> None:
        if facts.id in self._machines:
            self._place(self._machines[facts.id], facts)

    async def _wipe(self, facts: ServerFacts) -> None:
        machine = self._machines.get(facts.id)
        if machine is not None:
            await machine.power_off()
            machine.root.wipe()
            await self._vacate(facts.id)
        await self._power_on(facts)

    async def _delete(self, id: int) -> None:
        machine = self._machines.pop(id, None)
        if machine is None:
            return
        await machine.power_off()
        self._metadata_urls.pop(machine.address, None)
        await self._metadata.stop(machine.address)
        self._map.release(machine.address)
        machine.root.wipe()
        await self._vacate(id)

    async def _vacate(self, id: int) -> None:
        """A machine holds no cluster's data any more; a cluster that nobody holds is gone."""
        for cluster in [each for each in self._clusters if id in each.seats]:
            cluster.seats.discard(id)
            if not cluster.seats:
                self._clusters.remove(cluster)
                attended = self._attended.pop(cluster, None)
                if attended is not None:
                    attended.cancel()
                    await asyncio.gather(attended, return_exceptions=True)

    async def _balance(self, facts: BalancerFacts) -> None:
        balancer = self._balancers.get(facts.id)
        if balancer is None:
            address = facts.public_ipv4 or self._map.allocate()
            balancer = self._balancers[facts.id] = Balancer(facts, address, self._map.find)
        self._map.forget(balancer.address)
        for place in facts.attachments:
            self._map.set(place.network_id, place.ip, balancer.address)
        await balancer.update(facts)

    async def _unbalance(self, id: int) -> None:
        balancer = self._balancers.pop(id, None)
        if balancer is not None:
            self._map.release(balancer.address)
            await balancer.close()

    # -- k3s

    async def _run_k3s(self, machine: Machine, role: str) -> int:
        """Run k3s until it ends, and write down why."""
        if self._tools is None:
            machine.say(f"k3s-{role}: not started: there are no Kubernetes programs on this computer")
            return 0
        try:
            config = K3sConfig.read(machine.root.disk)
            if role == "server":
                await self._run_server(machine, self._tools, config)
            else:
                await self._run_agent(machine, config)
        except (RefusedError, EtcdError, ApiError, ValueError, OSError) as error:
            machine.say(f"k3s-{role}: level=fatal msg={str(error)!r}")
        return 1

    async def _run_server(self, machine: Machine, tools: Tools, config: K3sConfig) -> None:
        server = Server(tools, config, machine.root, machine.address, machine.say)
        known = next((each for each in self._clusters if machine.facts.id in each.seats), None)
        kubelet: Kubelet | None = None
        try:
            starting = server.start(known, self._clusters, lambda: self._endpoint(machine, config))
            cluster = await starting
            self._look_after(cluster, machine, config)
            machine.say(f"k3s-server: {server.name} serves the API")
            kubelet = Kubelet(config, machine.root, machine.architecture, machine.facts.size, server.member.name)
            await kubelet.register(cluster)
            machine.say(f"k3s-server: {server.name} is a Node")
            raise RefusedError(await server.ended())
        finally:
            if server.cluster is not None:
                server.cluster.seats.add(machine.facts.id)
                server.cluster.kubelets.pop(server.name, None)
            await asyncio.shield(server.stop())

    async def _run_agent(self, machine: Machine, config: K3sConfig) -> None:
        token = Token.parse(config.text("token"))
        cluster, _ = await join(self._endpoint(machine, config), token, self._clusters, "node")
        kubelet = Kubelet(config, machine.root, machine.architecture, machine.facts.size)
        try:
            await kubelet.register(cluster)
            machine.say(f"k3s-agent: {kubelet.name} is a Node")
            await asyncio.Event().wait()
        finally:
            cluster.kubelets.pop(kubelet.name, None)

    def _endpoint(self, machine: Machine, config: K3sConfig) -> Endpoint:
        """Where the configuration says that the cluster is.

        Raises:
            RefusedError: this machine cannot reach it.
        """
        host, _, port = config.text("server").removeprefix("https://").partition(":")
        networks = [place.network_id for place in machine.facts.attachments]
        with contextlib.suppress(StopIteration):
            loopback = next(there for each in [*networks, None] if (there := self._map.find(each, host)))
            return Endpoint(host, int(port or _API_PORT), loopback)
        raise RefusedError(f"failed to get CA certs: Get https://{host}:{port}/cacerts: no route to host")

    def _look_after(self, cluster: Cluster, machine: Machine, config: K3sConfig) -> None:
        """A cluster is attended to from the moment that its API is ready for the first time."""
        cluster.seats.add(machine.facts.id)
        if cluster not in self._attended:
            work = self._attend(cluster, machine.say, config)
            self._attended[cluster] = asyncio.get_running_loop().create_task(work)

    async def _attend(self, cluster: Cluster, say: Callable[[str], None], config: K3sConfig) -> None:
        """Until the cluster is gone."""
        assert self._tools is not None
        watching = Watching(cluster, say)
        controller = Controller(cluster, self._find, self._all_addresses, self._tools, say)
        try:
            await asyncio.gather(
                controller.work(),
                Pods(watching, say).work(),
                _begin(cluster, config),
                *(attendant(watching, say) for attendant in self._attendants),
            )
        finally:
            await watching.close()

    # -- looking up

    def _find(self, provider_id: str, name: str) -> ServerFacts | None:
        """The machine behind a Node."""
        kind, separator, number = provider_id.partition("://")
        if separator and number.isdigit() and kind in ("hcloud", "hrobot"):
            machine = self._machines.get(int(number) if kind == "hcloud" else -int(number))
            return machine.facts if machine is not None else None
        return next((machine.facts for machine in self._machines.values() if machine.facts.name == name), None)

    def _at(self, address: str) -> ServerFacts | None:
        return next((machine.facts for machine in self._machines.values() if machine.address == address), None)

    def _all_addresses(self) -> set[str]:
        return {machine.address for machine in self._machines.values()}

    def _environment(self, machine: Machine) -> Mapping[str, str]:
        return machine.root.environment(
            self._directory / "addresses",
            self._metadata_urls.get(machine.address, ""),
            machine.architecture,
            None if self._tools else 1,
        )


async def _begin(cluster: Cluster, config: K3sConfig) -> None:
    """What a new cluster starts with; an API that has just begun has no namespaces yet."""
    while True:
        try:
            await install_addons(cluster, config)
        except ApiError:
            await asyncio.sleep(_PAUSE)
        else:
            return
