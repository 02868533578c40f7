"""What tests and people may do to the clouds behind their clients' backs, over HTTP on the loopback network."""

import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..world import FaultError
from .overview import overview

if TYPE_CHECKING:
    from ..clouds import Clouds

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BODY_LIMIT = 64 * 1024 * 1024


class Control:
    """The control surface.

    ``GET /`` is the page; it shows what ``GET /overview`` tells. Everything but the page wants the token, as
    ``Authorization: Bearer`` or as the query's ``token``.

    Args:
        clouds: What is controlled.
        token: Who may.
    """

    def __init__(self, clouds: "Clouds", token: str) -> None:
        self._clouds = clouds
        self._token = token

    def application(self) -> web.Application:
        """Serves the surface."""
        application = web.Application(middlewares=[self._guard], client_max_size=_BODY_LIMIT)
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/overview", self._overview),
                web.get("/state", self._dump),
                web.put("/state", self._load),
                web.get("/faults", self._faults),
                web.post("/faults", self._add_fault),
                web.delete("/faults", self._clear_faults),
                web.get("/clock", self._clock),
                web.post("/clock", self._jump),
                web.get("/requests", self._requests),
                web.delete("/requests", self._clear_requests),
                web.get("/addresses", self._addresses),
                web.get("/servers/{id:\\d+}/console", self._console),
                web.post("/servers/{id:\\d+}/die", self._die),
                web.post("/restart", self._restart),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.query.get("token", "")
        if request.path != "/" and not hmac.compare_digest(given.encode(), self._token.encode()):
            return web.json_response({"error": "the control surface wants its own token"}, status=401)
        try:
            return await handler(request)
        except (FaultError, ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=422)

    async def _page(self, request: web.Request) -> web.Response:
        del request
        page = (resources.files(__name__.rpartition(".")[0]) / "page.html").read_text(encoding="utf-8")
        return web.Response(text=page, content_type="text/html")

    async def _overview(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(overview(self._clouds))

    async def _dump(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(self._clouds.dump())

    async def _load(self, request: web.Request) -> web.Response:
        self._clouds.load(await _object(request))
        return web.json_response({})

    async def _faults(self, request: web.Request) -> web.Response:
        del request
        return web.json_response([rule.shown() for rule in self._clouds.world.faults.rules])

    async def _add_fault(self, request: web.Request) -> web.Response:
        rule = self._clouds.world.faults.add(**await _object(request))
        return web.json_response(rule.shown(), status=201)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        del request
        self._clouds.world.faults.clear()
        return web.json_response([])

    async def _clock(self, request: web.Request) -> web.Response:
        del request
        clock = self._clouds.world.clock
        return web.json_response({"now": clock.now().isoformat(), "seconds": clock.seconds(), "speed": clock.speed})

    async def _jump(self, request: web.Request) -> web.Response:
        self._clouds.world.clock.jump(float((await _object(request))["seconds"]))
        return await self._clock(request)

    async def _requests(self, request: web.Request) -> web.Response:
        log = self._clouds.world.requests
        counts = [
            {"cloud": cloud, "method": method, "route": route, "status": status, "count": count}
            for (cloud, method, route, status), count in sorted(log.counts.items())
        ]
        newest = [asdict(entry) for entry in log.entries()[-int(request.query.get("newest", "100")) :]]
        return web.json_response({"total": log.total, "writes": log.writes(), "counts": counts, "newest": newest})

    async def _clear_requests(self, request: web.Request) -> web.Response:
        del request
        self._clouds.world.requests.clear()
        return web.json_response({})

    async def _addresses(self, request: web.Request) -> web.Response:
        del request
        room = self._clouds.room
        known = room.address_map() if room is not None else {}
        return web.json_response({f"{network}/{private}": address for (network, private), address in known.items()})

    async def _console(self, request: web.Request) -> web.Response:
        room = self._clouds.room
        return web.Response(text=room.console(int(request.match_info["id"])) if room is not None else "")

    async def _die(self, request: web.Request) -> web.Response:
        """The machine stops without the cloud's API knowing."""
        if self._clouds.room is not None:
            self._clouds.room.power_off(int(request.match_info["id"]))
        return web.json_response({})

    async def _restart(self, request: web.Request) -> web.Response:
        del request
        await self._clouds.restart()
        return web.json_response({})


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        content: Any = json.loads(await request.text())
    except ValueError as error:
        raise ValueError(f"the body is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise TypeError("the body must be a JSON object")
    return content  # pyright: ignore[reportUnknownVariableType]  JSON
