"""What the objects of one kind can do; each module of this package fills it in for one."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from .errors import ApiError
from .fields import CHANGE, Field, check
from .lists import Filter, by, order_of
from .project import Entry, Project, refuse_protected

Body = dict[str, Any]
Answer = tuple[int, Any]
"""Status and content; None is an empty body."""
Act = Callable[[Project, Entry, Body], Answer]


class Kind:
    """A kind of object: reading, listing, changing and deleting are the same for all, unless a subclass knows better."""

    plural: ClassVar[str]
    singular: ClassVar[str]
    filters: ClassVar[Mapping[str, Filter]] = {"name": by("name")}
    sortable: ClassVar[Mapping[str, Callable[[Entry], Any]]] = {
        "id": lambda entry: entry["id"],
        "name": order_of("name"),
        "created": lambda entry: (entry["created"], entry["id"]),
    }
    labelled: ClassVar[bool] = True
    changes: ClassVar[Mapping[str, Field]] = CHANGE
    """What PUT takes."""
    can_change: ClassVar[bool] = True
    can_create: ClassVar[bool] = True
    can_delete: ClassVar[bool] = True

    def actions(self) -> Mapping[str, tuple[Mapping[str, Field], Act]]:
        """Actions by name: the fields of the body, and what does it."""
        return {}

    def all(self, project: Project) -> list[Entry]:
        """All objects that the project sees."""
        return list(project.all(self.plural))

    def get(self, project: Project, id: int) -> Entry:
        """One of them.

        Raises:
            ApiError: 404.
        """
        return project.get(self.plural, id, self.singular)

    def show(self, project: Project, entry: Entry) -> Entry:
        """The object as the API tells it."""
        del project
        return {key: value for key, value in entry.items() if not key.startswith("_")}

    def create(self, project: Project, body: Body) -> Answer:
        """Make one."""
        raise NotImplementedError(self.plural)

    def change(self, project: Project, entry: Entry, body: Body) -> Answer:
        """Change name and labels."""
        given = check(body, self.changes)
        if "name" in given:
            self.check_new_name(project, entry, given["name"])
        entry.update(given)
        self.changed(project, entry)
        return 200, {self.singular: self.show(project, entry)}

    def check_new_name(self, project: Project, entry: Entry, name: str) -> None:
        """Whether the object may be called so from now on."""
        project.check_name(self.plural, name, entry["id"])

    def changed(self, project: Project, entry: Entry) -> None:
        """Called after name or labels were changed."""

    def delete(self, project: Project, entry: Entry) -> Answer:
        """Delete it."""
        del project.kinds[self.plural][entry["id"]]
        return 204, None

    def settle(self, project: Project) -> None:
        """Called after a state was put back: actions that ran when it was told are over."""

    def protect(self, project: Project, entry: Entry, body: Body) -> Answer:
        """The action ``change_protection`` of kinds that know ``delete`` alone."""
        wanted = {"delete": body.get("delete", entry["protection"]["delete"])}
        return acted(change_protection(project, self.singular, entry, wanted))

    def refuse_protected(self, entry: Entry) -> None:
        """See `refuse_protected`."""
        refuse_protected(entry, self.singular.replace("_", " "))


def change_protection(project: Project, type: str, entry: Entry, wanted: dict[str, bool]) -> Entry:
    """The action; nothing happens on any machine, so that it is over when it is told."""

    def changed() -> None:
        entry["protection"] = wanted

    return project.act("change_protection", [(type, entry["id"])], changed, at_once=True)


def acted(action: Entry) -> Answer:
    """The answer of an action."""
    return 201, {"action": action}


NOTHING: Final[Mapping[str, Field]] = {}
"""The body of an action that takes none."""

PROTECTION: Final = {"delete": Field(bool)}


def only_one(body: Body, *names: str) -> str:
    """The one of several fields that is given.

    Raises:
        ApiError: none or several are.
    """
    given = [name for name in names if name in body]
    if len(given) != 1:
        raise ApiError(
            422,
            "invalid_input",
            f"exactly one of {', '.join(names)} must be given",
            {"fields": [{"name": name, "messages": ["exactly one of these must be given"]} for name in names]},
        )
    return given[0]
