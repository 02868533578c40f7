from pathlib import Path

import pytest

from stacks.settings import Reader, Settings
from tests.unit.stacks.edited import ROOT, Edited


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    """The committed configuration, to be edited."""
    return Edited(tmp_path)


@pytest.fixture(scope="session")
def settings() -> Settings:
    """What all stacks share, as committed."""
    reader = Reader(ROOT)
    found = reader.settings()
    reader.finish()
    assert found is not None
    return found
