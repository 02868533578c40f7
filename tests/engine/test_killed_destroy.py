"""`make down` has the state written at its end alone: a run of it that is killed must still be one that can be done again."""

import os
import signal
from pathlib import Path

import pytest

from sandbox.engine import Engine, EngineError
from sandbox.toolchain import Tool

pytestmark = pytest.mark.engine

_PROGRAM = """
import pulumi
import pulumi_random as random

provider = random.Provider("random")
before = []
for number in range(20):
    opts = pulumi.ResourceOptions(provider=provider, depends_on=before)
    before = [random.RandomId(f"number-{number}", byte_length=4, opts=opts)]
"""


def _engine_in(directory: Path) -> int:
    """The process whose command line names the directory: the engine that destroys in it."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"destroy" in said and any(str(directory).encode() in each for each in said):
            return int(entry.parent.name)
    raise AssertionError("no engine destroys here")


def test_what_a_killed_destroy_had_deleted_is_deleted_again(cli: Tool, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: numbers\nruntime: python\n")
    (project / "__main__.py").write_text(_PROGRAM)
    engine = Engine(cli, tmp_path / "engine", passphrase="guards nothing", project=project)
    engine.stack_init("one")
    made = len(engine.up("one").resources)
    deleted: list[str] = []

    def kill_in_the_middle(operation: str, urn: str) -> None:
        deleted.append(urn)
        if operation == "delete" and len(deleted) == 10:
            os.kill(_engine_in(engine.directory), signal.SIGKILL)

    with pytest.raises(EngineError):
        engine.destroy("one", progress=kill_in_the_middle, each_step_saved=False)
    assert len(engine.export_state("one")["deployment"]["resources"]) == made

    engine.cancel("one")
    assert engine.destroy("one", each_step_saved=False).operations["delete"] == made
    assert not engine.export_state("one")["deployment"].get("resources")
