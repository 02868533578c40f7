"""What goes wrong in a cloud, on demand: a short list of rules, each for some requests, actions or machines."""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .clock import Clock

FaultKind = Literal[
    "status",
    "drop_before",
    "drop_after",
    "delay",
    "action_error",
    "action_stuck",
    "action_slow",
    "unavailable",
    "page_size",
    "stale",
]


class FaultError(ValueError):
    """A rule is malformed; the message names the field."""


@dataclass(frozen=True)
class ActionFault:
    """What becomes of an action: ``error`` with a code and a message, ``stuck`` for ever, or ``slow`` by some seconds."""

    kind: Literal["error", "stuck", "slow"]
    code: str = "action_failed"
    message: str = "the action failed"
    seconds: float = 0.0


@dataclass
class Fault:
    """A rule.

    Args:
        kind: What happens: ``status`` answers without any effect, ``drop_before`` and ``drop_after`` close the connection
            before or after the effect, ``delay`` answers late; ``action_*`` decide about actions, ``unavailable`` about
            server types, ``page_size`` and ``stale`` about lists.
        cloud: ``hetzner`` or ``cloudflare``; empty for both.
        method: HTTP method; empty for all.
        path: Regular expression that is searched for in ``/v1/…``; empty for all. For actions it is matched with the
            action's command, for ``unavailable`` with ``<server type>/<location>``.
        after: How many matches pass before the first fault.
        every: Fault on every so-manieth match after that.
        times: How many faults at most; None for no limit.
        probability: Of a fault at a match, with `seed`.
        seed: Makes `probability` repeatable.
        until: Virtual seconds of the clock after which the rule is over; None for never.
        status: HTTP status of ``status``.
        code: Error code; by default the one that belongs to the status.
        message: Error message.
        headers: More headers, such as ``Retry-After``.
        seconds: Of ``delay``, ``action_slow`` and ``stale``, virtual.
        size: Of ``page_size``.
    """

    kind: FaultKind
    cloud: str = ""
    method: str = ""
    path: str = ""
    after: int = 0
    every: int = 1
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    until: float | None = None
    status: int = 500
    code: str = ""
    message: str = "injected fault"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    seconds: float = 0.0
    size: int = 1
    matched: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise FaultError(f"kind: {self.kind!r} is unknown; one of {', '.join(get_args(FaultKind))}")
        try:
            self._pattern = re.compile(self.path)
        except re.error as error:
            raise FaultError(f"path: {self.path!r} is no regular expression ({error})") from error
        if self.every < 1 or self.after < 0 or not 0 <= self.probability <= 1 or not 100 <= self.status <= 599:
            raise FaultError("every must be at least 1, after at least 0, probability in 0..1, status in 100..599")
        if self.size < 1 or self.seconds < 0:
            raise FaultError("size must be at least 1, seconds at least 0")
        self._random = random.Random(self.seed)  # noqa: S311  repeatable on purpose

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> "Fault":
        """A rule from JSON.

        Raises:
            FaultError: an unknown field, or a wrong value.
        """
        known = set(cls.__dataclass_fields__) - {"matched", "fired"}
        if unknown := sorted(set(content) - known):
            raise FaultError(f"unknown fields {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        try:
            return cls(**content)
        except TypeError as error:
            raise FaultError(str(error)) from error

    def matches(self, text: str) -> bool:
        """Whether the rule's pattern is found."""
        return self._pattern.search(text) is not None

    def strikes(self, now: float) -> bool:
        """Whether this match is one that goes wrong; counts it."""
        if self.over(now):
            return False
        self.matched += 1
        turn = self.matched - self.after
        if turn < 1 or (turn - 1) % self.every or self._random.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def over(self, now: float) -> bool:
        """Whether the rule has done its work."""
        return (self.until is not None and now > self.until) or (self.times is not None and self.fired >= self.times)

    def shown(self) -> dict[str, Any]:
        """As JSON, with how often it matched and fired."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


class Faults:
    """The rules in force."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.rules: list[Fault] = []

    def add(self, **rule: Any) -> Fault:
        """Put a rule in force.

        Raises:
            FaultError: it is malformed.
        """
        fault = Fault.parse(rule)
        self.rules.append(fault)
        return fault

    def clear(self) -> None:
        """No rules any more."""
        self.rules.clear()

    def request(self, cloud: str, method: str, path: str) -> list[Fault]:
        """The rules that strike this request."""
        now = self._clock.seconds()
        return [
            rule
            for rule in self.rules
            if rule.kind in ("status", "drop_before", "drop_after", "delay")
            and rule.cloud in ("", cloud)
            and rule.method in ("", method)
            and rule.matches(path)
            and rule.strikes(now)
        ]

    def action(self, command: str, resource_type: str) -> ActionFault | None:
        """What becomes of a new action, or None when all goes well."""
        del resource_type
        for rule in self._of("action_error", "action_stuck", "action_slow"):
            if rule.matches(command) and rule.strikes(self._clock.seconds()):
                code = rule.code or "action_failed"
                match rule.kind:
                    case "action_error":
                        return ActionFault("error", code, rule.message)
                    case "action_stuck":
                        return ActionFault("stuck")
                    case _:
                        return ActionFault("slow", seconds=rule.seconds)
        return None

    def unavailable(self, server_type: str, location: str) -> bool:
        """Whether this type cannot be had there now."""
        return any(
            rule.matches(f"{server_type}/{location}") and rule.strikes(self._clock.seconds())
            for rule in self._of("unavailable")
        )

    def page_size(self) -> int | None:
        """The size of lists' pages whatever clients ask for, or None."""
        return next((rule.size for rule in self._of("page_size") if not rule.over(self._clock.seconds())), None)

    def stale_seconds(self) -> float:
        """How far lists lag behind, virtual seconds."""
        now = self._clock.seconds()
        return max((rule.seconds for rule in self._of("stale") if not rule.over(now)), default=0.0)

    def _of(self, *kinds: str) -> list[Fault]:
        return [rule for rule in self.rules if rule.kind in kinds]
