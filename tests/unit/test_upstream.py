"""Where the charts' own data is: tests that need it say what is absent, and how to give it."""

from pathlib import Path

import pytest

from tests import upstream


def test_a_test_is_skipped_where_it_is_absent_and_told_how_to_give_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(upstream, "UPSTREAM", tmp_path / "absent")
    with pytest.raises(pytest.skip.Exception, match=rf"are not at {tmp_path}/absent: PLATFORM_UPSTREAM says"):
        upstream.values("traefik")


def test_a_file_that_is_missing_in_it_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(upstream, "UPSTREAM", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"traefik/values\.yaml"):
        upstream.values("traefik")


def test_schemas_are_read_by_their_versions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(upstream, "UPSTREAM", tmp_path)
    (tmp_path / "it" / "crds").mkdir(parents=True)
    schema = "schema: {openAPIV3Schema: {type: object}}"
    (tmp_path / "it" / "crds" / "things.example.com.yaml").write_text(f"spec: {{versions: [{{name: v1, {schema}}}]}}")
    assert upstream.versions("it/things.example.com") == {"v1": {"type": "object"}}
