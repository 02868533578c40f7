"""One machine: its disk, what it boots, and the units that run on it."""

import asyncio
import shlex
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from . import units
from .cloud_init import CloudConfig, CloudInitError, parse
from .facts import ServerFacts
from .processes import run
from .root import Root

_LINES: Final = 1000
_RESTARTS: Final = 1000
_K3S: Final = "/usr/local/bin/k3s"
_BOOTED: Final = "var/lib/cloud/instance/boot-finished"

RunK3s = Callable[["Machine", str], Awaitable[int]]
Environment = Callable[["Machine"], Mapping[str, str]]


class Machine:
    """A machine between its creation and its end.

    Args:
        facts: What the cloud says of it; a dedicated machine has a negative id.
        root: Its disk.
        address: Its loopback address.
        environment: What its scripts run with.
        run_k3s: Runs k3s as ``server`` or ``agent`` until it ends; its exit code.
        restarts: How often a unit is started again.
    """

    def __init__(
        self,
        facts: ServerFacts,
        root: Root,
        address: str,
        environment: Environment,
        run_k3s: RunK3s,
        restarts: int = _RESTARTS,
    ) -> None:
        self.facts, self.root, self.address = facts, root, address
        self.on = False
        self._environment, self._run_k3s, self._restarts = environment, run_k3s, restarts
        self._console: deque[str] = deque(maxlen=_LINES)
        self._units: dict[str, asyncio.Task[None]] = {}
        self._ran: dict[str, tuple[units.Unit, asyncio.Event]] = {}
        """Units that were started, and whether each has run once."""

    @property
    def dedicated(self) -> bool:
        """Whether it is no cloud server."""
        return self.facts.id < 0

    @property
    def architecture(self) -> str:
        """As ``uname -m`` tells it."""
        return "aarch64" if self.facts.server_type.startswith("cax") else "x86_64"

    @property
    def console(self) -> str:
        """What it wrote to its console."""
        return "".join(f"{line}\n" for line in self._console)

    def say(self, text: str) -> None:
        """Write to its console; the same line twice in a row is written once."""
        for line in text.splitlines():
            if not self._console or self._console[-1] != line:
                self._console.append(line)

    def moved(self, facts: ServerFacts) -> None:
        """It was attached, detached, renamed or labelled."""
        self.facts = facts
        if self.root.directory.exists():
            self.root.describe(facts.public_ipv4, facts.attachments, dedicated=self.dedicated)

    # -- power

    def power_on(self) -> None:
        """Start it: the first time it does what its user_data says, later what is enabled on its disk."""
        self.on = True
        self.root.make()
        self.moved(self.facts)
        marker = self.root.disk / _BOOTED
        if marker.exists():
            for name in units.enabled(self.root.disk):
                self._start(name)
            return
        try:
            self._initialize(parse(self.facts.user_data))
        except (CloudInitError, OSError) as error:
            reasons = error.reasons if isinstance(error, CloudInitError) else [str(error)]
            self.say("\n".join(f"cloud-init: error: {reason}" for reason in reasons))
            self.say("cloud-init: status: error")
            return
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        self.say("cloud-init: status: done")

    async def power_off(self) -> None:
        """Cut it off: what runs ends at once."""
        self.on = False
        tasks = list(self._units.values())
        self._units.clear()
        self._ran.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- booting

    def _initialize(self, config: CloudConfig) -> None:
        """cloud-init's part."""
        self.root.write(config.files)
        if config.packages:
            self.say(f"cloud-init: packages are not installed here: {' '.join(config.packages)}")
        for kind in config.ignored:
            self.say(f"cloud-init: a part of the kind {kind} is not run here")
        for command in config.commands:
            self._obey(command if len(command) > 1 else shlex.split(command[0]))

    def _obey(self, command: Sequence[str]) -> None:
        """The only command that machines of the sandbox know is ``systemctl``."""
        if command[:1] != ["systemctl"]:
            self.say(f"cloud-init: not run here: {shlex.join(command)}")
            return
        enabled, started = units.asked(command[1:])
        for name in enabled:
            if units.read_unit(self.root.disk, name) is not None:
                units.enable(self.root.disk, name)
        for name in started:
            self._start(name)

    def _start(self, name: str) -> None:
        unit = units.read_unit(self.root.disk, name)
        if unit is None:
            self.say(f"systemd: {name} is none of the machine's own units: not started here")
        elif name not in self._units or self._units[name].done():
            self._ran[name] = (unit, asyncio.Event())
            self._units[name] = asyncio.get_running_loop().create_task(self._run(unit))

    async def _run(self, unit: units.Unit) -> None:
        """As systemd does: again when it ends, if the unit says so."""
        _, ran = self._ran[unit.name]
        if unit.unless is not None and self.root.path(unit.unless).exists():
            ran.set()
            return
        for earlier, done in list(self._ran.values()):
            if unit.name in earlier.before:
                await done.wait()
        for _ in range(self._restarts):
            try:
                code = await self._execute(unit)
            except Exception as error:
                self.say(f"{unit.name}: {type(error).__name__}: {error}")
                code = 1
            ran.set()
            for words in self.root.asked_of_systemd():
                self._obey(["systemctl", *words])
            if not unit.restarts(code):
                return
            await asyncio.sleep(unit.pause)
        self.say(f"systemd: {unit.name}: start request repeated too quickly: not started again")

    async def _execute(self, unit: units.Unit) -> int:
        program = self.root.path(unit.command[0])
        if not program.exists():
            self.say(f"systemd: {unit.name}: {unit.command[0]}: No such file or directory")
            return 203
        if unit.command[0] == _K3S:
            return await self._run_k3s(self, unit.command[1])
        return await run([str(program), *unit.command[1:]], self._environment(self), self.say)
