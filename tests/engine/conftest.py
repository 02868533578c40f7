"""A copy of the project on a scratch backend, with the real engine, the file cloud, and the stand-in of each cluster."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.cloud import FileCloud
from sandbox.deployment import Deployment
from sandbox.engine import Engine, EngineError
from sandbox.scratch import read
from sandbox.toolchain import Tool, find_tool

from .cluster_api import ClusterApi, started_when_known

ROOT = Path(__file__).resolve().parents[2]
ZONE = "example.com"


@pytest.fixture(scope="session")
def cli() -> Tool:
    """The Pulumi command line; without one these tests have nothing to run."""
    found = find_tool("pulumi")
    if found is None:
        pytest.skip("no Pulumi command line on PATH or in the cache: `make toolchain` gets one")
    return found


@dataclass
class Project:
    """A scratch copy of the project and everything around it."""

    directory: Path
    engine: Engine
    cloud: FileCloud
    apis: dict[str, ClusterApi] = field(default_factory=dict)
    regions: dict[str, str] = field(default_factory=dict)

    def edit(self, file: str, change: Callable[[Any], None]) -> None:
        """Change one of the project's YAML files."""
        path = self.directory / file
        document = yaml.safe_load(path.read_text())
        change(document)
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def edit_stack(self, stack: str, change: Callable[[Any], None]) -> None:
        """Change a stack's own block, in the copy that the engine uses."""
        path = self.engine.config_file(stack)
        document = yaml.safe_load(path.read_text())
        change(document["config"]["hetzner-platform:stack"])
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    def init(self, stack: str, region: str | None = None) -> None:
        """Make the stack; a region's API is the stand-in."""
        scratch = read(self.directory, stack)
        self.engine.stack_init(stack, scratch.write(self.engine.directory), scratch.secrets)
        if region is not None:
            self.regions[stack] = region
            self.apis[stack] = ClusterApi(self.cloud, region, self.engine.directory)
            address = self.apis[stack].address
            self.edit_stack(
                stack,
                lambda block: block.update(api={"endpoint": "address", "connect_to": address, "ready_within": 90}),
            )

    def up(self, stack: str) -> Deployment:
        """``pulumi up``; a region's API comes up with its first machines."""
        api = self.apis.get(stack)
        if api is None or api._thread is not None:
            return self.engine.up(stack)
        region = self.regions[stack]
        with started_when_known(api, f"k8s-{region}.{ZONE}", lambda: self._authority(stack, region)):
            return self.engine.up(stack)

    def _authority(self, stack: str, region: str) -> tuple[str, str] | None:
        try:
            state = self.engine.export_state(stack, show_secrets=True)
        except EngineError:
            return None
        found = {
            resource["type"].rpartition(":")[2]: resource["outputs"]
            for resource in state["deployment"].get("resources", [])
            if resource["urn"].endswith(f"::{region}-pki-server")
        }
        if not {"PrivateKey", "LocallySignedCert"} <= set(found):
            return None
        return _plain(found["LocallySignedCert"]["certPem"]), _plain(found["PrivateKey"]["privateKeyPem"])


def _plain(value: Any) -> str:
    """A value of an exported state, whose secrets are JSON texts inside an envelope."""
    if isinstance(value, dict):
        return str(yaml.safe_load(value["plaintext"]))
    return str(value)


@pytest.fixture(scope="module")
def project(cli: Tool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One scratch project for the tests of a module, which tell one story in order."""
    base = tmp_path_factory.mktemp("engine")
    directory = base / "project"
    directory.mkdir()
    for name in ("__main__.py", "Pulumi.yaml", "Pulumi.shared.yaml", "Pulumi.prod.yaml", "Pulumi.dr.yaml"):
        shutil.copy(ROOT / name, directory / name)
    shutil.copytree(ROOT / "config", directory / "config")
    definition = yaml.safe_load((directory / "Pulumi.yaml").read_text())
    definition["runtime"] = "python"
    (directory / "Pulumi.yaml").write_text(yaml.safe_dump(definition))
    cloud = FileCloud(base / "cloud")
    engine = Engine(
        cli,
        base / "engine",
        passphrase="labelled dummies only",
        project=directory,
        cloud=cloud.directory,
        catalogue=directory / "config" / "prices.yaml",
        environment={"PYTHONPATH": str(ROOT)},
    )
    made = Project(directory, engine, cloud)
    yield made
    for api in made.apis.values():
        api.stop()
