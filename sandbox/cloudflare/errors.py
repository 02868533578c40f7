"""Refusals, in the form of the API."""


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
