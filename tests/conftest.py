"""What all tests share: golden files."""

from collections.abc import Callable

import pytest

from tests import golden_files


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files instead of comparing")


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a golden file, or rewrites the file when asked to."""
    update = bool(request.config.getoption("--update-golden"))
    return lambda name, text: golden_files.compare(name, text, update=update)
