"""Pages, filters and order of lists."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from .errors import invalid
from .selectors import Selector, SelectorError

Entry = dict[str, Any]
Query = Mapping[str, Sequence[str]]

DEFAULT_SIZE: Final = 25
LARGEST_SIZE: Final = 50


@dataclass(frozen=True)
class Filter:
    """A query parameter that selects.

    Args:
        read: What it is compared with.
        choices: What it may be; empty for anything.
        check: Whether a value is well-formed.
    """

    read: Callable[[Entry], Any]
    choices: tuple[str, ...] = ()
    check: Callable[[str], bool] | None = None

    def refuse_malformed(self, name: str, values: Iterable[str]) -> None:
        """What it cannot be.

        Raises:
            ApiError: 422.
        """
        for value in values:
            if self.choices and value not in self.choices:
                raise invalid({name: [f"must be one of {', '.join(self.choices)}"]})
            if self.check is not None and not self.check(value):
                raise invalid({name: [f"{value[:40]!r} is malformed"]})


def by(field: str) -> Filter:
    """By a field's value."""
    return Filter(lambda entry: entry[field])


def one_of(field: str, *choices: str) -> Filter:
    """By a field that has one of a few values."""
    return Filter(lambda entry: entry[field], choices)


def order_of(field: str) -> Callable[[Entry], Any]:
    """By a field's value; what has none comes last."""
    return lambda entry: (entry[field] is None, entry[field])


def select(
    entries: Iterable[Entry],
    query: Query,
    *,
    filters: Mapping[str, Filter],
    sortable: Mapping[str, Callable[[Entry], Any]],
    labelled: bool = True,
) -> list[Entry]:
    """The entries that match, in order.

    Raises:
        ApiError: a malformed selector, or an unknown order.
    """
    found = list(entries)
    for name, one in filters.items():
        if name in query:
            wanted = set(query[name])
            one.refuse_malformed(name, wanted)
            found = [entry for entry in found if one.read(entry) is not None and str(one.read(entry)) in wanted]
    if labelled and query.get("label_selector"):
        try:
            selector = Selector(query["label_selector"][0])
        except SelectorError as error:
            raise invalid({"label_selector": [str(error)[:200]]}) from error
        found = [entry for entry in found if selector.matches(entry["labels"])]
    for order in reversed(query.get("sort", ())):
        field, _, direction = order.partition(":")
        if field not in sortable or direction not in ("", "asc", "desc"):
            raise invalid({"sort": [f"{order[:60]!r} is unknown; sortable: {', '.join(sortable)}"]})
        found.sort(key=sortable[field], reverse=direction == "desc")
    return found


def paged(found: Sequence[Entry], query: Query, forced: int | None) -> tuple[list[Entry], dict[str, Any]]:
    """One page, and ``meta``.

    Raises:
        ApiError: a page number or size that cannot be.
    """
    page, size = _number(query, "page", 1), _number(query, "per_page", DEFAULT_SIZE)
    if size > LARGEST_SIZE:
        raise invalid({"per_page": [f"must be at most {LARGEST_SIZE}"]})
    size = min(size, forced) if forced is not None else size
    last = max(1, -(-len(found) // size))
    start = (page - 1) * size
    pagination = {
        "page": page,
        "per_page": size,
        "previous_page": page - 1 if page > 1 else None,
        "next_page": page + 1 if page < last else None,
        "last_page": last,
        "total_entries": len(found),
    }
    return list(found[start : start + size]), {"pagination": pagination}


def links(url: str, query: Query, meta: Mapping[str, Any]) -> str:
    """The ``Link`` header of a page."""
    pagination = meta["pagination"]
    kept = [(name, value) for name, values in query.items() if name != "page" for value in values]
    pages = {
        "prev": pagination["previous_page"],
        "next": pagination["next_page"],
        "last": pagination["last_page"],
    }
    return ", ".join(
        f'<{url}?{urlencode([*kept, ("page", number)])}>; rel="{relation}"'
        for relation, number in pages.items()
        if number is not None
    )


def _number(query: Query, name: str, default: int) -> int:
    if name not in query:
        return default
    text = query[name][0]
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise invalid({name: ["must be a number from 1"]})
    return int(text)
