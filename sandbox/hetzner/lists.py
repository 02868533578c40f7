"""Pages, filters and order of lists."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from .errors import invalid
from .selectors import Selector, SelectorError

Entry = dict[str, Any]
Query = Mapping[str, Sequence[str]]

DEFAULT_SIZE: Final = 25
LARGEST_SIZE: Final = 50


def select(
    entries: Iterable[Entry],
    query: Query,
    *,
    filters: Mapping[str, Callable[[Entry], Any]],
    sortable: Mapping[str, Callable[[Entry], Any]],
    labelled: bool = True,
) -> list[Entry]:
    """The entries that match, in order.

    Raises:
        ApiError: a malformed selector, or an unknown order.
    """
    found = list(entries)
    for name, read in filters.items():
        if name in query:
            wanted = set(query[name])
            found = [entry for entry in found if _text(read(entry)) in wanted]
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
    from urllib.parse import urlencode  # noqa: PLC0415

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
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:12]) <= 10**9:
        raise invalid({name: ["must be a number from 1"]})
    return int(text)


def _text(value: Any) -> Any:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
