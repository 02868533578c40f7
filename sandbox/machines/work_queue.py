"""Work that is named by a key: what is asked for twice before it begins is done once, and what fails is tried again."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from .api import ApiError

_FIRST_PAUSE: Final = 0.1
_LAST_PAUSE: Final = 5.0

KeyT = TypeVar("KeyT", bound=Hashable)


class WorkQueue(Generic[KeyT]):
    """Never does the same key twice at a time.

    Args:
        do: The work.
        say: Where troubles are told, except that somebody else was faster.
    """

    def __init__(self, do: Callable[[KeyT], Awaitable[None]], say: Callable[[str], None]) -> None:
        self._do, self._say = do, say
        self._queue: asyncio.Queue[KeyT] = asyncio.Queue()
        self._waiting: set[KeyT] = set()
        self._busy: set[KeyT] = set()
        self._failures: dict[KeyT, int] = {}

    def put(self, key: KeyT) -> None:
        """It is to be done."""
        if key not in self._waiting:
            self._waiting.add(key)
            if key not in self._busy:
                self._queue.put_nowait(key)

    async def work(self, workers: int = 1) -> None:
        """For ever."""
        await asyncio.gather(*(self._work() for _ in range(workers)))

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._waiting.discard(key)
            self._busy.add(key)
            try:
                await self._do(key)
                self._failures.pop(key, None)
            except ApiError as error:
                if error.status not in (404, 409):
                    self._say(f"{key}: {error}")
                self._again(key)
            # One object that nobody thought of must not stop the work on all others.
            except Exception as error:
                self._say(f"{key}: {type(error).__name__}: {error}")
                self._again(key)
            finally:
                self._busy.discard(key)
                if key in self._waiting:
                    self._queue.put_nowait(key)

    def _again(self, key: KeyT) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_FIRST_PAUSE * 2 ** (failures - 1), _LAST_PAUSE)
        asyncio.get_running_loop().call_later(pause, self.put, key)
