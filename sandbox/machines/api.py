"""A client of one Kubernetes API server, with a client certificate."""

import json
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final, cast

import aiohttp

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_JSON: Final = "application/json"

MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API refused, with this status, or does not answer (0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Asks one server as the holder of a certificate.

    Args:
        url: Without a slash at its end.
        authority: The CA that signs the server's certificate.
        identity: ``<identity>.crt`` and ``<identity>.key``.
    """

    def __init__(self, url: str, authority: Path, identity: Path) -> None:
        self.url = url
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(identity.with_name(f"{identity.name}.crt"), identity.with_name(f"{identity.name}.key"))
        self._context = context
        self._session: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None
        self._closed = False

    async def ask(self, method: str, path: str, body: Any = None, kind: str = _JSON, accept: str = _JSON) -> Any:
        """What it answers to a request.

        Args:
            kind: Media type of the body.
            accept: Media type of the answer.

        Raises:
            ApiError: it refused, or does not answer.
        """
        self._refuse_closed()
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._context, limit=8)
            self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        headers = {"Accept": accept, **({"Content-Type": kind} if body is not None else {})}
        try:
            async with self._session.request(method, self.url + path, json=body, headers=headers) as answer:
                told: Any = await answer.json(content_type=None) if answer.content_type != "text/plain" else {}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiError(0, f"{self.url} does not answer ({type(error).__name__})") from error
        if answer.status >= 400:
            message = cast("dict[str, Any]", told).get("message") if isinstance(told, dict) else told
            raise ApiError(answer.status, str(message))
        return told

    async def stream(self, path: str, seconds: int, accept: str = _JSON) -> AsyncGenerator[Any, None]:
        """The JSON documents, one a line, of an answer that goes on; a watch is one.

        Args:
            seconds: After which the API ends it by itself; it is given up a little later.
            accept: Media type of the documents.

        Raises:
            ApiError: it refused, does not answer, or broke off.
        """
        self._refuse_closed()
        if self._streams is None:
            # A watch holds its connection, so that it must not be one of the few for requests.
            connector = aiohttp.TCPConnector(ssl=self._context, limit=0)
            self._streams = aiohttp.ClientSession(connector=connector)
        timeout = aiohttp.ClientTimeout(total=seconds + 10, sock_connect=10)
        try:
            async with self._streams.get(self.url + path, headers={"Accept": accept}, timeout=timeout) as answer:
                if answer.status >= 400:
                    raise ApiError(answer.status, (await answer.text())[:400])
                rest = b""
                async for chunk in answer.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiError(0, f"{self.url} does not go on ({type(error).__name__})") from error

    async def is_ready(self) -> bool:
        """Whether ``/readyz`` answers 200."""
        try:
            await self.ask("GET", "/readyz")
        except ApiError:
            return False
        return True

    async def close(self) -> None:
        """Forget the connections for good: who still asks, as others of the cluster may, opens none that nobody closes."""
        self._closed = True
        for session in (self._session, self._streams):
            if session is not None:
                await session.close()
        self._session = self._streams = None

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ApiError(0, f"{self.url} was shut down")
