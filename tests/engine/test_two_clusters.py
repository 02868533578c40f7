"""Two clusters in one program, on the real engine: a team's own project that imports single components."""

import shutil
from pathlib import Path

import pytest

from sandbox.clouds import Options, ThreadedClouds
from sandbox.engine import Engine
from sandbox.toolchain import Tool

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]


def test_a_foreign_program_with_two_clusters_is_previewed(cli: Tool, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: two\nruntime: python\n")
    shutil.copy(ROOT / "tests/graph/two_clusters.py", project / "__main__.py")
    engine = Engine(
        cli,
        tmp_path / "engine",
        passphrase="labelled dummies only",
        project=project,
        environment={"PYTHONPATH": str(ROOT)},
    )
    with ThreadedClouds(tmp_path / "machines", Options()) as clouds:
        config = tmp_path / "dev.yaml"
        config.write_text(f"config: {{'hcloud:endpoint': '{clouds.access.hetzner}'}}\n")
        engine.stack_init("dev", config, {"hcloud:token": clouds.access.token})
        deployment = engine.preview("dev")
    servers = deployment.by_type("hcloud:index/server:Server")
    assert sorted(server.name for server in servers) == [
        "blue-server-1",
        "blue-workers-1",
        "green-server-1",
        "green-workers-1",
    ]
    assert set(deployment.operations) == {"create"}
