"""Generation numbers: raising one renews what it names, and nothing else."""

import difflib
from collections.abc import Mapping, Sequence

from ..problem import Problem


def check_generations(given: Mapping[str, object], known: Sequence[str]) -> list[Problem]:
    """Unknown names and numbers below 1 in ``given``; keys are ``generations.<name>``."""
    problems: list[Problem] = []
    for name, generation in given.items():
        key = f"generations.{name}"
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"write one of {', '.join(known)}"
            problems.append(Problem(key, generation, "names nothing that can be renewed", hint))
        elif not isinstance(generation, int) or isinstance(generation, bool) or generation < 1:
            problems.append(Problem(key, generation, "is no generation", "write 1, or one more than before"))
    return problems
