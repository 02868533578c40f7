"""Golden files: reviewed like code, rewritten with ``pytest --update-golden``."""

import difflib
import itertools
from pathlib import Path

import pytest

DIRECTORY = Path(__file__).resolve().parent / "golden"


def compare(name: str, text: str, *, update: bool) -> None:
    """Hold ``text`` against tests/golden/<name>."""
    path = DIRECTORY / name
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"tests/golden/{name} is missing: run pytest --update-golden and review it"
    reviewed = path.read_text(encoding="utf-8")
    if text != reviewed:
        lines = difflib.unified_diff(
            reviewed.splitlines(), text.splitlines(), f"tests/golden/{name}", "now", lineterm="", n=1
        )
        difference = "\n".join(itertools.islice(lines, 60))
        pytest.fail(f"{difference}\nreview this, then pytest --update-golden", pytrace=False)
