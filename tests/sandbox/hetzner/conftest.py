"""An emulated Hetzner cloud for every test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.hetzner import Catalogue

from .emulator import Emulator

PRICES = Path(__file__).parents[3] / "config" / "prices.yaml"


@pytest.fixture(scope="session")
def prices() -> Any:
    """The project's own price list."""
    return yaml.safe_load(PRICES.read_text(encoding="utf-8"))


@pytest.fixture
def catalogue(prices: Any) -> Catalogue:
    """What it says is sold."""
    return Catalogue(prices)


@pytest.fixture
def emulator(catalogue: Catalogue) -> Iterator[Emulator]:
    """An empty cloud where nothing takes any time."""
    with Emulator(catalogue) as running:
        yield running
