"""Prints the seconds that registering takes a resource, for a region of some size: one fresh process a figure.

``python -m benchmarks.registration agents 60`` or ``tenants 100``.
"""

import copy
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sandbox import inprocess
from sandbox.clouds import Options, ThreadedClouds
from sandbox.scratch import read
from stacks.program import main

ROOT = Path(__file__).resolve().parents[1]

Edit = Callable[[Any], Any]
"""Takes what a file of configuration says, returns what it is to say."""


def measure(edits: dict[str, Edit]) -> tuple[float, int]:
    """Seconds of processor time that prod takes, and how many resources it has, with some files of ``config`` edited.

    Processor time, so that what else the computer does is not measured: nothing waits here.
    """
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        shutil.copytree(ROOT / "config", root / "config")
        shutil.copy(ROOT / "Pulumi.prod.yaml", root)
        for name, edit in edits.items():
            path = root / "config" / name
            path.write_text(yaml.safe_dump(edit(yaml.safe_load(path.read_text()))))
        with ThreadedClouds(root / "machines", Options(rate_limit=False)) as clouds:
            scratch = read(root, "prod").against(clouds.access)
            start = time.process_time()
            deployment = inprocess.run(
                lambda: main(root),
                project="hetzner-platform",
                stack="prod",
                config=scratch.texts(),
                secret_keys=set(scratch.secrets),
                stack_outputs={"organization/hetzner-platform/shared": shared_outputs()},
                skipped=frozenset({"kubernetes"}),
            )
            return time.process_time() - start, len(deployment.resources)


def with_agents(agents: int) -> dict[str, Edit]:
    """Of a region with so many agents in its pool ``general``."""

    def edit(regions: Any) -> Any:
        regions["fsn1"]["pools"]["general"]["nodes"] = f"1-{agents}"
        return regions

    return {"regions.yaml": edit}


def with_tenants(tenants: int) -> dict[str, Edit]:
    """Of a region with so many tenants of two environments each, all like the first one of the repository."""

    def edit(document: Any) -> Any:
        like = next(iter(document.values()))
        made: dict[str, Any] = {}
        for number in range(1, tenants + 1):
            name = f"t{number}"
            made[name] = tenant = copy.deepcopy(like)
            for environment, block in tenant["environments"].items():
                block["hosts"] = [f"{name}-{environment}.example.com"]
        return made

    return {"tenants.yaml": edit}


def shared_outputs() -> dict[str, Any]:
    """What the stack ``shared`` would export: documentation addresses, small ids, texts that say what they are."""
    address = {"id": 1, "address": "192.0.2.1"}
    return {
        "zone": "example.com",
        "active_region": "fsn1",
        "network": {"id": 1, "dmz_subnet_id": "1-10.0.0.0/24"},
        "ssh_key_ids": ["1"],
        "addresses": {
            "fsn1": {
                "ingress": {"ipv4_id": 1, "ipv6_id": 2, "ipv4": "192.0.2.10", "ipv6": "2001:db8::1"},
                "servers": {str(n): address for n in (1, 2, 3)},
            }
        },
        "object_storage": {
            "endpoint": "hel1.your-objectstorage.com",
            "region": "hel1",
            "etcd_bucket": "etcd",
            "volumes_bucket": "volumes",
            "site_access_key_ids": {"fsn1": "EXAMPLEKEYFSN1000000"},
        },
        "origin_pull_ca": "an authority",
        "origin_certificates": {"fsn1": {"certificate": "a certificate", "private_key": "its key"}},
        "secret_generations": {"vault_seal_key": 1},
        "secrets": {
            "vault_seal_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "mesh_trust_anchor": {"certificate": "an anchor", "private_key": "the anchor's key"},
        },
    }


if __name__ == "__main__":
    sizes = {"agents": with_agents, "tenants": with_tenants}
    # The first run pays for imports and schemas.
    measure({})
    seconds, resources = measure(sizes[sys.argv[1]](int(sys.argv[2])))
    print(seconds / resources)
