"""What is wrong with data that a person wrote, in parts, so that every caller can show it its own way."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class Problem:
    """One mistake in plain data."""

    key: str
    """Where it stands, relative to the data that was checked: ``custom_rules[2].expression``."""
    value: object
    """What stands there."""
    problem: str
    """What is wrong, and what is allowed."""
    remedy: str
    """What to write instead."""

    def __str__(self) -> str:
        return f"{self.key} = {self.value!r}: {self.problem}; {self.remedy}"


class ProblemsError(pulumi.RunError):
    """A component was given data that the cloud would refuse; the message lists every problem."""

    def __init__(self, what: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{what}:", *(f"  - {problem}" for problem in problems)]))


def refuse(what: str, problems: Sequence[Problem]) -> None:
    """Raise for all of ``problems`` at once; do nothing when there are none.

    Raises:
        ProblemsError: ``problems`` is not empty.
    """
    if problems:
        raise ProblemsError(what, problems)
