"""Health checks of load balancers, made for real: by TCP, or by HTTP and HTTPS with path, host, status and content."""

import asyncio
import contextlib
import fnmatch
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

_TIMEOUT: Final = 2.0
"""Seconds; shorter than any interval that Hetzner offers."""
_MAX_ANSWER: Final = 65536


async def passes(address: str, port: int, check: Mapping[str, Any]) -> bool:
    """Whether a target is well.

    Args:
        address: Loopback address.
        port: The service's, unless the check names its own.
        check: As the cloud's API spells it.
    """
    http: Mapping[str, Any] = check.get("http") or {}
    protocol = check.get("protocol", "tcp")
    over_tls = protocol == "https" or bool(http.get("tls"))
    try:
        async with asyncio.timeout(_TIMEOUT):
            # Hetzner does not verify what it checks.
            context = _unverified() if protocol != "tcp" and over_tls else None
            reader, writer = await asyncio.open_connection(address, int(check.get("port") or port), ssl=context)
            try:
                return protocol == "tcp" or await _fits(reader, writer, address, http)
            finally:
                writer.close()
                with contextlib.suppress(OSError, ssl.SSLError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        return False


async def _fits(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str, http: Mapping[str, Any]
) -> bool:
    path, host = http.get("path") or "/", http.get("domain") or address
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: sandbox\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    await writer.drain()
    status = (await reader.readline()).split(b" ", 2)[1].decode()
    if not any(fnmatch.fnmatchcase(status, str(code)) for code in http.get("status_codes") or ["2??", "3??"]):
        return False
    wanted = str(http.get("response") or "")
    return not wanted or wanted.encode() in await reader.read(_MAX_ANSWER)


@cache
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
