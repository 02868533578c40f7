"""What all emulated clouds share."""

import asyncio
import json
import re
import secrets
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .clock import Clock
from .faults import Fault, Faults
from .latencies import Latencies
from .requests import Request, RequestLog

_NUMBERS: Final = re.compile(r"/(\d+|[0-9a-f]{32}|[0-9a-f-]{36})(?=/|$)")

_CODES: Final = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    412: "resource_unavailable",
    423: "locked",
    429: "rate_limit_exceeded",
    500: "server_error",
    502: "bad_gateway",
    503: "unavailable",
    504: "timeout",
}
"""The codes that Hetzner's API uses with these statuses."""


class World:
    """Time, faults, latencies and the log of requests."""

    def __init__(self, clock: Clock | None = None, latencies: Latencies | None = None) -> None:
        self.clock = clock or Clock()
        self.latencies = latencies or Latencies()
        self.faults = Faults(self.clock)
        self.requests = RequestLog()

    def middlewares(self, cloud: str) -> list[Middleware]:
        """What an emulator's application puts first: faults and the log of requests."""

        @web.middleware
        async def meddle(request: web.Request, handler: Handler) -> web.StreamResponse:
            status = 0
            try:
                response = await self._answer(cloud, request, handler)
                status = response.status
                return response
            except web.HTTPException as error:
                status = error.status
                raise
            finally:
                self._note(cloud, request, status)

        return [meddle]

    async def _answer(self, cloud: str, request: web.Request, handler: Handler) -> web.StreamResponse:
        struck = self.faults.request(cloud, request.method, request.path) if self.faults.rules else []
        kinds = {fault.kind: fault for fault in struck}
        if "delay" in kinds:
            await self.clock.sleep(kinds["delay"].seconds)
        if "status" in kinds:
            return _refusal(cloud, kinds["status"])
        if "drop_before" in kinds:
            _hang_up(request)
        if pause := self.latencies.seconds("api_call"):
            await self.clock.sleep(pause)
        response = await handler(request)
        if "drop_after" in kinds:
            _hang_up(request)
        return response

    def _note(self, cloud: str, request: web.Request, status: int) -> None:
        path = request.path
        route = _NUMBERS.sub("/{id}", path)
        self.requests.add(
            Request(cloud, request.method, path, request.query_string, status, self.clock.seconds(), route)
        )


def _refusal(cloud: str, fault: Fault) -> web.Response:
    """The answer of a fault, in the form that the cloud's errors have."""
    code = fault.code or _CODES.get(fault.status, "server_error")
    content: Any = {"error": {"code": code, "message": fault.message, "details": None}}
    if cloud == "cloudflare":
        number = int(fault.code) if fault.code.isdigit() else fault.status
        content = {"success": False, "errors": [{"code": number, "message": fault.message}], "messages": []}
        content["result"] = None
    return web.Response(
        status=fault.status,
        text=json.dumps(content),
        content_type="application/json",
        charset="utf-8",
        headers={"X-Correlation-Id": secrets.token_hex(8), **fault.headers},
    )


def _hang_up(request: web.Request) -> None:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError
