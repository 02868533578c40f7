"""Actions: what the cloud does after it has answered, one after the other where one needs the other's end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ..world import World
from ..world.faults import ActionFault

Entry = dict[str, Any]
Effect = Callable[[], None]

_PREDECESSOR_FAILED: Final = {"code": "action_failed", "message": "the action that this one waited for has failed"}


@dataclass
class Run:
    """An action on its way.

    Args:
        action: As the API tells it.
        seconds: How long it takes, virtual.
        fault: What goes wrong with it.
        then: What happens when it succeeds.
        otherwise: What happens when it fails.
        locks: An object that takes no other conflicting action meanwhile.
    """

    action: Entry
    seconds: float
    fault: ActionFault | None = None
    then: Effect | None = None
    otherwise: Effect | None = None
    locks: Entry | None = None
    followers: list["Run"] = field(default_factory=list["Run"])

    @property
    def is_instant(self) -> bool:
        """Whether it takes no time."""
        return self.seconds <= 0 and (self.fault is None or self.fault.kind == "error")


class Actions:
    """All actions of a project, and those that run.

    Args:
        world: Its clock ends them.
        now: The time, as the API writes it.
    """

    def __init__(self, world: World, now: Callable[[], str]) -> None:
        self.all: dict[int, Entry] = {}
        self._world = world
        self._now = now
        self._running: dict[int, Run] = {}

    def start(self, run: Run, follows: Entry | None = None) -> None:
        """Start an action, at once or when the one that it follows has succeeded."""
        id = run.action["id"]
        self.all[id] = run.action
        self._running[id] = run
        predecessor = None if follows is None else self._running.get(follows["id"])
        if predecessor is not None:
            predecessor.followers.append(run)
        else:
            self._begin(run)

    def forget_running(self) -> None:
        """Nothing that runs has any effect from now on: its objects have moved to another place."""
        self._running.clear()

    def settle(self) -> None:
        """What ran when a state was told is over when it is put back."""
        for action in self.all.values():
            if action["status"] == "running":
                action.update(status="success", progress=100, finished=self._now())

    def _begin(self, run: Run) -> None:
        if run.locks is not None:
            run.locks["_lock"] = run.action["id"]
        if run.fault is not None and run.fault.kind == "stuck":
            return
        late = run.fault.seconds if run.fault is not None and run.fault.kind == "slow" else 0.0
        self._world.clock.call_later(run.seconds + late, lambda: self.end(run))

    def end(self, run: Run) -> None:
        """Ends an action and those that follow it and take no time: clients see all of them over at once."""
        if self._running.pop(run.action["id"], None) is None:
            return
        _unlock(run)
        if run.fault is not None and run.fault.kind == "error":
            self._fail(run, {"code": run.fault.code, "message": run.fault.message})
            return
        run.action.update(status="success", progress=100, finished=self._now())
        if run.then is not None:
            run.then()
        for follower in run.followers:
            if follower.is_instant:
                self.end(follower)
            else:
                self._begin(follower)

    def _fail(self, run: Run, error: Entry) -> None:
        run.action.update(status="error", progress=100, finished=self._now(), error=error)
        if run.otherwise is not None:
            run.otherwise()
        for follower in run.followers:
            self._running.pop(follower.action["id"], None)
            self._fail(follower, dict(_PREDECESSOR_FAILED))


def _unlock(run: Run) -> None:
    if run.locks is not None and run.locks.get("_lock") == run.action["id"]:
        del run.locks["_lock"]
