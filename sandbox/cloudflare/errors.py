"""Refusals, in the form of the API."""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """A request is refused: HTTP status, Cloudflare's own code, message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def not_found(what: str, id: str) -> ApiError:
    """404: there is no such object."""
    return ApiError(404, 1001 if what == "zone" else 1404, f"{what} {id[:40]!r} not found")


def invalid(message: str, code: int = 1004) -> ApiError:
    """400: the body is wrong."""
    return ApiError(400, code, message)


def check_types(body: Mapping[str, Any], types: Mapping[str, type | tuple[type, ...]], code: int = 1004) -> None:
    """Whether each field that is there and not null has one of its types.

    Raises:
        ApiError: naming all that have not.
    """
    wrong = [name for name, type in types.items() if body.get(name) is not None and not _is(body[name], type)]
    if wrong:
        raise invalid(f"of a wrong type: {', '.join(wrong)}", code)


def _is(value: Any, type: type | tuple[type, ...]) -> bool:
    wanted = type if isinstance(type, tuple) else (type,)
    # A bool is an int to Python, and no number to JSON.
    return isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool))
