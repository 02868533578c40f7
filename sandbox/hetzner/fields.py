"""Checks bodies: which fields there may be, of which type, and what labels and names look like."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Any, Final

from .errors import invalid

_LABEL_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_LABEL_PREFIX: Final = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_HOST: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*", re.IGNORECASE
)
_PRIVATE: Final = [IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


@dataclass(frozen=True)
class Field:
    """A field of a body.

    Args:
        form: ``str``, ``int``, ``float``, ``bool``, ``dict`` or ``list``; a whole number is a ``float`` too.
        required: Whether it must be there.
        nullable: Whether it may be null.
        choices: What it may be; empty for anything.
        check: Tells what is wrong with a value of the right type; None when nothing is.
        items: Of a list: the type of its items.
        or_id: Whether an id, a whole number, may stand for a name; `check` makes a string of it.
    """

    form: type
    required: bool = False
    nullable: bool = False
    choices: tuple[Any, ...] = ()
    check: Callable[[Any], str | None] | None = None
    items: type | None = None
    or_id: bool = False

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value."""
        if value is None:
            return None if self.nullable else "must not be null"
        if self.or_id and _is(value, int):
            value = str(value)
        if not _is(value, self.form):
            return f"must be of type {_NAMES[self.form]}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(map(str, self.choices))}"
        if self.items is not None and not all(_is(item, self.items) for item in value):
            return f"must hold values of type {_NAMES[self.items]} only"
        return self.check(value) if self.check is not None else None


_NAMES: Final = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}


def _is(value: Any, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))


def check(body: Mapping[str, Any], fields: Mapping[str, Field], at: str = "") -> dict[str, Any]:
    """The body's fields that are not null.

    Raises:
        ApiError: with everything that is wrong.
    """
    problems: dict[str, list[str]] = {}
    for name in body.keys() - fields.keys():
        problems[at + name] = ["unknown field"]
    for name, field in fields.items():
        if name not in body:
            if field.required:
                problems[at + name] = ["Missing data for required field."]
        elif said := field.problem(body[name]):
            problems[at + name] = [said]
    if problems:
        raise invalid(problems)
    return {name: str(value) if fields[name].or_id else value for name, value in body.items() if value is not None}


def labels_problem(labels: Mapping[Any, Any]) -> str | None:
    """What is wrong with labels."""
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        if slash and _LABEL_PREFIX.fullmatch(prefix) is None:
            return f"label key {key[:80]!r} has a malformed prefix"
        if prefix == "hetzner.cloud" or prefix.endswith(".hetzner.cloud"):
            return f"label key {key[:80]!r} is reserved"
        if _LABEL_NAME.fullmatch(name) is None:
            return f"label key {key[:80]!r} is malformed"
        if not isinstance(value, str) or _LABEL_VALUE.fullmatch(value) is None:
            return f"value of label {key[:80]!r} is malformed"
    return None


def name_problem(most: int = 255) -> Callable[[str], str | None]:
    """What is wrong with a name."""

    def problem(name: str) -> str | None:
        if not name.strip():
            return "must not be empty"
        if len(name) > most:
            return f"must not be longer than {most} characters"
        if any(ord(character) < 32 for character in name):
            return "must not hold control characters"
        return None

    return problem


def host_problem(name: str) -> str | None:
    """What is wrong with a server's name."""
    if len(name) > 63 or _HOST.fullmatch(name) is None:
        return "must be a host name (RFC 1123) of at most 63 characters"
    return None


def network(text: str, field: str) -> IPv4Network:
    """A private IPv4 network.

    Raises:
        ApiError: it is none.
    """
    try:
        found = ip_network(text)
    except ValueError as error:
        raise invalid({field: [f"{text[:60]!r} is no network: {error}"[:200]]}) from error
    if not isinstance(found, IPv4Network) or not any(found.subnet_of(private) for private in _PRIVATE):
        raise invalid({field: ["must be a private IPv4 network (RFC 1918)"]})
    return found


NAME_OR_ID: Final = Field(str, or_id=True)
NEEDED_NAME_OR_ID: Final = Field(str, or_id=True, required=True)
NAME: Final = Field(str, required=True, check=name_problem())
LABELS: Final = Field(dict, check=labels_problem)
CHANGE: Final = {"name": Field(str, check=name_problem()), "labels": LABELS}
"""What PUT takes."""
