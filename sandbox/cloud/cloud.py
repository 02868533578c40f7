"""What a cloud does for the plugins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class CloudError(Exception):
    """A cloud refused a request, or cannot be used."""


@dataclass(frozen=True)
class CloudObject:
    """An object in a cloud.

    Args:
        kind: Such as ``servers``; ids are unique within the whole cloud and never used twice.
        id: A decimal number, unless the creator chose another.
        attributes: What the cloud tells about it, JSON only.
        labels: What selectors match.
    """

    kind: str
    id: str
    attributes: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


class Cloud(Protocol):
    """Objects by kind. Several processes may use one cloud at a time."""

    def create(
        self,
        kind: str,
        attributes: Mapping[str, Any],
        labels: Mapping[str, str] | None = None,
        *,
        id: str | None = None,
    ) -> CloudObject:
        """Make an object.

        Raises:
            CloudError: ``id`` is taken.
        """
        ...

    def read(self, kind: str, id: str) -> CloudObject | None:
        """The object, or None when there is none."""
        ...

    def update(
        self, kind: str, id: str, attributes: Mapping[str, Any], labels: Mapping[str, str] | None = None
    ) -> CloudObject:
        """Replace an object's attributes and labels.

        Raises:
            CloudError: there is no such object.
        """
        ...

    def delete(self, kind: str, id: str) -> None:
        """Remove an object; one that is gone already is no error."""
        ...

    def list(self, kind: str, selector: str = "") -> list[CloudObject]:
        """The objects of a kind that match a label selector, oldest first.

        Raises:
            SelectorError: the selector is malformed.
        """
        ...

    def next_number(self, sequence: str) -> int:
        """1, 2, 3 … of a named sequence; no number is handed out twice."""
        ...
