"""Everything that is wrong with the configuration, told to the person who must mend it: all of it at once."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pulumi

from components.problem import Problem


@dataclass(frozen=True)
class ConfigProblem:
    """A problem and the file that it stands in."""

    file: str
    problem: Problem

    def __str__(self) -> str:
        shown = "" if self.problem.value is None else f" = {_shown(self.problem.value)}"
        return f"{self.file}: {self.problem.key}{shown}\n    {self.problem.problem}\n    -> {self.problem.remedy}"


def unknown(key: str, value: object, known: Iterable[str], what: str) -> Problem:
    """A name that is none of those there are, with the closest of them."""
    names = list(known)
    close = difflib.get_close_matches(str(value), names, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return Problem(key, value, f"is no {what}", f"{guess}known: {', '.join(names)}")


class ConfigurationError(pulumi.RunError):
    """The configuration is wrong. Pulumi prints the message without a traceback; nothing has been created."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        # Each once; a value may be a list, which no set takes.
        self.problems = tuple(each for number, each in enumerate(problems) if each not in problems[:number])
        count = len(self.problems)
        head = f"{count} problem{'s' if count != 1 else ''} in the configuration; nothing was changed:"
        super().__init__("\n".join([head, *(f"  {problem}" for problem in self.problems)]))


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
