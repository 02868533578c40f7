"""Reads the YAML that this package is made of."""

from pathlib import Path
from typing import Any, Final

from ..layer.values import read_yaml

HERE: Final = Path(__file__).resolve().parent


def read(*path: str) -> Any:
    """What a file below this package says."""
    return read_yaml(HERE.joinpath(*path))
