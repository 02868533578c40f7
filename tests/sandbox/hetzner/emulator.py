"""The emulated Hetzner cloud in a thread of its own, with machines that write down what they are told."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from aiohttp import web
from hcloud import Client

from sandbox.hetzner import AddressPool, Catalogue, HetznerCloud, Settings
from sandbox.machines.facts import BalancerFacts, ServerFacts
from sandbox.world import Clock, Latencies, World

Result = TypeVar("Result")

TOKEN = "t" * 64
READ_ONLY = "r" * 64


class Notes:
    """Machines that run nothing.

    ``told`` holds what they heard; ``servers`` and ``balancers`` what they heard last of each.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.servers: dict[int, ServerFacts] = {}
        self.balancers: dict[int, BalancerFacts] = {}
        self.states: dict[tuple[str, int], str] = {}

    def of(self, id: int) -> list[str]:
        """What was told about one."""
        return [event for event, about in self.told if about == id]

    def power_on(self, server: ServerFacts) -> None:
        self._note("power_on", server)

    def changed(self, server: ServerFacts) -> None:
        self._note("changed", server)

    def wipe(self, server: ServerFacts) -> None:
        self._note("wipe", server)

    def power_off(self, server_id: int) -> None:
        self.told.append(("power_off", server_id))

    def delete(self, server_id: int) -> None:
        self.told.append(("delete", server_id))
        self.servers.pop(server_id, None)

    def balance(self, balancer: BalancerFacts) -> None:
        self.balancers[balancer.id] = balancer

    def unbalance(self, balancer_id: int) -> None:
        self.balancers.pop(balancer_id, None)

    def health(self, balancer_id: int) -> Mapping[tuple[str, int], str]:
        del balancer_id
        return self.states

    def console(self, server_id: int) -> str:
        return f"console of {server_id}"

    def _note(self, event: str, server: ServerFacts) -> None:
        self.told.append((event, server.id))
        self.servers[server.id] = server


class Emulator:
    """A context manager: inside it, the cloud answers on a random port (`watch` holds its answers to the document).

    Args:
        catalogue: What is sold.
        latencies: Virtual seconds by name; nothing takes any time unless told.
        settings: See `Settings`; without a rate limit unless told.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        latencies: Mapping[str, float] | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.world = World(Clock(), Latencies(latencies))
        self._notes = Notes()
        settings = settings or Settings(rate_limit=False, addresses=AddressPool(250))
        self.cloud = HetznerCloud(self.world, catalogue, machines=self._notes, settings=settings)
        self.cloud.add_project("main", TOKEN, read_only_token=READ_ONLY)
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hetzner", daemon=True)
        self._runner: web.AppRunner | None = None
        self._http = httpx.Client(timeout=10, verify=False)

    @property
    def machines(self) -> Notes:
        """What the machines were told, now that nothing is on its way."""
        self.jump(0)
        return self._notes

    @property
    def client(self) -> Client:
        """The official client."""
        return Client(TOKEN, api_endpoint=self.url, poll_interval=0.005)

    def ask(self, method: str, path: str, json: Any = None, *, token: str = TOKEN, **more: Any) -> httpx.Response:
        """A bare request for a path below ``/v1``."""
        headers = {"Authorization": f"Bearer {token}"}
        return self._http.request(method, f"{self.url}{path}", json=json, headers=headers, **more)

    def refused(self, method: str, path: str, json: Any = None, **more: Any) -> tuple[int, str, list[str]]:
        """Status, code, and the fields that a refusal names."""
        answer = self.ask(method, path, json, **more)
        assert answer.status_code >= 400, answer.text
        error = answer.json()["error"]
        return (
            answer.status_code,
            error["code"],
            [field["name"] for field in (error["details"] or {}).get("fields", [])],
        )

    def made(self, path: str, json: Any) -> dict[str, Any]:
        """What a POST makes: the object alone."""
        answer = self.ask("POST", path, json)
        assert answer.status_code == 201, answer.text
        return answer.json()[path.rpartition("/")[2].removesuffix("s")]

    def jump(self, seconds: float) -> None:
        """Move the clock, and let happen what is due then."""
        self.call(lambda: self.world.clock.jump(seconds))
        # What is due is called in the loop's next rounds.
        for _ in range(3):
            self.call(lambda: None)

    def call(self, work: Callable[[], Result]) -> Result:
        """Do something in the cloud's thread."""

        async def on_loop() -> Result:
            return work()

        return self._wait(on_loop())

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        self._runner = web.AppRunner(self.cloud.application(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.close()
        if self._runner is not None:
            self._wait(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
