"""Charts of ours: found from any project, and installed anew when one of their files changes."""

import shutil
from pathlib import Path

import pytest

from components.layer import own_values, values

CHARTS = Path(__file__).resolve().parents[3] / "charts"


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(CHARTS / "object-store", tmp_path / "charts/object-store")
    monkeypatch.setattr(values, "CHARTS", tmp_path / "charts")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "charts/object-store"


def test_a_chart_is_named_as_seen_from_the_program(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert values.own_path("object-store") == "./charts/object-store"
    other = copied.parents[1] / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    assert values.own_path("object-store") == "../charts/object-store"


@pytest.mark.parametrize("name", ["templates/servers.yaml", "files/provision.sh", "values.yaml"])
def test_any_edit_of_a_chart_shows(copied: Path, name: str) -> None:
    before = values.own_digest("object-store")
    assert values.own_digest("object-store") == before
    (copied / name).write_text((copied / name).read_text() + "\n# edited\n")
    assert values.own_digest("object-store") != before


def test_a_renamed_file_shows(copied: Path) -> None:
    before = values.own_digest("object-store")
    (copied / "templates/servers.yaml").rename(copied / "templates/other.yaml")
    assert values.own_digest("object-store") != before


@pytest.mark.usefixtures("copied")
def test_its_values_are_read_where_it_is() -> None:
    assert own_values("object-store")["servers"] == 3
