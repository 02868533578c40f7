"""The emulated Cloudflare alone, in a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web
from cloudflare import Cloudflare

from sandbox.cloudflare import CloudflareCloud
from sandbox.world import World

TOKEN = "t" * 40
ZONE, ACCOUNT = "a" * 32, "b" * 32


class Emulator:
    """Answers on a random port.

    Args:
        plan: Of the zone.
    """

    def __init__(self, plan: str = "pro") -> None:
        self.cloud = CloudflareCloud(World())
        self.cloud.add_account(ACCOUNT)
        self.cloud.add_zone("example.com", zone_id=ZONE, account_id=ACCOUNT, plan=plan)
        self.cloud.add_token(TOKEN)
        self.url = ""
        self.client: Cloudflare
        """The official client."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cloudflare", daemon=True)
        self._runner: web.AppRunner

    def start(self) -> None:
        self._thread.start()

        async def serve() -> None:
            self._runner = web.AppRunner(self.cloud.application(), access_log=None, shutdown_timeout=0.1)
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()

        asyncio.run_coroutine_threadsafe(serve(), self._loop).result(10)
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/client/v4"
        self.client = Cloudflare(api_token=TOKEN, base_url=self.url, max_retries=0)

    def stop(self) -> None:
        self.client.close()
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """A zone on the plan `pro`, or on the one that the test names."""
    running = Emulator(getattr(request, "param", "pro"))
    running.start()
    yield running
    running.stop()
