"""Refusals, in the form of the API: status, code, message and details."""

from collections.abc import Mapping, Sequence
from typing import Any


class ApiError(Exception):
    """A request is refused.

    Args:
        status: HTTP status.
        code: The API's code, such as ``uniqueness_error``.
        message: For people.
        details: What the code's schema wants beside it.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details
        self.headers = headers or {}


def invalid(fields: Mapping[str, Sequence[str]] | str, message: str = "") -> ApiError:
    """422 ``invalid_input``: what is wrong by field, or one message for the whole body."""
    if isinstance(fields, str):
        return ApiError(422, "invalid_input", fields, {"fields": []})
    entries = [{"name": name, "messages": list(messages)} for name, messages in fields.items()]
    first = next(iter(fields))
    told = message or f"invalid input in field{'s' if len(fields) > 1 else ''} {', '.join(map(repr, fields))}"
    return ApiError(422, "invalid_input", f"{told}: {fields[first][0]}", {"fields": entries})


def not_found(singular: str, id: object) -> ApiError:
    """404: there is no such object in this project."""
    return ApiError(404, "not_found", f"{singular.replace('_', ' ')} with ID '{id}' not found")


def taken(name: str, field: str = "name") -> ApiError:
    """409 ``uniqueness_error``."""
    details = {"fields": [{"name": field, "messages": ["is already used"]}]}
    return ApiError(409, "uniqueness_error", f"{field} is already used: {name!r}", details)


def too_many(what: str, limit: int) -> ApiError:
    """403 ``resource_limit_exceeded``."""
    return ApiError(403, "resource_limit_exceeded", f"{what} limit of {limit} exceeded", {"limits": [{"name": what}]})
