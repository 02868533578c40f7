"""Rooms of machines on a part of the loopback network that nobody else has."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sandbox.clouds import Loopback
from sandbox.machines import PROGRAMS, MachineRoom, Tools
from sandbox.toolchain import find_tool
from sandbox.world import Clock

T = TypeVar("T")


class Running:
    """A room in an event loop of its own, so that tests need none."""

    def __init__(self, make: Callable[[], MachineRoom]) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.room = self.call(make)

    def call(self, function: Callable[[], T]) -> T:
        """Call on the loop."""

        async def on_loop() -> T:
            return function()

        return self.wait(on_loop())

    def wait(self, work: Coroutine[Any, Any, T], seconds: float = 60) -> T:
        """The result of a coroutine."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def tell(self, event: str, *arguments: Any) -> Any:
        """Tell the room something, and wait until that is done."""
        result = self.call(lambda: getattr(self.room, event)(*arguments))
        self.wait(self.room.settled())
        return result

    def until(self, condition: Callable[[], T], seconds: float = 60, why: Callable[[], object] = lambda: "") -> T:
        """Look until it holds."""
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"not within {seconds:.0f} s: {why()}"
            time.sleep(0.05)
        return found

    def until_console(self, id: int, text: str, seconds: float = 60) -> str:
        """The console, once it says something."""
        self.until(lambda: text in self.room.console(id), seconds, lambda: f"{text!r} in\n{self.room.console(id)}")
        return self.room.console(id)

    def close(self) -> None:
        self.wait(self.room.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


def tools() -> Tools:
    """Real programs; tests that need them are skipped where there are none."""
    given = os.environ.get("SANDBOX_TOOLS")
    if given:
        return Tools(*(Path(given) / name for name in PROGRAMS))
    found = [find_tool(name) for name in PROGRAMS]
    if None in found:
        pytest.skip(
            "not all of etcd, kube-apiserver, -controller-manager and -scheduler are in the cache: `make toolchain` gets them"
        )
    return Tools(*(tool.path for tool in found if tool is not None))


@pytest.fixture(scope="module")
def loopback() -> Iterator[Loopback]:
    held = Loopback()
    yield held
    held.release()


@pytest.fixture
def booted(loopback: Loopback, tmp_path: Path) -> Iterator[Running]:
    """A room without Kubernetes programs."""
    running = Running(lambda: MachineRoom(tmp_path / "room", Clock(), None, octet=loopback.octet, boot="booted"))
    yield running
    running.close()
