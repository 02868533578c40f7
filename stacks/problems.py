"""Everything that is wrong with the configuration, told to the person who must mend it: all of it at once."""

from collections.abc import Sequence
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
