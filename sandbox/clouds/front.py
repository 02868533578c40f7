"""One steady address for the API of a region: connections go to any of its servers that answers."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from ..machines.balancer import both_ways

_PORT: Final = 6443
_CONNECT_SECONDS: Final = 1.0


class Front:
    """Listens on ``address``:6443.

    Args:
        address: A loopback address of the sandbox.
        servers: The loopback addresses of the region's servers at this moment.
    """

    def __init__(self, address: str, servers: Callable[[], Sequence[str]]) -> None:
        self.address = address
        self._servers = servers
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, self.address, _PORT)

    async def close(self) -> None:
        """Stop, with the connections that are open."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._forward(reader, writer)
        writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for server in self._servers():
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    there = await asyncio.open_connection(server, _PORT)
            except (OSError, TimeoutError):
                continue
            try:
                await both_ways((reader, writer), there)
            finally:
                there[1].close()
            return
