"""What all tests share: golden files."""

import gc
from collections.abc import Callable

import pytest

from tests import golden_files


def pytest_sessionstart() -> None:
    # The providers' SDKs are hundreds of thousands of objects that never go: looking through them again and again
    # was a sixth of the time that their import takes.
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files instead of comparing")


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a golden file, or rewrites the file when asked to."""
    update = bool(request.config.getoption("--update-golden"))
    return lambda name, text: golden_files.compare(name, text, update=update)
