from pathlib import Path

import pytest

from tests.unit.stacks.edited import Edited


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    """The committed configuration, to be edited."""
    return Edited(tmp_path)
