"""Progress while something works: one line that changes on a terminal, a line a stack elsewhere."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status


@contextmanager
def progress(console: Console) -> Generator[Callable[[str, str, str], None]]:
    """Yields a function of stack, operation and URN that shows how far the work is."""
    if not console.is_terminal:
        console.print("previewing shared, prod and dr ...")
    with Steps(console) as steps:
        yield steps.note


class Steps:
    """Shows steps of several stacks, also of such as work at the same time."""

    _EVERY_SECONDS = 10.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._told = 0.0

    def note(self, stack: str, operation: str, urn: str) -> None:
        """One more step."""
        with self._lock:
            self._counts[stack] = self._counts.get(stack, 0) + 1
            if self._status is not None:
                self._status.update(f"{self._sum()}: {operation} {urn.rpartition('::')[2]}")
            elif self._counts[stack] == 1 or time.monotonic() - self._told > self._EVERY_SECONDS:
                self._told = time.monotonic()
                self._console.print(f"  {self._sum()}")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("starting ...")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def _sum(self) -> str:
        return ", ".join(f"{stack} {count}" for stack, count in self._counts.items())
