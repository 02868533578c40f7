"""Bodies of requests: JSON that can be kept and told again."""

import json
import math
from typing import Any, Final, cast

from aiohttp import web

from .errors import invalid

LIMIT: Final = 1024 * 1024
"""Bytes."""
_DEPTH: Final = 50
"""Levels of lists and objects; what is much deeper could be read, and not be written any more."""


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object that a request brings.

    Raises:
        ApiError: it brings something else.
        HTTPRequestEntityTooLarge: it is larger than the limit.
    """
    try:
        content = await request.read()
        body: Any = json.loads(content)
    except (ValueError, RecursionError, web.RequestPayloadError) as error:
        raise invalid("Malformed JSON in request body", 6007) from error
    if not isinstance(body, dict):
        raise invalid("Malformed JSON in request body: an object is needed", 6007)
    if not _plain(body, _DEPTH):
        raise invalid("Malformed JSON in request body: a number is none, or it is nested too deeply", 6007)
    return cast("dict[str, Any]", body)


def _plain(value: Any, depth: int) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list | dict):
        parts = cast("dict[str, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
        return depth > 0 and all(_plain(part, depth - 1) for part in parts)
    return True
