"""The official client, as the provider uses it: requests, waiting for actions, and its own further attempts."""

import re
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
Pause = Callable[[float], bool]
"""Waits for some seconds; true when the engine wants an end meanwhile."""

TRIES: Final = 5
"""How often the provider tries by default what it tries again (terraform-provider-hcloud, internal/util/control)."""

_IDS_A_CALL: Final = 25
_LONGEST_BACKOFF: Final = 16.0
"""Seconds. The real one doubles on to an hour, which only shows in what is tried more than five times."""
_LONGEST_POLL: Final = 60.0
_DEFAULT_POLL: Final = 0.5
_LONGEST_WAIT: Final = 90 * 60.0


class Api:
    """One project's API.

    Args:
        token: 64 characters.
        endpoint: With its version path.
        cancelled: Set when the engine wants an end.
        poll: Seconds before the first question for an action; waits between attempts shrink with it.
        constant: Whether later questions come as fast; else each waits twice as long as the one before.
        pause: How to wait; on ``cancelled`` unless told.
    """

    def __init__(
        self,
        token: str,
        endpoint: str,
        cancelled: threading.Event,
        *,
        poll: float = _DEFAULT_POLL,
        constant: bool = False,
        pause: Pause | None = None,
    ) -> None:
        self._client = hcloud.Client(token, api_endpoint=endpoint, application_name="pulumi-sandbox")
        self._pause = pause or cancelled.wait
        self._poll = poll
        self._growth = 1.0 if constant else 2.0
        self._scale = min(1.0, poll / _DEFAULT_POLL)

    # -- requests

    def get(self, path: str, **query: Any) -> Entry:
        """``GET``.

        Raises:
            ApiFailure: the API refused; as for every request.
            ProviderError: there was no answer; as for every request.
        """
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
        except ApiFailure as failure:
            if failure.code == "not_found":
                return {}
            raise

    def find(self, path: str) -> Entry | None:
        """``GET`` of one object; None when there is none."""
        try:
            return self.get(path)
        except ApiFailure as failure:
            if failure.code == "not_found":
                return None
            raise

    def look_up(self, kind: str, singular: str, id_or_name: str, **query: Any) -> Entry | None:
        """As the Go client's ``Get``: an object by its id, else by a name that reads so."""
        if id_or_name.isdigit() and (found := self.find(f"/{kind}/{id_or_name}")) is not None:
            return found[singular]
        named = self.get(f"/{kind}", name=id_or_name, **query)[kind]
        return named[0] if named else None

    def all(self, kind: str, **query: Any) -> list[Entry]:
        """Every page of a list."""
        found: list[Entry] = []
        page: int | None = 1
        while page is not None:
            answer = self.get(f"/{kind}", **query, page=page, per_page=50)
            found += answer[kind]
            page = answer["meta"]["pagination"]["next_page"]
        return found

    # -- actions

    def start(self, path: str, body: Mapping[str, Any] | None = None) -> list[Entry]:
        """Start one or more actions."""
        answer = self.post(path, body)
        return [answer["action"]] if "action" in answer else answer["actions"]

    def act(self, path: str, body: Mapping[str, Any] | None = None) -> None:
        """Start an action and wait for it."""
        self.wait(self.start(path, body))

    def wait(self, actions: Iterable[Entry | None]) -> None:
        """Until actions are over; those that were over when they were told are not asked for.

        Raises:
            ProviderError: one failed, got lost, or the engine wants an end.
        """
        running: dict[int, Entry] = {}
        for action in actions:
            if action is not None and not _is_over(action):
                running[action["id"]] = action
        deadline = time.monotonic() + _LONGEST_WAIT
        interval = self._poll
        while running:
            if self._pause(interval):
                raise ProviderError("cancelled while an action was running")
            if time.monotonic() > deadline:
                raise ProviderError(f"actions {sorted(running)} did not end within {_LONGEST_WAIT / 60:.0f} minutes")
            interval = min(interval * self._growth, _LONGEST_POLL)
            asked = sorted(running)[:_IDS_A_CALL]
            answer = self.get("/actions", id=asked, sort=["status", "id"], page=1, per_page=50)
            told = {action["id"]: action for action in answer["actions"]}
            for id in asked:
                if id not in told:
                    raise ProviderError(f"action {id} is not found any more")
                if _is_over(told[id]):
                    del running[id]

    def attempt(self, work: Callable[[], Result], worth: "Worth", tries: int = TRIES) -> Result:
        """Do it, at most ``tries`` times while its failure is worth another attempt."""
        for number in range(1, tries):
            try:
                return work()
            except ProviderError as failure:
                if not worth(failure):
                    raise
            if self._pause(min(2.0 ** (number - 1), _LONGEST_BACKOFF) * self._scale):
                raise ProviderError("cancelled while waiting for another attempt")
        return work()

    def _request(self, method: str, path: str, **arguments: Any) -> Entry:
        try:
            return self._client.request(method, path, **arguments)
        except APIException as error:
            raise ApiFailure(method, path, str(error.code), error.message) from error
        except requests.RequestException as error:
            raise ProviderError(
                f"{method} {path}: no answer ({type(error).__name__}); it may have taken effect"
            ) from error


class ApiFailure(ProviderError):  # noqa: N818  what the API said is not only an error
    """The API refused; ``code`` is its own."""

    def __init__(self, method: str, path: str, code: str, message: str) -> None:
        super().__init__(f"{message} ({code}, {method} {path})")
        self.code, self.message = code, message


Worth = Callable[[ProviderError], bool]
"""Whether something is worth another attempt after this failure."""


def code_of(failure: ProviderError) -> str:
    """The API's code; empty when it was not the API that refused."""
    return failure.code if isinstance(failure, ApiFailure) else ""


def only(*codes: str) -> Worth:
    """Only after these refusals."""
    return lambda failure: code_of(failure) in codes


def all_but(*codes: str) -> Worth:
    """After whatever failure but these refusals."""
    return lambda failure: code_of(failure) not in codes


def _is_over(action: Entry) -> bool:
    """Whether an action has succeeded.

    Raises:
        ProviderError: it has failed.
    """
    if action["status"] == "error":
        error = action["error"] or {"code": "unknown", "message": "no reason given"}
        raise ProviderError(f"action {action['command']} failed: {error['message']} ({error['code']})")
    return action["status"] != "running"


def seconds(text: str) -> float:
    """A Go duration such as ``500ms``, ``2s`` or ``1m30s``.

    Raises:
        ValueError: it is none.
    """
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration such as 500ms or 2s")
    return sum(float(number) * units[unit] for number, unit in parts)
