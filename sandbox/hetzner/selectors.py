"""Label selectors, as the Hetzner Cloud API and Kubernetes know them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_KEY: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?"
_TERM: Final = re.compile(
    rf"\s*(?:(?P<absent>!\s*{_KEY})"
    rf"|(?P<key>{_KEY})\s*(?:(?P<operator>==|!=|=)\s*(?P<value>{_VALUE})"
    rf"|(?P<set>(?<=\s)(?:not)?in)\s*\((?P<values>[^()]*)\))?)\s*"
)


class SelectorError(ValueError):
    """A label selector is malformed."""


@dataclass(frozen=True)
class _Term:
    key: str
    values: frozenset[str] | None
    """Values that match; None asks for the key alone."""
    negated: bool

    def matches(self, labels: Mapping[str, str]) -> bool:
        found = self.key in labels and (self.values is None or labels[self.key] in self.values)
        return found != self.negated


class Selector:
    """Terms that must all match: ``k``, ``!k``, ``k=v``, ``k==v``, ``k!=v``, ``k in (a,b)``, ``k notin (a,b)``.

    Raises:
        SelectorError: the text is malformed; the message names the place.
    """

    def __init__(self, text: str) -> None:
        self._terms: list[_Term] = []
        position = 0
        while text.strip():
            found = _TERM.match(text, position)
            if found is None:
                raise SelectorError(f"malformed label selector {text!r} at {text[position:]!r}")
            self._terms.append(_term(found))
            position = found.end()
            if position == len(text):
                break
            if text[position] != ",":
                raise SelectorError(f"malformed label selector {text!r} at {text[position:]!r}: expected a comma")
            position += 1

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether every term matches; an empty selector matches everything."""
        return all(term.matches(labels) for term in self._terms)


def _term(found: re.Match[str]) -> _Term:
    if found["absent"]:
        return _Term(found["absent"][1:].strip(), None, negated=True)
    if found["set"]:
        values = [value.strip() for value in found["values"].split(",")]
        bad = [value for value in values if re.fullmatch(_VALUE, value) is None]
        if bad:
            raise SelectorError(f"malformed value {bad[0]!r} in label selector {found.string!r}")
        return _Term(found["key"], frozenset(values), negated="not" in found["set"])
    if found["operator"]:
        return _Term(found["key"], frozenset([found["value"]]), negated=found["operator"] == "!=")
    return _Term(found["key"], None, negated=False)
