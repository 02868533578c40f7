"""`make down` has the state written at its end alone: a run of it that is killed must still be one that can be done again."""

import os
import signal
import sys
from pathlib import Path

import pytest

from sandbox.engine import Engine, EngineError
from sandbox.toolchain import CHECKOUT, Tool

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


_PLUGIN = """
import sys, time
from pathlib import Path
from sandbox.plugins.packages.random import Random
from sandbox.plugins.server import serve

held = Path(sys.argv[1])

def delete(self, target, id, outputs):
    while target.name == "number-9" and held.exists():
        time.sleep(0.05)

Random.delete = delete
sys.exit(serve("random"))
"""
"""The provider, whose deletion of the tenth number does not end while a file is there."""


def _hold(engine: Engine, directory: Path) -> Path:
    """Let the engine's provider be that one; the file."""
    held, plugin = directory / "held", directory / "plugin.py"
    held.touch()
    plugin.write_text(_PLUGIN)
    launcher = engine.directory / "bin" / "pulumi-resource-random"
    launcher.write_text(f"#!/bin/sh\nPYTHONPATH='{CHECKOUT}' exec '{sys.executable}' '{plugin}' '{held}' \"$@\"\n")
    return held


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
    held = _hold(engine, tmp_path)
    begun: list[str] = []

    def kill_in_the_middle(operation: str, urn: str) -> None:
        begun.extend([urn.rpartition("::")[2]] if operation == "delete" else [])
        if begun[-1:] == ["number-9"] and held.exists():
            os.kill(_engine_in(engine.directory), signal.SIGKILL)
            held.unlink()

    with pytest.raises(EngineError):
        engine.destroy("one", progress=kill_in_the_middle, each_step_saved=False)
    assert begun == [f"number-{number}" for number in range(19, 8, -1)]
    assert len(engine.export_state("one")["deployment"]["resources"]) == made

    engine.cancel("one")
    assert engine.destroy("one", each_step_saved=False).operations["delete"] == made
    assert not engine.export_state("one")["deployment"].get("resources")
