"""One machine: its disk, what it boots, and what runs on it."""

import asyncio
import os
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from .addresses import Addresses
from .cloud_init import CloudInitError, parse
from .configuration import K3sConfig
from .controller import Kubelet
from .facts import ServerFacts
from .root import Root

_LINES: Final = 400
_RESTARTS: Final = 300
_RESTART_SECONDS: Final = 0.3
_BOOT: Final = "platform-boot.service"

RunK3s = Callable[["Machine", str], Awaitable[None]]


class Machine:
    """A machine between its creation and its end.

    Args:
        facts: What the cloud says of it; a dedicated machine has a negative id.
        directory: Its own, below the room's.
        address: Its loopback address.
        addresses: The address map.
        run_k3s: Runs a k3s unit (``server`` or ``agent``) until it ends.
    """

    def __init__(
        self, facts: ServerFacts, directory: Path, address: str, addresses: Addresses, run_k3s: RunK3s
    ) -> None:
        self.facts, self.address = facts, address
        self.root = Root(directory)
        self.on = False
        self.kubelet: Kubelet | None = None
        self.identity = secrets.token_hex(8)
        self._addresses, self._run_k3s = addresses, run_k3s
        self._console: deque[str] = deque(maxlen=_LINES)
        self._task: asyncio.Task[None] | None = None

    # -- what it tells

    def say(self, line: str) -> None:
        """Write to its console; the same line twice in a row is written once."""
        if not self._console or self._console[-1] != line:
            self._console.append(line)

    @property
    def console(self) -> str:
        """What it wrote to its console."""
        return "\n".join(self._console)

    @property
    def private(self) -> str:
        """Its first private address; empty outside of any Network."""
        return self.facts.attachments[0].ip if self.facts.attachments else ""

    # -- power

    def power_on(self) -> None:
        """Start it."""
        if not self.on:
            self.on = True
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def power_off(self) -> None:
        """Cut it off: what runs ends at once."""
        self.on = False
        self.kubelet = None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def wipe(self) -> None:
        """Empty its disk."""
        self.identity = secrets.token_hex(8)
        self.root.wipe()

    def moved(self, facts: ServerFacts) -> None:
        """It was attached, detached or renamed."""
        self.facts = facts
        self._describe()

    # -- running

    async def _run(self) -> None:
        try:
            await self._boot()
        except CloudInitError as error:
            self.say(f"cloud-init: {error}")
            self.say("cloud-init: status: error; the machine runs, and nothing was configured")
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.say(f"{type(error).__name__}: {error}")

    async def _boot(self) -> None:
        marker = self.root.directory / "cloud-init-done"
        if not marker.exists():
            self.root.make()
            config = parse(self.facts.user_data)
            self.root.write(config.files)
            (self.root.directory / "enabled").write_text("\n".join(config.units))
            marker.touch()
            self.say("cloud-init: status: done")
        self._describe()
        units = (self.root.directory / "enabled").read_text().split()
        if _BOOT in units and not (self.root.disk / "var/lib/platform/booted").exists():
            await self._run_boot_script()
        for unit in self.root.started_units():
            if unit.startswith("k3s-"):
                await self._restart_for_ever(unit.removeprefix("k3s-").removesuffix(".service"))

    async def _run_boot_script(self) -> None:
        """As systemd runs the unit: again when it fails."""
        script = self.root.disk / "usr/local/lib/platform/boot.sh"
        for _ in range(_RESTARTS):
            process = await asyncio.create_subprocess_exec(
                *("/bin/sh", str(script)),
                env={**self.root.environment(self._network()), "PLATFORM_ATTEMPTS": "3000"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
            )
            assert process.stdout is not None
            try:
                async for line in process.stdout:
                    self.say(line.decode(errors="replace").rstrip())
                if await process.wait() == 0:
                    return
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, 9)
                    await process.wait()
            await asyncio.sleep(_RESTART_SECONDS)
        self.say("platform-boot.service: start request repeated too quickly; giving up")

    async def _restart_for_ever(self, role: str) -> None:
        for _ in range(_RESTARTS):
            await self._run_k3s(self, role)
            await asyncio.sleep(_RESTART_SECONDS)
        self.say(f"k3s-{role}.service: start request repeated too quickly; giving up")

    def k3s_config(self) -> K3sConfig:
        """k3s's configuration on its disk."""
        return K3sConfig.read(self.root.disk)

    def _describe(self) -> None:
        if self.root.directory.exists():
            metadata = {"hostname": self.facts.name, "instance-id": str(self.facts.id)}
            self.root.describe([each.ip for each in self.facts.attachments], metadata)

    def _network(self) -> Path:
        return self._addresses.of(self.facts.attachments[0].network_id if self.facts.attachments else 0)
