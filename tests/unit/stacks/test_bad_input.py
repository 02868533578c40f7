"""What is refused before anything is created: file, key, value, what is wrong, what to write; all at once, no secret."""

import re
from collections.abc import Callable
from pathlib import Path

import pulumi
import pytest
import yaml

from sandbox.preview import checked
from stacks.problems import ConfigurationError
from stacks.stack_secrets import required_secrets
from tests.unit.stacks.edited import (
    ACCESS,
    DR,
    GONE,
    PLATFORM,
    PRICES,
    PROD,
    REGIONS,
    SHARED,
    TENANTS,
    VERSIONS,
    Edited,
    Path_,
)


def many_labels(count: int) -> dict[str, str]:
    return {f"example.com/{'l' * 50}{number}": "v" * 63 for number in range(count)}


TENANT = {
    "owner": "team-orders",
    "repositories": ["https://git.example.com/orders/orders.git"],
    "environments": {"staging": {"quota": {"cpu": 1, "memory": "1Gi"}}},
}
ACCOUNTS = ("accounts", "environments", "production")

CASES: dict[str, list[tuple[str, Path_, object]]] = {
    "a chart that the platform installs is not pinned at all": [(VERSIONS, ("charts", "traefik"), GONE)],
    "native routing beside a pool of dedicated machines": [(REGIONS, ("fsn1", "routing"), "native")],
    "two pools whose GPUs are shared unlike": [
        (
            REGIONS,
            ("fsn1", "pools", "training"),
            {"kind": "robot", "model": "GEX45", "vswitch_id": 4711, "nodes": "3", "gpu_sharing": {"pods_per_gpu": 4}},
        )
    ],
    "an unknown routing": [(REGIONS, ("fsn1", "routing"), "bgp")],
    "an unknown secrets engine": [(PLATFORM, ("secrets", "engine"), "bao")],
    "a secrets engine without what it needs": [(PLATFORM, ("secrets", "engine"), "aws")],
    "settings of an engine that is not the one": [(PLATFORM, ("secrets", "address"), "https://vault.example.com:8200")],
    "a vault without TLS": [(PLATFORM, ("secrets",), {"engine": "vault", "address": "http://vault.example.com"})],
    "an object store of Hetzner's without its endpoint": [(PLATFORM, ("object_store", "kind"), "hetzner")],
    "a prefix of buckets that are in the cluster": [(PLATFORM, ("object_store", "prefix"), "example")],
    "an unknown kind of object store": [(PLATFORM, ("object_store", "kind"), "minio")],
    "a registry of images without its slash": [(PLATFORM, ("image_registries",), ["registry.example.com"])],
    "no registry of images": [(PLATFORM, ("image_registries",), [])],
    "an unknown enforcement": [(PLATFORM, ("policy", "enforcement"), "enforce")],
    "an override of no constraint": [(PLATFORM, ("policy", "overrides"), {"K8sAllowedRepo": "deny"})],
    "an override that would let tenants into each other's": [
        (PLATFORM, ("policy", "overrides"), {"TenantTraefik": "dryrun"})
    ],
    "an enforcement of no region": [(PLATFORM, ("policy", "regions"), {"hel1": "deny"})],
    "a persona that is none": [(PLATFORM, ("personas", "platform-operators"), ["platform"])],
    "a group of Kubernetes' own": [(PLATFORM, ("personas", "auditor"), ["system:masters"])],
    "an authentication service that is no address": [(PLATFORM, ("ingress", "authentication"), "oauth2-proxy:4180")],
    "a burst below the average": [(PLATFORM, ("ingress", "burst"), 10)],
    "a tenant's name that is no DNS label": [(TENANTS, ("Accounts_1",), TENANT)],
    "a tenant's name that is the platform's own": [(TENANTS, ("traefik",), TENANT)],
    "a tenant's name that is too long for its namespaces": [(TENANTS, ("a" * 53,), TENANT)],
    "a quota above the cluster": [(TENANTS, (*ACCOUNTS, "quota", "memory"), "640Gi")],
    "a quota that is no quantity": [(TENANTS, (*ACCOUNTS, "quota", "cpu"), "two")],
    "a source outside the allowed list": [
        (TENANTS, ("accounts", "repositories"), ["https://git.example.org/accounts/user-service.git"])
    ],
    "a source that climbs out of the allowed list": [
        (TENANTS, ("accounts", "repositories"), ["https://git.example.com/../other/repository.git"])
    ],
    "a GPU where there is none": [(TENANTS, ("ml", "environments", "production", "quota", "gpus"), {"nbg1": 1})],
    "more GPUs than there are": [(TENANTS, ("ml", "environments", "production", "quota", "gpus"), {"fsn1": 4})],
    "a public bucket": [(TENANTS, (*ACCOUNTS, "buckets", "avatars"), {"public": True})],
    "a host that two tenants want": [(TENANTS, (*ACCOUNTS, "hosts"), ["api.example.com"])],
    "an environment that there is not": [(TENANTS, ("accounts", "environments", "testing"), {})],
    "a reach that there is not": [(TENANTS, ("accounts", "reaches"), ["database"])],
    "a platform that cannot be scheduled": [
        (REGIONS, ("fsn1", "pools", "general", "type"), "cx23"),
        (REGIONS, ("fsn1", "pools", "general", "nodes"), "1"),
    ],
    "a chart version that is a range": [(VERSIONS, ("charts", "cilium", "version"), "1.19.x")],
    "a chart from a place without encryption": [
        (VERSIONS, ("charts", "cilium", "repository"), "http://helm.cilium.io")
    ],
    "an unknown key of the servers": [(REGIONS, ("fsn1", "servers", "node"), "1-3")],
    "an unknown key of a pool": [(REGIONS, ("fsn1", "pools", "general", "fallback"), ["cpx42"])],
    "an unknown key of a region": [(REGIONS, ("fsn1", "locaton"), "fsn1")],
    "an unknown key of a stack": [(PROD, ("admin_cidr",), ["203.0.113.0/24"])],
    "an unknown key below api": [(PROD, ("api", "endpint"), "name")],
    "an unknown key of the edge": [(SHARED, ("cloudflare", "hostname"), ["@"])],
    "an unknown key of a rule": [(SHARED, ("cloudflare", "custom_rules", 0, "expresion"), "x")],
    "a missing key": [(REGIONS, ("fsn1", "servers", "type"), GONE)],
    "a stack without a region": [(PROD, ("region",), GONE)],
    "text where a number is needed": [(REGIONS, ("fsn1", "index"), "1")],
    "a number where text is needed": [(REGIONS, ("fsn1", "pools", "general", "nodes"), 3)],
    "text where true or false is needed": [(PROD, ("protection",), "yes")],
    "a server type that is a number": [(REGIONS, ("fsn1", "pools", "general", "type"), 43)],
    "a label that is a number": [(REGIONS, ("fsn1", "pools", "general", "labels"), {"tier": 1})],
    "a list where pools are needed": [(REGIONS, ("fsn1", "pools"), ["general"])],
    "a pool without a kind": [(REGIONS, ("fsn1", "pools", "general", "kind"), GONE)],
    "an unknown kind of pool": [(REGIONS, ("fsn1", "pools", "general", "kind"), "dedicated")],
    "a pool of dedicated machines without its vSwitch": [(REGIONS, ("fsn1", "pools", "gpu", "vswitch_id"), GONE)],
    "a generation whose machine is text": [(REGIONS, ("fsn1", "pools", "general", "generations"), {"2": 3})],
    "a generation below one": [(REGIONS, ("fsn1", "pools", "general", "generations"), {2: 0})],
    "a generation of a machine outside every subnet": [
        (REGIONS, ("fsn1", "pools", "general", "generations"), {300: 2})
    ],
    "an even number of servers": [(REGIONS, ("fsn1", "servers", "nodes"), "1-2")],
    "four servers": [(REGIONS, ("fsn1", "servers", "nodes"), "1-4")],
    "a number that two pools claim": [
        (REGIONS, ("fsn1", "pools", "web"), {"kind": "cloud", "type": "cx43", "nodes": "2,5"})
    ],
    "a number that two pools claim on the vSwitch": [
        (REGIONS, ("fsn1", "pools", "gpu2"), {"kind": "robot", "model": "GEX45", "vswitch_id": 4711, "nodes": "2"})
    ],
    "two vSwitches in a region": [
        (REGIONS, ("fsn1", "pools", "gpu2"), {"kind": "robot", "model": "GEX45", "vswitch_id": 4712, "nodes": "3"})
    ],
    "a number outside its subnet": [(REGIONS, ("fsn1", "pools", "general", "nodes"), "1-2,255")],
    "a number below its subnet": [(REGIONS, ("fsn1", "pools", "general", "nodes"), "0-2")],
    "the gateway's number on a vSwitch": [(REGIONS, ("fsn1", "pools", "gpu", "nodes"), "1")],
    "numbers that are words": [(REGIONS, ("fsn1", "pools", "general", "nodes"), "one")],
    "numbers that run backwards": [(REGIONS, ("fsn1", "pools", "general", "nodes"), "4-2")],
    "a number that stands twice": [(REGIONS, ("fsn1", "pools", "general", "nodes"), "1-2,2")],
    "more numbers than a subnet has": [(REGIONS, ("fsn1", "pools", "general", "nodes"), "1-255")],
    "no numbers": [(REGIONS, ("fsn1", "pools", "general", "nodes"), "")],
    "an index used twice": [(REGIONS, ("nbg1", "index"), 1)],
    "an index outside the plan": [(REGIONS, ("nbg1", "index"), 10)],
    "too many attachments of one region": [(REGIONS, ("fsn1", "pools", "burst", "max"), 95)],
    "too many attachments over all regions": [
        (REGIONS, ("fsn1", "pools", "burst", "max"), 50),
        (REGIONS, ("nbg1", "pools", "burst", "max"), 60),
    ],
    "fewest machines above most": [(REGIONS, ("fsn1", "pools", "burst", "min"), 6)],
    "more autoscaled machines than addresses": [(REGIONS, ("fsn1", "pools", "burst", "max"), 255)],
    "a fallback of another architecture": [(REGIONS, ("fsn1", "servers", "fallback_types"), ["cax21"])],
    "a machine of another architecture than its pool": [(REGIONS, ("fsn1", "pools", "general", "types"), {2: "cax31"})],
    "an unknown fallback": [(REGIONS, ("fsn1", "servers", "fallback_types"), ["cpx33"])],
    "an unknown server type": [(REGIONS, ("fsn1", "servers", "type"), "cx34")],
    "an unknown type of autoscaled machines": [(REGIONS, ("fsn1", "pools", "burst", "type"), "cx44")],
    "an unknown type of one machine": [(REGIONS, ("fsn1", "pools", "general", "types"), {2: "cx44"})],
    "an unknown dedicated machine": [(REGIONS, ("fsn1", "pools", "gpu", "model"), "GEX44")],
    "an unknown location": [(REGIONS, ("fsn1", "location"), "fsn")],
    "an unknown load balancer type": [(REGIONS, ("fsn1", "load_balancer", "type"), "lb12")],
    "targets that are no cloud servers": [(REGIONS, ("fsn1", "load_balancer", "targets"), "gpu")],
    "more targets than the load balancer takes": [
        (REGIONS, ("fsn1", "load_balancer", "targets"), "general"),
        (REGIONS, ("fsn1", "pools", "general", "nodes"), "1-26"),
    ],
    "machine names over 63 characters": [
        (REGIONS, ("fsn1", "pools", f"{'p' * 60}"), {"kind": "cloud", "type": "cx43", "nodes": "7"})
    ],
    "a pool's name that is no DNS label": [
        (REGIONS, ("fsn1", "pools", "Web_1"), {"kind": "cloud", "type": "cx43", "nodes": "7"})
    ],
    "a pool called as the control plane": [
        (REGIONS, ("fsn1", "pools", "server"), {"kind": "cloud", "type": "cx43", "nodes": "7"})
    ],
    "autoscaled names over 63 characters": [
        (REGIONS, ("fsn1", "pools", f"{'b' * 45}"), {"kind": "autoscaled", "type": "cx43", "min": 0, "max": 1})
    ],
    "a generation of a machine that is not there": [(REGIONS, ("fsn1", "pools", "general", "generations"), {3: 2})],
    "a drained machine that is not there": [(REGIONS, ("fsn1", "servers", "drained"), [4])],
    "an unprotected machine that is not there": [(REGIONS, ("fsn1", "servers", "unprotected"), [5])],
    "a type of a machine that is not there": [(REGIONS, ("fsn1", "pools", "general", "types"), {3: "cx43"})],
    "a wrong label key": [(REGIONS, ("fsn1", "pools", "general", "labels"), {"-tier": "a"})],
    "a wrong label": [(REGIONS, ("fsn1", "pools", "general", "labels"), {"tier": "a b"})],
    "targets whose taint keeps the ingress controller off": [
        (REGIONS, ("fsn1", "pools", "general", "taints"), ["dedicated=ingress:NoExecute"]),
        (REGIONS, ("fsn1", "pools", "web"), {"kind": "cloud", "type": "cx43", "nodes": "5-7"}),
        (REGIONS, ("fsn1", "load_balancer", "targets"), "general"),
    ],
    "targets with GPUs": [
        (REGIONS, ("fsn1", "pools", "web"), {"kind": "cloud", "type": "cx43", "nodes": "5", "gpus": 1}),
        (REGIONS, ("fsn1", "load_balancer", "targets"), "web"),
    ],
    "servers whose taint keeps the ingress controller off": [
        (REGIONS, ("fsn1", "servers", "taints"), ["dedicated=control:NoSchedule", "slow:PreferNoSchedule"])
    ],
    "a wrong taint": [(REGIONS, ("fsn1", "pools", "general", "taints"), ["gpu=true"])],
    "user_data of agents over 32 KiB": [(REGIONS, ("fsn1", "pools", "general", "labels"), many_labels(300))],
    "user_data of servers over 32 KiB": [(REGIONS, ("fsn1", "servers", "labels"), many_labels(110))],
    "user_data of autoscaled machines over 32 KiB": [(REGIONS, ("fsn1", "pools", "burst", "labels"), many_labels(300))],
    "no administrators": [(PROD, ("admin_cidrs",), [])],
    "everybody as administrators": [(PROD, ("admin_cidrs",), ["203.0.113.0/24", "0.0.0.0/0"])],
    "everybody of IPv6": [(PROD, ("admin_cidrs",), ["::/0"])],
    "everybody of IPv6 in another spelling": [(PROD, ("admin_cidrs",), ["0::/0"])],
    "everybody in two halves": [(PROD, ("admin_cidrs",), ["0.0.0.0/1", "128.0.0.0/1"])],
    "an address with host bits": [(PROD, ("admin_cidrs",), ["203.0.113.7/24"])],
    "administrators that are a word": [(PROD, ("admin_cidrs",), ["office"])],
    "more administrators than a firewall rule takes": [
        (PROD, ("admin_cidrs",), [f"203.0.113.{n}/32" for n in range(101)])
    ],
    "an internal root that signs before it is trusted": [(PROD, ("internal_ca",), {"generations": [1], "signs": 2})],
    "a previous anchor of the mesh that is no certificate": [(PROD, ("previous_mesh_anchor",), "linkerd-old")],
    "an unknown region": [(PROD, ("region",), "fsn2")],
    "a region that two stacks claim": [(PROD, ("region",), "nbg1")],
    "an unknown role": [(PROD, ("role",), "main")],
    "connect_to without its endpoint": [(PROD, ("api", "connect_to"), "127.0.0.1:6443")],
    "an unknown endpoint": [(PROD, ("api", "endpoint"), "dns")],
    "an unknown active region": [(SHARED, ("active_region",), "fsn2")],
    "a zone that is no domain": [(SHARED, ("zone",), "example")],
    "an unknown plan": [(SHARED, ("cloudflare", "plan"), "enterprise")],
    "a rate limit that the free plan does not have": [(SHARED, ("cloudflare", "plan"), "free")],
    "more rules than the plan allows": [
        (
            SHARED,
            ("cloudflare", "custom_rules"),
            [{"description": f"Rule {n}", "expression": 'http.request.uri.path eq "/x"'} for n in range(21)],
        )
    ],
    "an unknown location of the buckets": [(SHARED, ("object_storage", "location"), "hel2")],
    "a region without an access key": [(SHARED, ("object_storage", "site_access_key_ids", "nbg1"), GONE)],
    "an access key of no region": [(SHARED, ("object_storage", "site_access_key_ids", "hel1"), "EXAMPLEKEYHEL1000000")],
    "a generation of no secret": [(SHARED, ("secret_generations",), {"data_cas": 2})],
    "an identity provider without TLS": [
        (ACCESS, ("oidc",), {"issuer": "http://login.example.com", "client_id": "kubernetes"})
    ],
    "an identity provider for nobody": [(ACCESS, ("oidc",), {"issuer": "https://login.example.com"})],
    "an SSH key that is none": [(ACCESS, ("ssh_keys", "example"), "AAAAC3NzaC1lZDI1NTE5")],
    "no SSH key": [(ACCESS, ("ssh_keys",), {})],
    "a k3s version that is none": [(VERSIONS, ("k3s", "version"), "1.36.4")],
    "a checksum that is none": [(VERSIONS, ("k3s", "sha256", "amd64"), "abc")],
    "an unknown architecture": [(PRICES, ("server_types", "cx33", "architecture"), "x64")],
    "a region that is a list": [(REGIONS, ("fsn1",), ["x"])],
    "a snapshot that is a number": [(REGIONS, ("fsn1", "restore_from"), 5)],
    "a region's name that is no DNS label": [
        (REGIONS, ("FSN 1",), {"location": "fsn1", "index": 3, "servers": {"type": "cx33", "nodes": "1-3"}})
    ],
}
"""What is put into the committed configuration; tests/golden/configuration/bad-input.txt holds what is said of each."""


def test_every_bad_input_gets_exactly_its_message(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    told: list[str] = []
    for number, (statement, edits) in enumerate(CASES.items()):
        edited = Edited(tmp_path / str(number))
        for file, path, value in edits:
            edited.put(file, path, value)
        stack = "shared" if edits[0][0] in (SHARED, ACCESS) else "prod"
        told.append(f"== {statement} ({stack})\n{edited.refused(stack)}\n")
    # A byte more or less in boot.sh is no other message.
    golden("configuration/bad-input.txt", re.sub(r"has \d+ bytes", "has too many bytes", "\n".join(told)))


@pytest.mark.parametrize("stack", ["shared", "prod", "dr"])
def test_the_committed_configuration_has_no_problem(stack: str, edited: Edited) -> None:
    edited.read(stack)


def test_all_problems_of_all_files_are_told_at_once(edited: Edited) -> None:
    edited.put(REGIONS, ("fsn1", "servers", "nodes"), "1-2").put(REGIONS, ("nbg1", "location"), "nbg9")
    edited.put(PROD, ("admin_cidrs",), ["0.0.0.0/0", "x"]).put(ACCESS, ("ssh_keys", "broken"), "ssh-ed25519")
    edited.put(VERSIONS, ("image",), 13)
    edited.without = {"hcloud:token"}
    assert [problem[:2] for problem in edited.said()] == [
        (VERSIONS, "image"),
        (PROD, "hcloud:token"),
    ]
    edited.put(VERSIONS, ("image",), "debian-13")
    assert [problem[:2] for problem in edited.said()] == [
        (REGIONS, "fsn1.servers.nodes"),
        (REGIONS, "nbg1.location"),
        (ACCESS, "ssh_keys.broken"),
        (PROD, "hetzner-platform:stack.admin_cidrs[0]"),
        (PROD, "hetzner-platform:stack.admin_cidrs[1]"),
        (PROD, "hcloud:token"),
    ]


def test_the_problems_of_all_stacks_are_told_at_once(edited: Edited) -> None:
    edited.put(PROD, ("role",), "main").put(DR, ("role",), "spare").put(SHARED, ("active_region",), "hel1")
    with pytest.raises(ConfigurationError) as error:
        checked(edited.directory)
    assert [problem.file for problem in error.value.problems] == [SHARED, PROD, DR]


def test_a_message_names_the_count_the_file_the_key_the_value_and_the_remedy(edited: Edited) -> None:
    edited.put(REGIONS, ("fsn1", "servers", "nodes"), "1-2").put(PROD, ("admin_cidrs",), ["0.0.0.0/0"])
    assert str(edited.refused()).splitlines() == [
        "2 problems in the configuration; nothing was changed:",
        '  config/regions.yaml: fsn1.servers.nodes = "1-2"',
        "    2 servers: an even number survives no more failures than one less, and can split in halves",
        '    -> use an odd number of servers, such as "1-3"',
        '  Pulumi.prod.yaml: hetzner-platform:stack.admin_cidrs[0] = "0.0.0.0/0"',
        "    opens SSH and the Kubernetes API to everybody",
        "    -> write your own, such as 203.0.113.0/24",
    ]


def test_pulumi_prints_one_message_without_a_traceback() -> None:
    assert issubclass(ConfigurationError, pulumi.RunError)


def test_a_wrong_region_is_not_called_unknown_as_well(edited: Edited) -> None:
    edited.put(REGIONS, ("fsn1", "servers", "type"), GONE)
    for stack in ("shared", "prod"):
        assert [problem[:2] for problem in edited.said(stack)] == [(REGIONS, "fsn1.servers.type")]


@pytest.mark.parametrize(
    ("file", "addition", "key", "lines"),
    [
        (REGIONS, "fsn1: {location: fsn1, index: 5, servers: {type: cx33, nodes: '1'}}\n", "fsn1", "5 and 29"),
        (PROD, "    role: standby\n", "role", "5 and 9"),
        (ACCESS, "  example: ssh-ed25519 AAAA other\n", "example", "7 and 8"),
    ],
)
def test_a_key_that_stands_twice_is_refused(file: str, addition: str, key: str, lines: str, edited: Edited) -> None:
    edited.write(file, edited.text(file) + addition)
    said = (file, key, None, f"stands twice, in lines {lines}", "keep one: YAML would drop the other")
    assert said in edited.said()


BROKEN = {
    "a bracket that is not closed": (
        "fsn1: {location: [}\n",
        "(line 1, column 19)",
        "is not valid YAML: expected the node content, but found '}'",
    ),
    "a tabulator": (
        "fsn1:\n\tlocation: x\n",
        "(line 2, column 1)",
        "is not valid YAML: found character '\\t' that cannot start any token",
    ),
    "a tag of Python": (
        "fsn1: !!python/object/apply:os.system [exit]\n",
        "(line 1, column 7)",
        "is not valid YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.system'",
    ),
    "an impossible date": (
        "fsn1: 2026-13-04\n",
        "(file)",
        "holds a value that is none: month must be in 1..12",
    ),
    "nothing": ("# nothing\n", "(file)", "holds no regions"),
    "a list": ("[fsn1]\n", "(file)", "holds no regions"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_file_that_holds_no_configuration_is_told_with_the_place(broken: str, edited: Edited) -> None:
    text, key, problem = BROKEN[broken]
    edited.write(REGIONS, text)
    assert [each[:4] for each in edited.said()] == [(REGIONS, key, None, problem)]


def test_a_file_that_is_not_there_is_told(edited: Edited) -> None:
    (edited.directory / PRICES).unlink()
    problem = "cannot be read: No such file or directory"
    assert edited.said() == [(PRICES, "(file)", None, problem, "restore it from the repository")]


def test_a_file_that_is_no_text_is_told(edited: Edited) -> None:
    (edited.directory / ACCESS).write_bytes(b"ssh_keys: {\xff: x}")
    assert edited.said() == [(ACCESS, "(file)", None, "is not UTF-8 text", "save it as UTF-8")]


def test_a_stack_that_does_not_say_what_it_is_is_refused(edited: Edited) -> None:
    edited.write(PROD, "config: {}\n")
    problem = "is missing: the stack 'prod' does not say what it is"
    remedy = "take Pulumi.prod.yaml as an example, or choose another stack with -s"
    assert edited.said() == [(PROD, "hetzner-platform:stack", None, problem, remedy)]


@pytest.mark.parametrize("stack", ["shared", "prod", "dr"])
def test_a_missing_secret_comes_with_the_line_to_run(stack: str, edited: Edited) -> None:
    edited.without = set(required_secrets(stack))
    assert edited.said(stack) == [
        (
            f"Pulumi.{stack}.yaml",
            key,
            None,
            f"is missing: {purpose}",
            f"run: pulumi config set --secret {key} -s {stack}",
        )
        for key, purpose in required_secrets(stack).items()
    ]


def test_a_pool_of_dedicated_machines_without_robot_credentials_is_refused(edited: Edited) -> None:
    edited.without = {"hetzner-platform:robotUser", "hetzner-platform:robotPassword"}
    found = edited.said("prod")
    assert [(file, key) for file, key, *_ in found] == [
        (PROD, "hetzner-platform:robotUser"),
        (PROD, "hetzner-platform:robotPassword"),
    ]
    assert all("is missing: " in str(each) and "pulumi config set --secret" in str(each) for each in found)


def test_the_secrets_of_each_stack_are_its_own() -> None:
    assert set(required_secrets("shared")) == {"hcloud:token", "cloudflare:apiToken", "minio:minioPassword"}
    assert set(required_secrets("prod")) == {"hcloud:token", "hetzner-platform:backupSecretKey"}
    assert set(required_secrets("dr")) == {"hcloud:token", "hetzner-platform:backupSecretKey"}


@pytest.mark.parametrize("token", ["s3cr3t" * 10, "a" * 63, "a" * 65, "a" * 63 + " ", "a" * 63 + "-"])
def test_a_token_that_is_not_64_letters_and_digits_is_refused_and_not_shown(token: str, edited: Edited) -> None:
    edited.secrets = {"hcloud:token": token}
    problem = f"has {len(token)} characters; a Hetzner Cloud token has exactly 64 letters and digits"
    remedy = "copy the whole token, and run: pulumi config set --secret hcloud:token -s prod"
    assert edited.said() == [(PROD, "hcloud:token", None, problem, remedy)]
    assert token not in str(edited.refused())


def test_a_cloudflare_token_of_another_form_is_refused_and_not_shown(edited: Edited) -> None:
    edited.secrets = {"cloudflare:apiToken": "s3cr3t"}
    problem = "has 6 characters; a Cloudflare token has 40 to 80 letters, digits, '_' and '-'"
    remedy = "copy the whole token, and run: pulumi config set --secret cloudflare:apiToken -s shared"
    assert edited.said("shared") == [(SHARED, "cloudflare:apiToken", None, problem, remedy)]
    assert "s3cr3t" not in str(edited.refused("shared"))


@pytest.mark.parametrize("key", ["hcloud:token", "hetzner-platform:previousVaultSealKey"])
def test_a_secret_in_clear_is_refused(edited: Edited, key: str) -> None:
    edited.secrets = {"hetzner-platform:previousVaultSealKey": "A" * 43 + "="}
    edited.plain = {key}
    remedy = f"revoke it, make a new one, and run: pulumi config set --secret {key} -s prod"
    assert edited.said() == [(PROD, key, None, "is stored in clear", remedy)]


SECRET = "s3cr3t" * 8
ASTRAY: dict[str, tuple[str, str, Path_, object]] = {
    "a token in the stack's block": ("prod", PROD, ("hcloud_token",), SECRET),
    "a secret instead of an access key's id": (
        "shared",
        SHARED,
        ("object_storage", "administrator_access_key_id"),
        SECRET,
    ),
    "a secret instead of a site's access key's id": (
        "shared",
        SHARED,
        ("object_storage", "site_access_key_ids", "fsn1"),
        SECRET,
    ),
    "a password among the regions": ("prod", REGIONS, ("fsn1", "password"), SECRET),
    "a private key": ("prod", ACCESS, ("ssh_keys", "mine"), f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}"),
    "the middle of a private key": ("prod", ACCESS, ("ssh_keys", "mine"), SECRET),
    "a private key in a wrong place": ("prod", ACCESS, ("mine",), f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}"),
}


@pytest.mark.parametrize("astray", ASTRAY)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(astray: str, edited: Edited) -> None:
    stack, file, path, value = ASTRAY[astray]
    edited.put(file, path, value)
    assert [problem[0] for problem in edited.said(stack)] == [file]
    assert "s3cr3t" not in str(edited.refused(stack))
    assert "s3cr3t" not in repr(edited.refused(stack))


def test_a_long_value_is_shortened(edited: Edited) -> None:
    edited.put(REGIONS, ("fsn1", "location"), "x" * 500)
    assert f'fsn1.location = "{"x" * 116}...' in str(edited.refused())
    yaml.safe_load(edited.text(REGIONS))
