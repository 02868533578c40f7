"""A project: its objects by kind, its actions, and who may ask."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from .actions import Actions, Run
from .errors import ApiError, not_found, taken
from .limits import RateLimit

if TYPE_CHECKING:
    from .cloud import HetznerCloud

Entry = dict[str, Any]
"""An object as the API tells it; keys that start with an underscore are the emulator's own."""

KINDS: Final = (
    "servers",
    "networks",
    "load_balancers",
    "firewalls",
    "volumes",
    "placement_groups",
    "primary_ips",
    "certificates",
    "ssh_keys",
    "snapshots",
)


class Project:
    """Everything that one token sees.

    Args:
        cloud: The cloud that it is in.
        name: For people.
        token: Reads and writes.
        read_only_token: Reads.
    """

    def __init__(self, cloud: "HetznerCloud", name: str, token: str, read_only_token: str | None) -> None:
        self.cloud, self.name, self.token, self.read_only_token = cloud, name, token, read_only_token
        self.kinds: dict[str, dict[int, Entry]] = {kind: {} for kind in KINDS}
        self.actions = Actions(cloud.world, cloud.now)
        self.limit = RateLimit(cloud.world.clock)

    # -- objects

    def all(self, kind: str) -> Iterator[Entry]:
        """The objects of a kind, oldest first."""
        return iter(self.kinds[kind].values())

    def get(self, kind: str, id: Any, singular: str = "") -> Entry:
        """The object.

        Raises:
            ApiError: 404, there is none.
        """
        entry = self.kinds[kind].get(id) if isinstance(id, int) else None
        if entry is None:
            raise not_found(singular or kind.removesuffix("s"), id)
        return entry

    def check_name(self, kind: str, name: str, own: int | None = None) -> None:
        """Names are unique within a kind.

        Raises:
            ApiError: 409, it is taken.
        """
        if any(entry["name"] == name and entry["id"] != own for entry in self.all(kind)):
            raise taken(name)

    def add(self, kind: str, entry: Entry) -> Entry:
        """Give an object its id and its time of birth, and keep it."""
        clock = self.cloud.world.clock
        made: Entry = {"id": self.cloud.next_id(kind), **entry, "created": self.now(), "_born": clock.seconds()}
        self.kinds[kind][made["id"]] = made
        return made

    def now(self) -> str:
        """The time, as the API writes it."""
        return self.cloud.now()

    # -- actions

    def act(
        self,
        command: str,
        resources: Iterable[tuple[str, int]],
        then: Callable[[], None] | None = None,
        *,
        otherwise: Callable[[], None] | None = None,
        latency: tuple[str, ...] = (),
        locks: Entry | None = None,
        follows: Entry | None = None,
        at_once: bool = False,
    ) -> Entry:
        """Start an action; it ends after its latency. Returns it as it is at the start.

        Args:
            command: Such as ``create_server``.
            resources: Type and id of what it is about.
            then: What happens when it succeeds.
            otherwise: What happens when it fails.
            latency: Name and qualifiers of its latency; the command unless told.
            locks: An object that takes no other conflicting action meanwhile.
            follows: The action that must have succeeded before.
            at_once: Whether it is over when it is told, unless it has a latency.
        """
        resources = list(resources)
        action: Entry = {
            "id": self.cloud.next_id("actions"),
            "command": command,
            "status": "running",
            "progress": 0,
            "started": self.now(),
            "finished": None,
            "resources": [{"id": id, "type": type} for type, id in resources],
            "error": None,
        }
        seconds = self.cloud.world.latencies.seconds(*(latency or (command,)))
        fault = self.cloud.world.faults.action(command, resources[0][0] if resources else "")
        told = dict(action)
        run = Run(action, seconds, fault, then, otherwise, locks)
        self.actions.start(run, follows)
        if at_once and run.is_instant:
            self.actions.end(run)
            return dict(action)
        return told

    def actions_of(self, type: str, id: int | None = None) -> list[Entry]:
        """Actions about resources of a type, or about one of them."""
        return [
            action
            for action in self.actions.all.values()
            if any(each["type"] == type and id in (None, each["id"]) for each in action["resources"])
        ]

    # -- the whole

    def dump(self) -> dict[str, Any]:
        """Everything, as JSON."""
        return {
            "name": self.name,
            "token": self.token,
            "read_only_token": self.read_only_token,
            "kinds": {kind: list(entries.values()) for kind, entries in self.kinds.items()},
            "actions": list(self.actions.all.values()),
        }

    def load(self, content: Mapping[str, Any]) -> None:
        """What `dump` told; actions that ran then are over."""
        self.kinds = {kind: {entry["id"]: dict(entry) for entry in content["kinds"][kind]} for kind in KINDS}
        self.actions.all = {action["id"]: dict(action) for action in content["actions"]}
        self.actions.settle()
        for entry in itertools.chain.from_iterable(entries.values() for entries in self.kinds.values()):
            entry.pop("_lock", None)


def refuse_locked(entry: Entry, what: str) -> None:
    """Only one conflicting action at a time.

    Raises:
        ApiError: 423, one runs.
    """
    if "_lock" in entry:
        raise ApiError(423, "locked", f"{what} is locked by action {entry['_lock']}: wait for it")


def refuse_protected(entry: Entry, what: str) -> None:
    """What is protected is not deleted.

    Raises:
        ApiError: 423, it is.
    """
    if entry["protection"]["delete"]:
        raise ApiError(423, "protected", f"{what} {entry['id']} is protected from deletion")
