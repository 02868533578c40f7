"""The metadata service of each machine: what Hetzner answers at 169.254.169.254, at the machine's loopback address."""

from collections.abc import Callable
from typing import Any, Final

import yaml
from aiohttp import web

from .facts import ServerFacts

PORT: Final = 8254
_BASE: Final = "/hetzner/v1"


class Metadata:
    """Answers machines about themselves; whoever asks is known by the address that is asked.

    Args:
        find: The machine at a loopback address.
    """

    def __init__(self, find: Callable[[str], ServerFacts | None]) -> None:
        self._find = find
        self._runner: web.AppRunner | None = None
        self._sites: dict[str, web.TCPSite] = {}

    async def serve(self, address: str) -> str:
        """Serve at an address; the URL for ``PLATFORM_METADATA``.

        Raises:
            OSError: the port is taken there.
        """
        if self._runner is None:
            application = web.Application()
            application.router.add_get(f"{_BASE}/metadata", self._all)
            application.router.add_get(f"{_BASE}/metadata/{{key}}", self._one)
            application.router.add_get(f"{_BASE}/userdata", self._user_data)
            self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await self._runner.setup()
        if address not in self._sites:
            site = web.TCPSite(self._runner, address, PORT)
            await site.start()
            self._sites[address] = site
        return f"http://{address}:{PORT}{_BASE}/metadata"

    async def stop(self, address: str) -> None:
        """Serve there no longer."""
        site = self._sites.pop(address, None)
        if site is not None:
            await site.stop()

    async def close(self) -> None:
        """Stop everywhere."""
        self._sites.clear()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _facts(self, request: web.Request) -> ServerFacts:
        assert request.transport is not None
        facts = self._find(request.transport.get_extra_info("sockname")[0])
        if facts is None:
            raise web.HTTPNotFound
        return facts

    async def _all(self, request: web.Request) -> web.Response:
        facts = self._facts(request)
        plain = {key: value for key, value in _values(facts).items() if key != "private-networks"}
        content: dict[str, Any] = {**plain, "instance-id": facts.id, "network-config": {"version": 1, "config": []}}
        return web.Response(text=yaml.safe_dump(content, sort_keys=True))

    async def _one(self, request: web.Request) -> web.Response:
        value = _values(self._facts(request)).get(request.match_info["key"])
        if value is None:
            raise web.HTTPNotFound(text="not found")
        return web.Response(text=value)

    async def _user_data(self, request: web.Request) -> web.Response:
        return web.Response(text=self._facts(request).user_data)


def _values(facts: ServerFacts) -> dict[str, str]:
    networks: list[dict[str, Any]] = [
        {
            "ip": place.ip,
            "alias_ips": [],
            "interface_num": number,
            "mac_address": place.mac,
            "network_id": place.network_id,
        }
        for number, place in enumerate(facts.attachments, 1)
    ]
    return {
        "hostname": facts.name,
        "instance-id": str(facts.id),
        "public-ipv4": facts.public_ipv4 or "",
        "region": facts.location,
        "private-networks": yaml.safe_dump(networks, sort_keys=False),
    }
