"""The processes of a machine: children with logs of their own, that end with it."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping
from functools import cache
from pathlib import Path


class Processes:
    """Starts processes in groups of their own, and ends all of them.

    Args:
        logs: Directory of their log files (mode 0600); made when needed.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, asyncio.subprocess.Process] = {}

    def pid(self, name: str) -> int | None:
        """Of a process that runs."""
        process = self._running.get(name)
        return process.pid if process is not None and process.returncode is None else None

    def log(self, name: str) -> Path:
        """Where a process writes to."""
        return self._logs / f"{name}.log"

    async def start(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """Start a process that writes to its log."""
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.open(self.log(name), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            return await self._spawn(name, command, environment, log, log)
        finally:
            os.close(log)

    async def start_talking(
        self, name: str, command: list[str], environment: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """Start a process whose output is read from its ``stdout``."""
        return await self._spawn(name, command, environment, asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT)

    def kill(self, name: str | None = None) -> None:
        """End one process, or all of them, as a power failure does."""
        for each, process in self._running.items():
            # A group lives on when only its first process has ended.
            if name in (None, each):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    async def wait(self) -> None:
        """Until all have ended."""
        await asyncio.gather(*(process.wait() for process in self._running.values()))
        self._running.clear()

    async def _spawn(
        self, name: str, command: list[str], environment: Mapping[str, str] | None, stdout: int, stderr: int
    ) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *_mortal(),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={"PATH": os.defpath} if environment is None else dict(environment),
            start_new_session=True,
        )
        self._running[name] = process
        return process


@cache
def _mortal() -> tuple[str, ...]:
    """What makes a process end with its parent even when that is killed, where the system knows how."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


def tail(file: Path, lines: int = 8) -> str:
    """The end of a log."""
    try:
        with file.open("rb") as log:
            log.seek(max(0, file.stat().st_size - 16384))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
