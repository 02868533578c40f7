"""Previews work on copies: no secret of the tracked files, no address of a real cloud, and nothing written back."""

import shutil
from pathlib import Path

import pytest
import yaml

from sandbox.preview import checked
from sandbox.scratch import STACKS, dummy, read
from stacks.problems import ConfigurationError
from stacks.stack_secrets import possible_secrets

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    for stack in STACKS:
        shutil.copy(ROOT / f"Pulumi.{stack}.yaml", tmp_path)
    return tmp_path


def add(project: Path, **values: object) -> None:
    path = project / "Pulumi.prod.yaml"
    document = yaml.safe_load(path.read_text())
    document["encryptionsalt"] = "v1:salt"
    document["config"].update(values)
    path.write_text(yaml.safe_dump(document))


def test_encrypted_secrets_and_endpoints_are_left_out(project: Path) -> None:
    add(project, **{"hcloud:token": {"secure": "v1:abc"}, "hcloud:endpoint": "https://api.example.com/v1"})
    scratch = read(project, "prod")
    written = scratch.write(project / "config").read_text()
    assert "abc" not in written
    assert "salt" not in written
    assert "api.example.com" not in written
    # All that a stack may need; a preview names those that this one does.
    assert scratch.missing == tuple(key for key in possible_secrets("prod") if key != "hcloud:token")
    assert scratch.secrets["hcloud:token"] == dummy("hcloud:token")


def test_dummies_say_what_they_are_and_have_a_tokens_form() -> None:
    assert dummy("hcloud:token").startswith("dummyhcloudtoken")
    assert len(dummy("hcloud:token")) == 64
    assert dummy("hcloud:token").isalnum()


def test_a_secret_in_clear_is_refused_and_never_shown(project: Path) -> None:
    add(project, **{"hcloud:token": "s3cr3t" * 5})
    with pytest.raises(ConfigurationError) as error:
        checked(project)
    message = str(error.value)
    assert "hcloud:token" in message
    assert "is stored in clear" in message
    assert "has 30 characters; a Hetzner Cloud token has exactly 64" in message
    assert "s3cr3t" not in message


def test_files_are_for_their_owner_alone(project: Path) -> None:
    assert read(project, "prod").write(project / "config").stat().st_mode & 0o077 == 0
