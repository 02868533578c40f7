"""A program that runs on a machine: a child with a log of its own, that ends with the sandbox."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

_TERM_SECONDS: Final = 5.0
_TAIL: Final = 4000


class Process:
    """A running program. Its group is its own, and all of it ends together.

    Args:
        process: The child.
        log: Where it writes to.
    """

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.log = log
        self._process = process

    @classmethod
    async def start(cls, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> "Process":
        """Start a program; its log has mode 0600, and no environment but this one reaches it.

        Raises:
            OSError: it cannot be run.
        """
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            process = await asyncio.create_subprocess_exec(
                *mortal(),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env={"PATH": os.defpath, **(environment or {})},
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        return cls(process, log)

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Until it ends; its exit code."""
        return await self._process.wait()

    def kill(self) -> None:
        """End it as a power failure does, without waiting."""
        self._signal(signal.SIGKILL)

    async def stop(self, *, at_once: bool = False) -> None:
        """End it: asked first, unless ``at_once``, as a power failure does."""
        if self.runs and not at_once:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TERM_SECONDS):
                    await self._process.wait()
        # A group lives on when only its first process has ended.
        self._signal(signal.SIGKILL)
        await self._process.wait()

    def tail(self, characters: int = _TAIL) -> str:
        """The end of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - characters))
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@cache
def mortal() -> tuple[str, ...]:
    """What makes a child end with the thread that starts it, even when its process is killed, where the system knows how."""
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()


async def run(command: Sequence[str], environment: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Run a command whose lines are told as they come; its exit code. It ends when the caller is cancelled.

    Raises:
        OSError: it cannot be run.
    """
    process = await asyncio.create_subprocess_exec(
        *mortal(),
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            say(line.decode(errors="replace").rstrip())
        return await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
