"""Runs the emulated clouds in the current event loop."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from aiohttp import web

from ..cloudflare import CloudflareCloud
from ..control import Control
from ..hetzner import AddressPool, Catalogue, HetznerCloud, Settings
from ..world import Clock, Latencies, World
from .access import Access, new_secret
from .front import Front
from .loopback import Loopback

if TYPE_CHECKING:
    from ..machines import MachineRoom, Tools

_CHECKOUT: Final = Path(__file__).resolve().parents[2]

PROJECT: Final = "platform"
"""The Hetzner project that the platform is in."""
OTHER_PROJECT: Final = "other"
"""An empty one, for a token astray."""


@dataclass(frozen=True)
class Options:
    """What a sandbox is like.

    Args:
        machines: ``full`` starts real API servers, ``booted`` runs the boot scripts alone, ``off`` runs nothing.
        tools: What ``full`` needs.
        catalogue: Price list with types and locations.
        latencies: How long the clouds take; nothing takes any time unless told.
        speed: Of the virtual clock.
        rate_limit: Whether Hetzner's limit of 3,600 requests an hour is on.
        in_stock: Whether every server type can be had, whatever the price list says.
        servers: How many servers the project may have.
        zone: The Cloudflare zone that exists.
        zone_id: Its id, 32 hexadecimal digits.
        account_id: Of the account that it is in.
        plan: Its plan.
        regions: Index by name of the regions whose API has a steady address; the index is that of the address plan.
        object_store: Of a running S3 server: ``host:port``, access key id, secret key.
        ports: Of Hetzner, Cloudflare and the control surface; 0 takes a free one.
    """

    machines: Literal["full", "booted", "off"] = "off"
    tools: "Tools | None" = None
    catalogue: Path = _CHECKOUT / "config" / "prices.yaml"
    latencies: Mapping[str, float] = field(default_factory=dict[str, float])
    speed: float = 1.0
    rate_limit: bool = True
    in_stock: bool = True
    servers: int = 100
    zone: str = "example.com"
    zone_id: str = "0" * 32
    account_id: str = "0" * 32
    plan: str = "pro"
    regions: Mapping[str, int] = field(default_factory=dict[str, int])
    object_store: tuple[str, str, str] = ("", "", "")
    ports: tuple[int, int, int] = (0, 0, 0)


class Clouds:
    """Hetzner, Cloudflare, machines and control surface on one part of the loopback network.

    Args:
        directory: For the machines' disks; made with mode 0700.
        options: See `Options`.
    """

    access: Access

    def __init__(self, directory: Path, options: Options) -> None:
        self.directory = directory
        self.options = options
        self.world: World
        self.hetzner: HetznerCloud
        self.cloudflare: CloudflareCloud
        self.room: MachineRoom | None = None
        self._loopback: Loopback | None = None
        self._runners: list[web.AppRunner] = []
        self._fronts: list[Front] = []

    async def start(self) -> None:
        """Start everything; ``access`` is known then.

        Raises:
            LoopbackError: too many sandboxes run.
            OSError: a port is taken.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = self.options
        self._loopback = loopback = Loopback()
        self.world = World(Clock(options.speed), Latencies(options.latencies))
        if options.machines != "off":
            # Previews have no machines.
            from ..controllers import controllers  # noqa: PLC0415
            from ..machines import MachineRoom  # noqa: PLC0415

            self.room = MachineRoom(
                self.directory,
                self.world.clock,
                options.tools,
                octet=loopback.octet,
                boot=options.machines,
                attendants=[controllers(lambda: self.access.hetzner)],
            )
        self.hetzner = HetznerCloud(
            self.world,
            Catalogue.read(options.catalogue),
            machines=self.room,
            settings=Settings(
                rate_limit=options.rate_limit,
                in_stock=options.in_stock,
                servers=options.servers,
                addresses=AddressPool(loopback.octet),
            ),
        )
        self.cloudflare = CloudflareCloud(self.world)
        tokens = {name: new_secret() for name in ("own", "read_only", "other", "api", "control")}
        self.hetzner.add_project(PROJECT, tokens["own"], read_only_token=tokens["read_only"])
        self.hetzner.add_project(OTHER_PROJECT, tokens["other"])
        self.cloudflare.add_account(options.account_id)
        self.cloudflare.add_zone(
            options.zone, zone_id=options.zone_id, account_id=options.account_id, plan=options.plan
        )
        self.cloudflare.add_token(tokens["api"])
        control = Control(self, tokens["control"])
        ports = [
            await self._serve(application, port)
            for application, port in zip(
                (self.hetzner.application(), self.cloudflare.application(), control.application()),
                options.ports,
                strict=True,
            )
        ]
        fronts = await self._start_fronts(loopback)
        store, user, password = options.object_store
        self.access = Access(
            hetzner=f"http://127.0.0.1:{ports[0]}/v1",
            cloudflare=f"http://127.0.0.1:{ports[1]}/client/v4",
            control=f"http://127.0.0.1:{ports[2]}",
            token=tokens["own"],
            read_only_token=tokens["read_only"],
            other_token=tokens["other"],
            api_token=tokens["api"],
            control_token=tokens["control"],
            fronts=fronts,
            object_store=store,
            object_store_user=user,
            object_store_password=password,
            pid=os.getpid(),
        )

    async def close(self) -> None:
        """Stop everything that was started."""
        for front in self._fronts:
            await front.close()
        if self.room is not None:
            await self.room.close()
        for runner in self._runners:
            await runner.cleanup()
        if self._loopback is not None:
            self._loopback.release()

    def dump(self) -> dict[str, Any]:
        """What is in the clouds, as JSON."""
        return {"hetzner": self.hetzner.dump(), "cloudflare": self.cloudflare.dump()}

    def load(self, content: Mapping[str, Any]) -> None:
        """Put back what `dump` told."""
        self.hetzner.load(content["hetzner"])
        self.cloudflare.load(content["cloudflare"])

    async def restart(self) -> None:
        """Stop answering for a moment, and go on with the same objects: as when a cloud's API is restarted."""
        ports = [runner.addresses[0][1] for runner in self._runners[:2]]
        content = self.dump()
        for runner in self._runners[:2]:
            await runner.cleanup()
        self.load(content)
        applications = (self.hetzner.application(), self.cloudflare.application())
        restarted: list[web.AppRunner] = []
        for application, port in zip(applications, ports, strict=True):
            await self._serve(application, port, restarted)
        self._runners[:2] = restarted

    def servers_of(self, region: str) -> Sequence[str]:
        """The loopback addresses of a region's control-plane servers."""
        if self.room is None:
            return ()
        return self.room.addresses({"cluster": region, "role": "server"})

    async def _serve(self, application: web.Application, port: int, runners: list[web.AppRunner] | None = None) -> int:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        (self._runners if runners is None else runners).append(runner)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return int(runner.addresses[0][1])

    async def _start_fronts(self, loopback: Loopback) -> dict[str, str]:
        fronts: dict[str, str] = {}
        for region, index in self.options.regions.items():
            address = str(loopback.front(index))
            if self.options.machines != "off":
                front = Front(address, lambda region=region: self.servers_of(region))
                await front.start()
                self._fronts.append(front)
            fronts[region] = f"{address}:6443"
        return fronts
