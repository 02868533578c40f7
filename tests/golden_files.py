"""Golden files: reviewed like code, rewritten with ``pytest --update-golden``."""

from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent / "golden"


def compare(name: str, text: str, *, update: bool) -> None:
    """Hold ``text`` against tests/golden/<name>."""
    path = DIRECTORY / name
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"tests/golden/{name} is missing: run pytest --update-golden and review it"
    assert text == path.read_text(encoding="utf-8"), f"differs from tests/golden/{name}: review, then --update-golden"
