"""What is refused before anything is created: file, key, value, what is allowed; all at once, never a secret."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from sandbox.preview import checked
from stacks.problems import ConfigurationError
from stacks.program import configuration

ROOT = Path(__file__).resolve().parents[3]
REGIONS = "config/regions.yaml"
PROD = "Pulumi.prod.yaml"
SHARED = "Pulumi.shared.yaml"

Edit = Callable[[Any], Any]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    for stack in ("shared", "prod", "dr"):
        shutil.copy(ROOT / f"Pulumi.{stack}.yaml", tmp_path)
    return tmp_path


def edit(project: Path, file: str, change: Edit) -> None:
    path = project / file
    document = yaml.safe_load(path.read_text())
    change(document if file.startswith("config/") else document["config"]["hetzner-platform:stack"])
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def problems(project: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        checked(project)
    return [str(problem) for problem in error.value.problems]


def test_the_committed_configuration_has_no_problem(project: Path) -> None:
    scratch, blocks = checked(project)
    assert set(scratch) == set(blocks) == {"shared", "prod", "dr"}


def at(*path: str | int) -> Callable[[Any], Any]:
    def walk(document: Any) -> Any:
        for step in path:
            document = document[step]
        return document

    return walk


def put(*path: str | int, **values: Any) -> Edit:
    return lambda document: at(*path)(document).update(values)


GENERAL = ("fsn1", "pools", "general")

CASES: dict[str, tuple[str, Edit, str, str]] = {
    "an unknown key": (REGIONS, put("fsn1", server={}), "fsn1.server", "did you mean 'servers'"),
    "an unknown key in a pool": (REGIONS, put(*GENERAL, node="1"), "fsn1.pools.general.node", "did you mean 'nodes'"),
    "an unknown kind of pool": (REGIONS, put(*GENERAL, kind="clod"), "fsn1.pools.general.kind", "cloud, robot, autoscaled"),
    "a number where text is needed": (REGIONS, put(*GENERAL, nodes=3), "fsn1.pools.general.nodes = 3", 'in quotes: "3"'),
    "text where a number is needed": (REGIONS, put("fsn1", index="1"), "fsn1.index", "valid integer"),
    "a text that only looks like false": (PROD, put(protection="false"), "protection", "valid boolean"),
    "an even number of servers": (REGIONS, put("fsn1", "servers", nodes="1-4"), 'fsn1.servers.nodes = "1-4"', "odd number"),
    "a number claimed twice": (
        REGIONS,
        put("fsn1", "pools", more={"kind": "cloud", "type": "cx43", "nodes": "2"}),
        "fsn1.pools.more.nodes = 2",
        "claimed by the pools general and more",
    ),
    "a number outside the subnet": (REGIONS, put(*GENERAL, nodes="1,255"), "fsn1.pools.general.nodes", "outside its subnet"),
    "the gateway's number on a vSwitch": (REGIONS, put("fsn1", "pools", "gpu", nodes="1"), "fsn1.pools.gpu.nodes", "from 2"),
    "an index used twice": (REGIONS, put("nbg1", index=1), "nbg1.index = 1", "subnets would overlap"),
    "an index outside the plan": (REGIONS, put("nbg1", index=10), "nbg1.index = 10", "less than or equal to 9"),
    "too many attachments": (
        REGIONS,
        put("fsn1", "pools", "burst", max=90),
        "fsn1.pools",
        "the Network takes 100",
    ),
    "a fallback of another architecture": (
        REGIONS,
        put(*GENERAL, fallback_types=["cax31"]),
        'fsn1.pools.general.fallback_types[0] = "cax31"',
        "architecture",
    ),
    "an unknown server type": (REGIONS, put("fsn1", "servers", type="cx31"), 'fsn1.servers.type = "cx31"', "did you mean"),
    "an unknown robot model": (REGIONS, put("fsn1", "pools", "gpu", model="GEX4"), "fsn1.pools.gpu.model", "GEX45"),
    "a pool with an impossible name": (
        REGIONS,
        put("fsn1", "pools", Big_Pool={"kind": "cloud", "type": "cx43", "nodes": "9"}),
        "fsn1.pools.Big_Pool",
        "RFC 1123",
    ),
    "a name over 63 characters": (
        REGIONS,
        put("fsn1", "pools", **{"x" * 60: {"kind": "cloud", "type": "cx43", "nodes": "9"}}),
        "fsn1.pools.xxx",
        "at most 63",
    ),
    "a generation of a machine that is not there": (
        REGIONS,
        put(*GENERAL, generations={3: 2}),
        "fsn1.pools.general.generations = 3",
        "which fsn1.pools.general.nodes does not",
    ),
    "settings that a kind does not have": (
        REGIONS,
        put("fsn1", "pools", "burst", drained=[1]),
        "fsn1.pools.burst.drained",
        "is an unknown key",
    ),
    "user_data that could exceed 32 KiB": (
        REGIONS,
        put(*GENERAL, labels={f"example.com/{n:060}": "v" * 63 for n in range(250)}),
        "fsn1.pools.general.labels",
        "Hetzner takes 32768",
    ),
    "a wrong taint": (REGIONS, put(*GENERAL, taints=["gpu"]), "fsn1.pools.general.taints", "key=value:Effect"),
    "min over max": (REGIONS, put("fsn1", "pools", "burst", min=9), "fsn1.pools.burst.min", "more than max"),
    "an unknown load balancer target": (REGIONS, put("fsn1", "load_balancer", targets="gpu"), "fsn1.load_balancer.targets", "general"),
    "an unknown location": (REGIONS, put("fsn1", location="fsn2"), "fsn1.location", "did you mean 'fsn1'"),
    "an empty admin_cidrs": (PROD, put(admin_cidrs=[]), "admin_cidrs", "at least 1 item"),
    "everybody as administrators": (PROD, put(admin_cidrs=["0.0.0.0/0"]), "admin_cidrs[0]", "to everybody"),
    "everybody in IPv6": (PROD, put(admin_cidrs=["::/0"]), "admin_cidrs[0]", "to everybody"),
    "everybody in another spelling": (PROD, put(admin_cidrs=["0::/0"]), "admin_cidrs[0]", "to everybody"),
    "an address with host bits": (PROD, put(admin_cidrs=["203.0.113.7/24"]), "admin_cidrs[0]", "host bits"),
    "an unknown region": (PROD, put(region="fsn2"), "region", "did you mean 'fsn1'"),
    "a region of two stacks": (PROD, put(region="nbg1"), "region", "the region of Pulumi.dr.yaml too"),
    "an unknown role": (PROD, put(role="main"), "role", "'primary' or 'standby'"),
    "connect_to without its endpoint": (PROD, put("api", connect_to="192.0.2.1"), "api.connect_to", "endpoint: address"),
    "an unknown active region": (SHARED, put(active_region="hel1"), "active_region", "known: fsn1, nbg1"),
    "more rules than the plan allows": (
        SHARED,
        put("cloudflare", plan="free", rate_limits=[]),
        "cloudflare.custom_rules",
        "",
    ),
    "an unknown secret to renew": (SHARED, put(secret_generations={"vault": 2}), "secret_generations.vault", "vault_seal_key"),
    "a region without an access key": (
        SHARED,
        lambda block: block["object_storage"]["site_access_key_ids"].pop("nbg1"),
        "site_access_key_ids",
        "nbg1",
    ),
}


@pytest.mark.parametrize("case", [case for case in CASES if case != "more rules than the plan allows"])
def test_it_is_refused_with_file_key_and_remedy(case: str, project: Path) -> None:
    file, change, key, allowed = CASES[case]
    edit(project, file, change)
    found = problems(project)
    assert any(problem.startswith(f"{file}: ") and key in problem and allowed in problem for problem in found), found


def test_more_rules_than_the_plan_allows_are_refused(project: Path) -> None:
    rules = [
        {"description": f"rule {n}", "expression": f'(http.request.uri.path eq "/{n}")', "action": "block"} for n in range(6)
    ]
    edit(project, SHARED, put("cloudflare", plan="free", custom_rules=rules))
    found = problems(project)
    assert any("cloudflare.custom_rules" in problem and "5" in problem for problem in found), found
    assert any("cloudflare.rate_limits" in problem for problem in found), found


def test_all_problems_are_told_at_once(project: Path) -> None:
    edit(project, REGIONS, put("fsn1", "servers", nodes="1-2"))
    edit(project, REGIONS, put("nbg1", location="nbg9"))
    edit(project, PROD, put(admin_cidrs=["0.0.0.0/0", "x"]))
    edit(project, "config/access.yaml", put("ssh_keys", broken="ssh-ed25519"))
    found = problems(project)
    assert len(found) == 5
    assert {problem.split(":")[0] for problem in found} == {REGIONS, PROD, "config/access.yaml"}


def test_a_key_that_stands_twice_is_refused(project: Path) -> None:
    path = project / REGIONS
    path.write_text(path.read_text() + "\nfsn1: {}\n")
    assert any("fsn1" in problem and "stands twice, in lines" in problem for problem in problems(project))


def test_broken_yaml_is_told_with_its_place(project: Path) -> None:
    (project / REGIONS).write_text("fsn1: {location: fsn1\nindex: 1}")
    assert any("is not valid YAML" in problem and "line" in problem for problem in problems(project))


def test_a_missing_file_is_told(project: Path) -> None:
    (project / "config/prices.yaml").unlink()
    assert any("config/prices.yaml" in problem and "cannot be read" in problem for problem in problems(project))


def test_a_private_key_is_never_shown(project: Path) -> None:
    secret = "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXk"
    edit(project, "config/access.yaml", put("ssh_keys", mine=secret))
    found = problems(project)
    assert any("is a private key" in problem for problem in found)
    assert not any("b3BlbnNzaC1rZXk" in problem for problem in found)


def secrets_of(project: Path, given: dict[str, str], *, encrypted: bool = True) -> list[str]:
    block = yaml.safe_load((project / PROD).read_text())["config"]["hetzner-platform:stack"]
    with pytest.raises(ConfigurationError) as error:
        configuration(project, "prod", yaml.safe_dump(block).replace("'", '"') and _json(block), given.get, lambda _: encrypted)
    return [str(problem) for problem in error.value.problems]


def _json(block: Any) -> str:
    import json

    return json.dumps(block)


def test_a_missing_secret_comes_with_the_line_to_run(project: Path) -> None:
    found = secrets_of(project, {})
    assert any("run: pulumi config set --secret hcloud:token -s prod" in problem for problem in found)
    assert any("run: pulumi config set --secret hetzner-platform:backupSecretKey -s prod" in problem for problem in found)


def test_a_token_of_another_length_is_refused_without_showing_it(project: Path) -> None:
    token = "s3cr3t" * 10
    found = secrets_of(project, {"hcloud:token": token, "hetzner-platform:backupSecretKey": "x"})
    assert any("has 60 characters; a Hetzner Cloud token has exactly 64" in problem for problem in found)
    assert not any("s3cr3t" in problem for problem in found)


def test_a_secret_in_clear_is_refused(project: Path) -> None:
    found = secrets_of(project, {"hcloud:token": "a" * 64, "hetzner-platform:backupSecretKey": "x"}, encrypted=False)
    assert any("hcloud:token" in problem and "stored in clear" in problem for problem in found)


def test_pulumi_prints_one_message_without_a_traceback() -> None:
    assert issubclass(ConfigurationError, pulumi.RunError)
