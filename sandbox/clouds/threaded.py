"""The clouds in a thread of this process: for previews, for runs without an engine, and for tests."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from .access import Access, new_secret
from .clouds import Clouds, Options

Result = TypeVar("Result")


class ThreadedClouds:
    """A context manager: inside it, the clouds run.

    Args:
        directory: For the machines; made when it is missing.
        options: See `Options`.
    """

    def __init__(self, directory: Path, options: Options | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="clouds", daemon=True)
        self.clouds = Clouds(directory, options or Options())

    @property
    def access(self) -> Access:
        """How to reach them."""
        return self.clouds.access

    def call(self, work: Callable[[], Result]) -> Result:
        """Do something with the clouds' own objects, in their thread."""

        async def on_loop() -> Result:
            return work()

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result()

    def new_project(self) -> Access:
        """A new, empty Hetzner project in the same clouds."""
        token = new_secret()
        self.call(lambda: self.clouds.hetzner.add_project(f"project-{token[:6]}", token))
        return replace(self.access, token=token)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.clouds.start(), self._loop).result()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self.clouds.close(), self._loop).result()
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
