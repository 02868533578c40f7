"""Every stack under the in-process monitor, with the outputs of `shared` fixed so that goldens are stable."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import inprocess
from sandbox.cloud import FileCloud
from sandbox.deployment import Deployment
from sandbox.scratch import STACKS, read
from stacks.program import main
from stacks.settings import PROJECT, SHARED

ROOT = Path(__file__).resolve().parents[2]

Edit = Callable[[Any], None]


def shared_outputs() -> dict[str, Any]:
    """What the stack `shared` exports, with documentation addresses and small ids."""
    regions = {"fsn1": "192.0.2", "nbg1": "198.51.100"}
    return {
        "zone": "example.com",
        "active_region": "fsn1",
        "network": {"id": 1, "dmz_subnet_id": "1-10.0.0.0/24"},
        "ssh_key_ids": ["7"],
        "addresses": {
            region: {
                "ingress": {"ipv4_id": 10, "ipv6_id": 11, "ipv4": f"{net}.10", "ipv6": "2001:db8::1"},
                "servers": {str(n): {"id": 20 + n, "address": f"{net}.{n}"} for n in range(1, 8)},
            }
            for region, net in regions.items()
        },
        "object_storage": {
            "endpoint": "hel1.your-objectstorage.com",
            "region": "hel1",
            "etcd_bucket": "example-platform-etcd",
            "site_access_key_ids": {"fsn1": "EXAMPLEKEYFSN1000000", "nbg1": "EXAMPLEKEYNBG1000000"},
        },
    }


class Runner:
    """Previews stacks of a copy of the configuration."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for stack in STACKS:
            shutil.copy(ROOT / f"Pulumi.{stack}.yaml", directory)
        shutil.copytree(ROOT / "config", directory / "config")
        self.cloud = FileCloud(directory / "cloud")

    def edit(self, file: str, change: Edit) -> "Runner":
        """Change one of the YAML files."""
        path = self.directory / file
        document = yaml.safe_load(path.read_text())
        change(document)
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return self

    def regions(self, change: Edit) -> "Runner":
        """Change config/regions.yaml."""
        return self.edit("config/regions.yaml", change)

    def run(self, stack: str, *, preview: bool = True, outputs: Mapping[str, Any] | None = None) -> Deployment:
        """Preview a stack, or make it."""
        scratch = read(self.directory, stack)
        known = {} if stack == SHARED else {f"organization/{PROJECT}/{SHARED}": outputs or shared_outputs()}
        return inprocess.run(
            lambda: main(self.directory),
            project=PROJECT,
            stack=stack,
            config=scratch.texts(),
            secret_keys=set(scratch.secrets),
            preview=preview,
            stack_outputs=known,
            cloud=self.cloud,
            catalogue=self.directory / "config" / "prices.yaml",
        )


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A copy of the committed configuration to change and preview."""
    return Runner(tmp_path)


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Deployment]:
    """The three stacks as committed."""
    runner = Runner(tmp_path_factory.mktemp("committed"))
    return {stack: runner.run(stack) for stack in STACKS}
