"""Prints the seconds that registering takes a resource, for a region with so many agents: one fresh process a figure."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import yaml

from sandbox import inprocess
from sandbox.clouds import Options, ThreadedClouds
from sandbox.scratch import read
from stacks.program import main

ROOT = Path(__file__).resolve().parents[1]


def measure(agents: int) -> float:
    """Seconds a resource."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        shutil.copytree(ROOT / "config", root / "config")
        shutil.copy(ROOT / "Pulumi.prod.yaml", root)
        regions = yaml.safe_load((root / "config/regions.yaml").read_text())
        regions = {"fsn1": regions["fsn1"]}
        regions["fsn1"]["pools"] = {"general": {"kind": "cloud", "type": "cx43", "nodes": f"1-{agents}"}}
        (root / "config/regions.yaml").write_text(yaml.safe_dump(regions))
        with ThreadedClouds(root / "machines", Options(rate_limit=False)) as clouds:
            scratch = read(root, "prod").against(clouds.access)
            start = time.perf_counter()
            deployment = inprocess.run(
                lambda: main(root),
                project="hetzner-platform",
                stack="prod",
                config=scratch.texts(),
                secret_keys=set(scratch.secrets),
                stack_outputs={"organization/hetzner-platform/shared": _shared()},
                skipped=frozenset({"kubernetes"}),
            )
            return (time.perf_counter() - start) / len(deployment.resources)


def _shared() -> dict[str, object]:
    address = {"id": 1, "address": "192.0.2.1"}
    return {
        "zone": "example.com",
        "active_region": "fsn1",
        "network": {"id": 1, "dmz_subnet_id": "1-10.0.0.0/24"},
        "ssh_key_ids": ["1"],
        "addresses": {
            "fsn1": {"ingress": {"ipv4_id": 1, "ipv6_id": 2}, "servers": {str(n): address for n in (1, 2, 3)}}
        },
        "object_storage": {
            "endpoint": "hel1.your-objectstorage.com",
            "region": "hel1",
            "etcd_bucket": "etcd",
            "site_access_key_ids": {"fsn1": "EXAMPLEKEYFSN1000000"},
        },
    }


if __name__ == "__main__":
    # The first run pays for imports and schemas.
    measure(3)
    print(measure(int(sys.argv[1])))
