"""What all tests share: golden files, and a watch on what the emulated Hetzner answers."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import golden_files

ROOT = Path(__file__).resolve().parents[1]


def pytest_sessionstart() -> None:
    # The providers' SDKs are hundreds of thousands of objects that never go: looking through them again and again
    # was a sixth of the time that their import takes.
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


INTEGRATION = (
    "tests/charts",
    "tests/ingress/test_attacks.py",
    "tests/network",
    "tests/openbao",
    "tests/platform",
    "tests/policy",
    "tests/sandbox/controllers",
    "tests/sandbox/kubernetes",
    "tests/sandbox/machines/test_cluster.py",
    "tests/tenancy",
)
"""What asks real programs: Kubernetes' own, Helm, gator, cyclonus, OpenBao, Traefik. ``make integration`` runs them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of real programs their marker, by the folder that they are in, and time for what they start."""
    for item in items:
        place = item.path.relative_to(ROOT).as_posix()
        if item.get_closest_marker("engine") is None and any(
            place == each or place.startswith(f"{each}/") for each in INTEGRATION
        ):
            item.add_marker(pytest.mark.integration)
        if item.get_closest_marker("timeout") is None and (
            item.get_closest_marker("engine") or item.get_closest_marker("integration")
        ):
            item.add_marker(pytest.mark.timeout(400))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files instead of comparing")


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with a golden file, or rewrites the file when asked to."""
    update = bool(request.config.getoption("--update-golden"))
    return lambda name, text: golden_files.compare(name, text, update=update)


@pytest.fixture(scope="session", autouse=True)
def watch() -> Iterator[Any]:
    """Collects every answer of an emulated Hetzner in this process."""
    # Who runs a few unit tests does not wait for aiohttp before the collection.
    from tests.sandbox.hetzner.watch import Watch

    with Watch().installed() as watch:
        yield watch
        # Of clouds that were closed after the last test.
        assert watch.problems() == []


@pytest.fixture(autouse=True)
def answers_are_as_documented(watch: Any) -> Iterator[None]:
    """No answer that was given during a test, or to its fixtures, differs from Hetzner's document."""
    yield
    problems = watch.problems()
    assert not problems, "\n".join(problems)
