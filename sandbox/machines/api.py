"""A client of one Kubernetes API server, with a client certificate."""

import ssl
from pathlib import Path
from typing import Any, Final, cast

import aiohttp

_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)

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

    async def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """What it answers to a request.

        Args:
            kind: Media type of the body.

        Raises:
            ApiError: it refused, or does not answer.
        """
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._context, limit=8)
            self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        headers = {"Content-Type": kind} if body is not None else {}
        try:
            async with self._session.request(method, self.url + path, json=body, headers=headers) as answer:
                told: Any = await answer.json(content_type=None) if answer.content_type != "text/plain" else {}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiError(0, f"{self.url} does not answer ({type(error).__name__})") from error
        if answer.status >= 400:
            message = cast("dict[str, Any]", told).get("message") if isinstance(told, dict) else told
            raise ApiError(answer.status, str(message))
        return told

    async def is_ready(self) -> bool:
        """Whether ``/readyz`` answers 200."""
        try:
            await self.ask("GET", "/readyz")
        except ApiError:
            return False
        return True

    async def close(self) -> None:
        """Forget the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
