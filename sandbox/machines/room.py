"""All machines and load balancers of a sandbox."""

import asyncio
import shutil
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Literal

from ..world import Clock
from .addresses import Addresses
from .balancer import Balancer
from .cluster import Cluster
from .controller import Controller, Kubelet
from .etcd import EtcdError
from .facts import Attachment, BalancerFacts, ServerFacts
from .k3s import Place, RefusedError, Server, Tools, join_agent
from .machine import Machine
from .processes import Process

_WATCH_SECONDS = 0.5


class MachineRoom:
    """Implements `Machines` in the running event loop.

    Args:
        directory: For disks and logs; mode 0700.
        clock: The world's.
        tools: Of control-plane servers; needed to boot in full.
        octet: N of the sandbox's 127.N.0.0/16.
        boot: ``full`` starts k3s's parts; ``booted`` ends when the boot script would start k3s.
    """

    def __init__(
        self,
        directory: Path,
        clock: Clock,
        tools: Tools | None,
        *,
        octet: int,
        boot: Literal["full", "booted"] = "full",
    ) -> None:
        self._directory, self._clock, self._tools, self._boot = directory, clock, tools, boot
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._map = Addresses(octet, directory / "addresses")
        self._machines: dict[int, Machine] = {}
        self._balancers: dict[int, Balancer] = {}
        self._clusters: list[Cluster] = []
        self._controllers: dict[str, tuple[asyncio.Task[None], Process | None]] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()
        self._robots = 0

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
        """Loopback addresses of machines that run and carry these labels, servers whose API serves first."""
        serving = {server.address for cluster in self._clusters for server in cluster.live}
        found = [
            machine.address
            for machine in self._machines.values()
            if machine.on and labels.items() <= machine.facts.labels.items()
        ]
        return sorted(found, key=lambda address: address not in serving)

    def join_robot(self, name: str, user_data: str, attachment: Attachment) -> int:
        """A dedicated machine that is given its join bundle; returns its number for `console` and `remove_robot`."""
        self._robots -= 1
        facts = ServerFacts(self._robots, name, user_data, attachments=(attachment,))
        self.power_on(facts)
        return self._robots

    async def settled(self) -> None:
        """Until everything that was told so far has been done."""
        while self._work:
            await asyncio.gather(*self._work, return_exceptions=True)

    async def close(self) -> None:
        """End everything that runs."""
        await self.settled()
        for balancer in self._balancers.values():
            await balancer.close()
        await asyncio.gather(*(self._stop_controller(key) for key in list(self._controllers)))
        await asyncio.gather(*(machine.power_off() for machine in self._machines.values()))
        for cluster in self._clusters:
            await cluster.close()

    # -- how it is done: one thing after the other, in the order in which it was told

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        async def in_order() -> None:
            async with self._order:
                await work

        task = asyncio.get_running_loop().create_task(in_order())
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _power_on(self, facts: ServerFacts) -> None:
        machine = self._machines.get(facts.id)
        if machine is None:
            directory = self._directory / str(facts.id)
            address = facts.public_ipv4 or self._map.allocate()
            machine = self._machines[facts.id] = Machine(facts, directory, address, self._map, self._run_k3s)
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._place(machine, facts)
        machine.power_on()

    def _place(self, machine: Machine, facts: ServerFacts) -> None:
        self._map.forget(machine.address)
        for attachment in facts.attachments:
            self._map.set(attachment.network_id, attachment.ip, machine.address)
        machine.moved(facts)

    async def _power_off(self, id: int) -> None:
        if id in self._machines:
            await self._machines[id].power_off()

    async def _changed(self, facts: ServerFacts) -> None:
        if facts.id in self._machines:
            self._place(self._machines[facts.id], facts)

    async def _wipe(self, facts: ServerFacts) -> None:
        await self._power_off(facts.id)
        if facts.id in self._machines:
            self._machines[facts.id].wipe()
        await self._power_on(facts)

    async def _delete(self, id: int) -> None:
        machine = self._machines.pop(id, None)
        if machine is None:
            return
        await machine.power_off()
        self._map.forget(machine.address)
        shutil.rmtree(machine.root.directory, ignore_errors=True)
        for cluster in list(self._clusters):
            cluster.servers = [server for server in cluster.servers if server.address != machine.address]
            if not cluster.servers:
                # Nobody has its data any more.
                await self._stop_controller(cluster.root_hash)
                await cluster.close()
                self._clusters.remove(cluster)

    async def _balance(self, facts: BalancerFacts) -> None:
        balancer = self._balancers.get(facts.id)
        if balancer is None:
            address = facts.public_ipv4 or self._map.allocate()
            balancer = self._balancers[facts.id] = Balancer(facts, address, self._map.find)
        self._map.forget(balancer.address)
        for attachment in facts.attachments:
            self._map.set(attachment.network_id, attachment.ip, balancer.address)
        await balancer.update(facts)

    async def _unbalance(self, id: int) -> None:
        balancer = self._balancers.pop(id, None)
        if balancer is not None:
            self._map.forget(balancer.address)
            await balancer.close()

    # -- k3s

    async def _run_k3s(self, machine: Machine, role: str) -> None:
        """Run k3s until it ends, and write down why."""
        if self._boot == "booted" or self._tools is None:
            machine.say(f"k3s-{role}: not started: there are no Kubernetes programs on this machine")
            await asyncio.Event().wait()
        try:
            await (self._run_server(machine) if role == "server" else self._run_agent(machine))
        except (RefusedError, EtcdError, ValueError, OSError) as error:
            machine.say(f"k3s-{role}: level=fatal msg={str(error)!r}")

    async def _run_server(self, machine: Machine) -> None:
        assert self._tools is not None
        server = Server(self._tools, machine.k3s_config(), self._place_of(machine), machine.say)
        try:
            # Twice the same config is read: a restart may find other drop-ins.
            cluster = await server.start(self._clusters, self._finder(machine))
            machine.say(f"k3s-server: {server.name} serves the API")
            self._register(machine, server.config, cluster, is_server=True)
            while server.runs:
                await asyncio.sleep(_WATCH_SECONDS)
            machine.say("k3s-server: etcd or the API server ended")
        finally:
            machine.kubelet = None
            await asyncio.shield(server.stop(at_once=not machine.on))
            if server.cluster is not None and server in server.cluster.servers:
                server.cluster.servers.remove(server)
                self._keep_seat(server)

    def _keep_seat(self, server: Server) -> None:
        """The cluster knows that this machine holds its data, though nothing runs on it."""
        assert server.cluster is not None
        server.cluster.servers.append(server)

    async def _run_agent(self, machine: Machine) -> None:
        config = machine.k3s_config()
        cluster = await join_agent(config, self._place_of(machine), self._clusters, self._finder(machine))
        machine.say(f"k3s-agent: {config.text('node-name')} joined")
        self._register(machine, config, cluster, is_server=False)
        try:
            await asyncio.Event().wait()
        finally:
            machine.kubelet = None

    def _register(self, machine: Machine, config: Any, cluster: Cluster, *, is_server: bool) -> None:
        facts = machine.facts
        machine.kubelet = Kubelet(config, is_server, facts.public_ipv4, facts.location, facts.server_type)
        machine.cluster = cluster.root_hash  # pyright: ignore[reportAttributeAccessIssue]
        if cluster.root_hash not in self._controllers:
            controller = Controller(
                cluster,
                lambda: self._kubelets(cluster.root_hash),
                self._exists,
                machine.say,
            )
            task = asyncio.get_running_loop().create_task(controller.work())
            self._controllers[cluster.root_hash] = (task, None)
            self._later(self._start_manager(cluster))

    def _kubelets(self, root_hash: str) -> dict[str, Kubelet]:
        return {
            machine.kubelet.name: machine.kubelet
            for machine in self._machines.values()
            if machine.kubelet is not None and getattr(machine, "cluster", "") == root_hash
        }

    def _exists(self, provider_id: str, name: str) -> bool:
        if provider_id.startswith("hcloud://"):
            return int(provider_id.removeprefix("hcloud://")) in self._machines
        return any(machine.facts.id < 0 and machine.facts.name == name for machine in self._machines.values())

    async def _start_manager(self, cluster: Cluster) -> None:
        """The controller manager, on whoever leads: one for the cluster."""
        from .manager import start_manager  # noqa: PLC0415

        task, manager = self._controllers.get(cluster.root_hash, (None, None))
        if task is None or manager is not None or self._tools is None or not cluster.live:
            return
        started = await start_manager(self._tools.kube_controller_manager, cluster, self._directory / "managers")
        self._controllers[cluster.root_hash] = (task, started)

    async def _stop_controller(self, root_hash: str) -> None:
        task, manager = self._controllers.pop(root_hash, (None, None))
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if manager is not None:
            await manager.stop(at_once=True)

    def _place_of(self, machine: Machine) -> Place:
        logs = machine.root.directory / "logs"
        return Place(machine.root.disk, logs, machine.address, machine.private, machine.identity)

    def _finder(self, machine: Machine) -> Any:
        network = machine.facts.attachments[0].network_id if machine.facts.attachments else None
        return lambda address: self._map.find(network, address)
