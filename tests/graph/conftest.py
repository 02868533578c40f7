"""Every stack under the in-process monitor, with the outputs of `shared` fixed so that goldens are stable."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import hcloud
import pytest
import yaml
from hcloud.images import Image
from hcloud.server_types import ServerType

from sandbox import inprocess
from sandbox.clouds import Options, ThreadedClouds
from sandbox.deployment import Deployment
from sandbox.scratch import STACKS, read
from stacks.layers import Layers
from stacks.program import main
from stacks.settings import PROJECT, SHARED
from tests import machines_alone

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
            "volumes_bucket": "example-platform-volumes",
            "site_access_key_ids": {"fsn1": "EXAMPLEKEYFSN1000000", "nbg1": "EXAMPLEKEYNBG1000000"},
        },
        "origin_pull_ca": "an authority",
        "origin_certificates": {
            region: {"certificate": f"a certificate of {region}", "private_key": f"its key of {region}"}
            for region in regions
        },
        "secret_generations": {"vault_seal_key": 1},
        "secrets": {
            "vault_seal_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "mesh_trust_anchor": {"certificate": "an anchor", "private_key": "the anchor's key"},
        },
    }


SKIPPED = frozenset({"kubernetes", "minio"})


class Runner:
    """Previews stacks of a copy of the configuration, against clouds with what the price list says is in stock."""

    def __init__(self, directory: Path, clouds: ThreadedClouds) -> None:
        self.directory = directory
        self.access = clouds.new_project()
        self._clouds = clouds
        for stack in STACKS:
            shutil.copy(ROOT / f"Pulumi.{stack}.yaml", directory)
        shutil.copytree(ROOT / "config", directory / "config")

    def servers(self) -> dict[str, Any]:
        """The cloud's servers by name: its own objects, to be changed behind everybody's back."""
        project = self._clouds.clouds.hetzner.project(self.access.token)
        assert project is not None
        return {entry["name"]: entry for entry in project.all("servers")}

    def put_marker(self, cluster: str) -> None:
        """Say that a cluster was ready once."""
        project = self._clouds.clouds.hetzner.project(self.access.token)
        assert project is not None
        entry = {"name": f"{cluster}-initialized", "labels": {"cluster": cluster, "state": "initialized"}}
        told = {"type": "uploaded", "certificate": "", "status": None, "domain_names": [], "fingerprint": ""}
        dates = {"not_valid_before": "2026-01-01T00:00:00+00:00", "not_valid_after": "2076-01-01T00:00:00+00:00"}
        self._clouds.call(lambda: project.add("certificates", {**entry, **told, **dates}))

    def put_server(self, name: str, server_type: str, labels: Mapping[str, str], *, protected: bool = False) -> None:
        """Make a server as an earlier deployment would have."""
        client = hcloud.Client(self.access.token, api_endpoint=self.access.hetzner)
        made = client.servers.create(name, ServerType(server_type), Image(name="debian-13"), labels=dict(labels)).server
        if protected:
            made.change_protection(delete=True, rebuild=True)

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

    def run(
        self,
        stack: str,
        *,
        preview: bool = True,
        outputs: Mapping[str, Any] | None = None,
        layers: bool = True,
    ) -> Deployment:
        """Preview a stack, or make it; without what runs in its cluster where a test is about machines alone."""
        with nullcontext() if layers else patch.object(Layers, "build", machines_alone.nothing):
            return self._run(stack, preview=preview, outputs=outputs)

    def _run(self, stack: str, *, preview: bool, outputs: Mapping[str, Any] | None) -> Deployment:
        scratch = read(self.directory, stack).against(self.access)
        known = {} if stack == SHARED else {f"organization/{PROJECT}/{SHARED}": outputs or shared_outputs()}
        return inprocess.run(
            lambda: main(self.directory),
            project=PROJECT,
            stack=stack,
            config=scratch.texts(),
            secret_keys=set(scratch.secrets),
            preview=preview,
            stack_outputs=known,
            skipped=SKIPPED,
        )


@pytest.fixture(scope="session")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedClouds]:
    """Emulated clouds without machines."""
    options = Options(rate_limit=False)
    with ThreadedClouds(tmp_path_factory.mktemp("clouds"), options) as running:
        yield running


@pytest.fixture
def runner(tmp_path: Path, clouds: ThreadedClouds) -> Runner:
    """A copy of the committed configuration to change and preview."""
    return Runner(tmp_path, clouds)


@pytest.fixture(scope="session")
def committed_runner(tmp_path_factory: pytest.TempPathFactory, clouds: ThreadedClouds) -> Runner:
    """The configuration as committed; not to be changed."""
    return Runner(tmp_path_factory.mktemp("committed"), clouds)


@pytest.fixture(scope="session")
def known_secrets(committed_runner: Runner) -> frozenset[str]:
    """Every secret that the committed stacks are given, beside the dummies: by the clouds, and by the stack `shared`."""
    access, outputs = committed_runner.access, shared_outputs()
    given = [access.token, access.api_token, *(each["private_key"] for each in outputs["origin_certificates"].values())]
    anchor = outputs["secrets"]["mesh_trust_anchor"]["private_key"]
    return frozenset([*given, anchor, outputs["secrets"]["vault_seal_key"]])


@pytest.fixture(scope="session")
def committed(committed_runner: Runner, clouds: ThreadedClouds) -> dict[str, Deployment]:
    """The three stacks as committed, while the clouds have in stock what the price list says."""
    catalogue = clouds.clouds.hetzner.catalogue
    clouds.call(lambda: catalogue.stock(everything=False))
    try:
        return {stack: committed_runner.run(stack) for stack in STACKS}
    finally:
        clouds.call(lambda: catalogue.stock(everything=True))


@pytest.fixture(scope="session")
def committed_machines(committed_runner: Runner) -> Deployment:
    """The stack prod as committed, without what runs in its cluster."""
    return committed_runner.run("prod", layers=False)
