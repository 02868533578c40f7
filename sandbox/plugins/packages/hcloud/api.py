"""The official client, as the provider uses it: requests, waiting for actions, and its own retries."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import hcloud
import requests
from hcloud import APIException

from ...package import ProviderError

Entry = dict[str, Any]
Result = TypeVar("Result")

_IDS_A_CALL: Final = 25
_BACKOFF: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before the provider's own further attempts (terraform-provider-hcloud, internal/control)."""
_DEFAULT_POLL: Final = 0.5
_LONGEST_WAIT: Final = 90 * 60.0


class Api:
    """One project's API.

    Args:
        token: 64 characters.
        endpoint: With its version path.
        poll: Seconds between questions for an action; waits between attempts shrink with it.
        cancelled: Set when the engine wants an end.
    """

    def __init__(self, token: str, endpoint: str, poll: float, cancelled: threading.Event) -> None:
        self._client = hcloud.Client(
            token, api_endpoint=endpoint, application_name="pulumi-sandbox", poll_interval=poll
        )
        self._poll = poll
        self._cancelled = cancelled
        self._scale = min(1.0, poll / _DEFAULT_POLL)

    # -- requests

    def get(self, path: str, **query: Any) -> Entry:
        """``GET``; see `RefusedError`."""
        return self._request("GET", path, params=query or None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Entry:
        """``POST``."""
        return self._request("POST", path, json=dict(body) if body is not None else None)

    def put(self, path: str, body: Mapping[str, Any]) -> Entry:
        """``PUT``."""
        return self._request("PUT", path, json=dict(body))

    def delete(self, path: str) -> Entry:
        """``DELETE``; what is gone already is no error."""
        try:
            return self._request("DELETE", path)
        except RefusedError as failure:
            if failure.code == "not_found":
                return {}
            raise

    def find(self, path: str) -> Entry | None:
        """``GET`` of one object; None when there is none."""
        try:
            return self.get(path)
        except RefusedError as failure:
            if failure.code == "not_found":
                return None
            raise

    def all(self, kind: str, **query: Any) -> list[Entry]:
        """Every page of a list."""
        found: list[Entry] = []
        page: int | None = 1
        while page is not None:
            answer = self.get(f"/{kind}", **query, page=page, per_page=50)
            found += answer[kind]
            page = answer["meta"]["pagination"]["next_page"]
        return found

    def act(self, path: str, body: Mapping[str, Any] | None = None) -> None:
        """Start an action and wait for it."""
        answer = self.post(path, body)
        self.wait([answer["action"]] if "action" in answer else answer["actions"])

    # -- waiting

    def wait(self, actions: Iterable[Entry | None]) -> None:
        """Until actions are over.

        Raises:
            ProviderError: one failed, got lost, or the engine wants an end.
        """
        running = {action["id"]: action for action in actions if action is not None and action["status"] == "running"}
        deadline = time.monotonic() + _LONGEST_WAIT
        while running:
            if self._cancelled.wait(self._poll):
                raise ProviderError("cancelled while an action was running")
            if time.monotonic() > deadline:
                raise ProviderError(f"actions {sorted(running)} did not end within {_LONGEST_WAIT / 60:.0f} minutes")
            asked = sorted(running)[:_IDS_A_CALL]
            told = {action["id"]: action for action in self.get("/actions", id=asked, per_page=50)["actions"]}
            for id in asked:
                self._settle(id, told.get(id), running)

    def _settle(self, id: int, action: Entry | None, running: dict[int, Entry]) -> None:
        if action is None:
            raise ProviderError(f"action {id} is not found any more")
        if action["status"] == "running":
            return
        del running[id]
        if action["status"] == "error":
            error = action["error"] or {"code": "unknown", "message": "no reason given"}
            raise ProviderError(f"action {action['command']} failed: {error['message']} ({error['code']})")

    def retry(self, codes: Iterable[str], work: Callable[[], Result], attempts: int = len(_BACKOFF)) -> Result:
        """Work, again after these refusals: at most ``attempts`` times more."""
        for attempt in range(attempts):
            try:
                return work()
            except RefusedError as failure:
                if failure.code not in codes:
                    raise
            if self._cancelled.wait(_BACKOFF[min(attempt, len(_BACKOFF) - 1)] * self._scale):
                raise ProviderError("cancelled while waiting for another attempt")
        return work()

    def _request(self, method: str, path: str, **arguments: Any) -> Entry:
        try:
            return self._client.request(method, path, **arguments)
        except APIException as error:
            raise RefusedError(method, path, str(error.code), error.message) from error
        except requests.RequestException as error:
            raise ProviderError(
                f"{method} {path}: no answer ({type(error).__name__}); it may have taken effect"
            ) from error


class RefusedError(ProviderError):
    """The API refused; ``code`` is its own."""

    def __init__(self, method: str, path: str, code: str, message: str) -> None:
        super().__init__(f"{message} ({code}, {method} {path})")
        self.code = code


def seconds(text: str) -> float:
    """A Go duration such as ``500ms``, ``2s`` or ``1m30s``.

    Raises:
        ValueError: it is none.
    """
    import re  # noqa: PLC0415

    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration such as 500ms or 2s")
    return sum(float(number) * units[unit] for number, unit in parts)
