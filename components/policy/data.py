"""Reads the YAML that this package is made of."""

from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C where PyYAML has it: a hundred files of rules are read at every preview."""


def read(*path: str) -> Any:
    """What a file below this package says."""
    return yaml.load(HERE.joinpath(*path).read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe one
