"""A copy of the project on a scratch backend: the real engine, the emulated clouds, and real API servers."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from sandbox.clouds import Options, ThreadedClouds
from sandbox.deployment import Deployment
from sandbox.engine import Engine, EngineError
from sandbox.inventory import read_buckets
from sandbox.machines import PROGRAMS, Tools
from sandbox.object_store import ObjectStore
from sandbox.scratch import read
from sandbox.toolchain import Tool, find_tool

from . import one_to_one

ROOT = Path(__file__).resolve().parents[2]
ADMINISTRATOR = "EXAMPLEKEYADMIN00000"
MACHINES_ALONE = "tests/machines_alone.py"
WHOLE_PLATFORM = "__main__.py"
KEPT = {"example-platform-postgres", "example-platform-volumes"}
"""Buckets with object lock, which a destroy leaves where they are."""


def needed(name: str) -> Tool:
    """A tool; without it these tests have nothing to run."""
    found = find_tool(name)
    if found is None:
        pytest.skip(f"{name} is neither on PATH nor in the cache: `make toolchain` gets it")
    return found


@pytest.fixture(scope="session")
def cli() -> Tool:
    """The Pulumi command line."""
    return needed("pulumi")


@pytest.fixture(scope="session")
def tools() -> Tools:
    """What real control planes are made of."""
    return Tools(*(needed(name).path for name in PROGRAMS))


@dataclass
class Project:
    """A scratch copy of the project and everything around it."""

    directory: Path
    engine: Engine
    clouds: ThreadedClouds
    kept_buckets: set[str] = field(default_factory=set)
    stacks: list[str] = field(default_factory=list)

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

    def init(self, stack: str) -> None:
        """Make the stack, for these clouds."""
        scratch = read(self.directory, stack).against(self.clouds.access)
        self.engine.stack_init(stack, scratch.write(self.engine.directory), scratch.secrets)
        self.stacks.append(stack)

    def up(self, stack: str) -> Deployment:
        """``pulumi up``; clouds and states map one to one afterwards."""
        deployment = self.engine.up(stack)
        assert self.differences() == []
        return deployment

    def destroy(self, stack: str) -> None:
        """``pulumi destroy``; clouds and states map one to one afterwards."""
        self.engine.destroy(stack)
        assert self.differences() == []

    def differences(self) -> list[str]:
        """What clouds and states do not have in common."""
        states = [self.engine.export_state(stack) for stack in self.stacks]
        named = {id for kind, id in one_to_one.in_states(states) if kind == "buckets"}
        buckets = set(read_buckets(self.clouds.access)[0]) - (self.kept_buckets - named)
        cloudflare = self.clouds.call(self.clouds.clouds.cloudflare.ids)
        return one_to_one.differences(states, one_to_one.in_clouds(self.objects(), cloudflare, buckets))

    def objects(self) -> Mapping[str, Any]:
        """The Hetzner project's own memory, by kind."""
        project = self.clouds.clouds.hetzner.project(self.clouds.access.token)
        assert project is not None
        return self.clouds.call(lambda: project.dump()["kinds"])

    def servers(self, region: str) -> dict[str, Mapping[str, Any]]:
        """The cloud's servers of a region by name."""
        return {each["name"]: each for each in self.objects()["servers"] if each["labels"].get("cluster") == region}

    def cluster(self, stack: str) -> Any:
        """A region's API, as its administrator."""
        kubeconfig = yaml.safe_load(self.engine.stack_output(stack, show_secrets=True)["kubeconfig"])
        return client.CoreV1Api(config.new_client_from_config_dict(kubeconfig))

    def nodes(self, stack: str) -> dict[str, Any]:
        """A region's Nodes by name."""
        return {node.metadata.name: node for node in self.cluster(stack).list_node(_request_timeout=10).items}

    def eventually(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something holds that machines bring about by themselves."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"did not hold within {seconds} s"
            time.sleep(0.3)


@pytest.fixture(scope="module")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An S3-compatible server."""
    store = ObjectStore(needed("moto_server").path, tmp_path_factory.mktemp("store"), ADMINISTRATOR, "labelled-dummy")
    store.start()
    yield store
    store.stop()


@pytest.fixture(scope="module")
def project(
    cli: Tool, tools: Tools, object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """One scratch project for the tests of a module, which tell one story in order."""
    base = tmp_path_factory.mktemp("engine")
    options = Options(
        machines="full",
        tools=tools,
        rate_limit=False,
        regions={"fsn1": 1, "nbg1": 2},
        object_store=(object_store.endpoint, object_store.user, object_store.password),
    )
    with ThreadedClouds(base / "machines", options) as clouds:
        yield made(cli, base, clouds)


def made(cli: Tool, base: Path, clouds: ThreadedClouds, program: str = MACHINES_ALONE) -> Project:
    """A copy of the project below ``base``, for these clouds; its program leaves out what runs in the clusters unless told."""
    directory = base / "project"
    directory.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.shared.yaml", "Pulumi.prod.yaml", "Pulumi.dr.yaml"):
        shutil.copy(ROOT / name, directory / name)
    shutil.copy(ROOT / program, directory / "__main__.py")
    shutil.copytree(ROOT / "config", directory / "config")
    definition = yaml.safe_load((directory / "Pulumi.yaml").read_text())
    definition["runtime"] = "python"
    (directory / "Pulumi.yaml").write_text(yaml.safe_dump(definition))
    engine = Engine(
        cli,
        base / "engine",
        passphrase="labelled dummies only",
        project=directory,
        environment={"PYTHONPATH": str(ROOT)},
    )
    return Project(directory, engine, clouds)


__all__ = ["EngineError", "Project"]
