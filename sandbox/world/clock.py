"""Time in the sandbox: it runs as fast as told, and jumps."""

import asyncio
import datetime
import heapq
import itertools
import time
from collections.abc import Callable


class Clock:
    """Virtual time, for one event loop.

    Args:
        speed: Virtual seconds a real second.
        started: What it shows at first; the present unless told.
    """

    def __init__(self, speed: float = 1.0, started: datetime.datetime | None = None) -> None:
        if speed <= 0:
            raise ValueError("a clock's speed must be above 0")
        self.speed = speed
        self._started = started or datetime.datetime.now(datetime.UTC)
        self._origin = time.monotonic()
        self._jumped = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def seconds(self) -> float:
        """Virtual seconds since the clock was made."""
        return (time.monotonic() - self._origin) * self.speed + self._jumped

    def now(self) -> datetime.datetime:
        """The virtual date and time, UTC."""
        return self._started + datetime.timedelta(seconds=self.seconds())

    def jump(self, seconds: float) -> None:
        """Move the clock; what is due then is called on the loop. Called on the loop too."""
        self._jumped += seconds
        self._set_timer()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back after so many virtual seconds; at 0 as soon as the loop is free."""
        if seconds <= 0:
            asyncio.get_running_loop().call_soon(callback)
            return
        heapq.heappush(self._due, (self.seconds() + seconds, next(self._order), callback))
        self._set_timer()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many virtual seconds."""
        woken = asyncio.Event()
        self.call_later(seconds, woken.set)
        await woken.wait()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due:
            wait = max(0.0, (self._due[0][0] - self.seconds()) / self.speed)
            self._timer = asyncio.get_running_loop().call_later(wait, self._fire)

    def _fire(self) -> None:
        self._timer = None
        while self._due and self._due[0][0] <= self.seconds():
            heapq.heappop(self._due)[2]()
        self._set_timer()
