"""user_data of every kind of machine: golden files, cloud-init's own schema, shellcheck, and who holds which secret."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from components.cluster import cloud_init, user_data
from components.cluster.machines import SERVERS, Machine
from components.network import AddressPlan
from components.network.addresses import NETWORK
from tests.unit.cluster.test_readiness import authority

SECRETS = user_data.Secrets(
    root_certificate="-- root certificate --",
    agent_token="K10hash::node:agent-password",
    server_token="K10hash::server:server-password",
    agent_password="agent-password",
    authorities={"server-ca": {"certificate": "-- server CA chain --", "key": "-- server CA key --"}},
    service_account_key="-- service account key --",
    restore_s3={"etcd-s3-bucket": "etcd", "etcd-s3-secret-key": "s3-secret"},
)
SHELLCHECK = str(Path(sys.executable).parent / "shellcheck")
RELEASE = cloud_init.Release("v1.36.4+k3s1", "a" * 64, "b" * 64)
NAMES = ["k8s-fsn1.example.com", "127.0.0.1", "10.0.0.2", "10.0.0.4"]


def pool(name: str, **settings: Any) -> user_data.Pool:
    plan = AddressPlan(1)
    labels, taints = settings.get("labels", {}), settings.get("taints", [])
    return user_data.Pool("fsn1", 1, RELEASE, plan.api_load_balancer, labels, taints, name)


def server(number: int, **options: Any) -> str:
    settings = {"initialized": False, "restore_from": None} | options
    machine = Machine(SERVERS, number, "cx33", settings.pop("generation", 1))
    return user_data.server(pool(SERVERS), machine, [1, 2, 3], NAMES, SECRETS, **settings)


def gpu_robot() -> str:
    vswitch = user_data.vswitch(AddressPlan(1), NETWORK, 4000, 1400, ["203.0.113.0/24", "2001:db8::/32"])
    taints = ["nvidia.com/gpu=present:NoSchedule"]
    return user_data.robot(pool("gpu", taints=taints), Machine("gpu", 2, "GEX45"), vswitch, SECRETS)


KINDS: dict[str, Callable[[], str]] = {
    "server-initialising": lambda: server(1),
    "server-joining": lambda: server(2),
    "server-renewed": lambda: server(1, initialized=True, generation=2),
    "server-restoring": lambda: server(1, initialized=True, generation=2, restore_from="etcd-snapshot-1"),
    "agent": lambda: user_data.agent(pool("general"), Machine("general", 4, "cx43"), SECRETS),
    "agent-gpu-cloud": lambda: user_data.agent(
        pool("gpu", taints=["nvidia.com/gpu=present:NoSchedule"]), Machine("gpu", 3, "ccx33"), SECRETS
    ),
    "agent-autoscaled": lambda: user_data.autoscaled(pool("burst", labels={"storage": "none"}), SECRETS),
    "robot": gpu_robot,
}
SERVER_KINDS = [kind for kind in KINDS if kind.startswith("server")]


def files(kind: str) -> dict[str, str]:
    return {entry["path"]: entry["content"] for entry in yaml.safe_load(KINDS[kind]())["write_files"]}


def modes(kind: str) -> dict[str, str]:
    return {entry["path"]: entry["permissions"] for entry in yaml.safe_load(KINDS[kind]())["write_files"]}


def k3s_config(kind: str) -> dict[str, Any]:
    return yaml.safe_load(files(kind)["/etc/rancher/k3s/config.yaml"])


def boot(kind: str) -> dict[str, str]:
    lines = files(kind)["/etc/platform/boot.env"].splitlines()
    return {key: value.strip("'") for key, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("kind", KINDS)
def test_user_data_is_as_reviewed(kind: str, golden: Callable[[str, str], None]) -> None:
    golden(f"cloud_init/{kind}.yaml", KINDS[kind]())


def schema() -> dict[str, Any]:
    """cloud-init's own schema: installed, or unpacked by tests/tools/fetch-cloud-init-schema."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = "cloudinit/config/schemas/schema-cloud-config-v1.json"
    for base in (Path("/usr/lib/python3/dist-packages"), cache / "hetzner-platform" / "cloud-init"):
        if (base / name).exists():
            return json.loads((base / name).read_text())
    pytest.skip("cloud-init's schema is not on this machine: run tests/tools/fetch-cloud-init-schema")


@pytest.mark.parametrize("kind", KINDS)
def test_user_data_is_valid_for_cloud_init(kind: str) -> None:
    jsonschema.validate(yaml.safe_load(KINDS[kind]()), schema())


def test_cloud_inits_schema_notices_a_mistake() -> None:
    document = yaml.safe_load(KINDS["agent"]())
    document["write_files"][0]["permision"] = "0600"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())


@pytest.mark.parametrize("kind", ["server-initialising", "robot"])
def test_shell_parts_pass_shellcheck(kind: str, tmp_path: Path) -> None:
    for path, content in files(kind).items():
        if content.startswith("#!/bin/sh"):
            script = tmp_path / Path(path).name
            script.write_text(content)
            subprocess.run([SHELLCHECK, "--shell=sh", str(script)], check=True)


def test_shellcheck_notices_a_mistake(tmp_path: Path) -> None:
    script = tmp_path / "bad.sh"
    script.write_text("#!/bin/sh\nrm -rf $1/*\n")
    assert subprocess.run([SHELLCHECK, str(script)], capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("kind", ["server-initialising", "agent", "robot"])
def test_unit_files_are_valid(kind: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    for path, content in files(kind).items():
        if path.endswith(".service"):
            unit = tmp_path / Path(path).name
            unit.write_text(content)
            found = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
            ).stderr
            # The programs stand on the machine only, and other units are none of ours.
            own = [line for line in found.splitlines() if unit.name in line and "is not executable" not in line]
            assert own == []


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_servers_follow_the_cis_guide(kind: str) -> None:
    config = k3s_config(kind)
    assert config["protect-kernel-defaults"] is True
    assert config["secrets-encryption"] is True
    assert config["write-kubeconfig-mode"] == "0600"
    arguments = config["kube-apiserver-arg"]
    assert "enable-admission-plugins=NodeRestriction,EventRateLimit" in arguments
    assert "admission-control-config-file=/var/lib/rancher/k3s/server/psa.yaml" in arguments
    assert "audit-policy-file=/var/lib/rancher/k3s/server/audit.yaml" in arguments
    assert "service-account-extend-token-expiration=false" in arguments
    assert "terminated-pod-gc-threshold=100" in config["kube-controller-manager-arg"]
    assert config["agent-token"] != config["token"]
    admission = yaml.safe_load(files(kind)["/var/lib/rancher/k3s/server/psa.yaml"])
    assert [plugin["name"] for plugin in admission["plugins"]] == ["PodSecurity", "EventRateLimit"]
    assert admission["plugins"][0]["configuration"]["defaults"]["enforce"] == "restricted"
    assert "vm.overcommit_memory=1" in files(kind)["/etc/sysctl.d/90-kubelet.conf"]


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_the_anonymous_may_ask_for_health_and_nothing_else(kind: str) -> None:
    authentication = yaml.safe_load(files(kind)["/var/lib/rancher/k3s/server/authentication.yaml"])
    assert authentication["anonymous"] == {"enabled": True, "conditions": [{"path": "/livez"}, {"path": "/readyz"}]}
    arguments = k3s_config(kind)["kube-apiserver-arg"]
    assert "authentication-config=/var/lib/rancher/k3s/server/authentication.yaml" in arguments
    # Together they would stop the API server.
    assert not any("anonymous-auth" in argument for argument in arguments)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SERVER_KINDS])
def test_agents_know_neither_the_servers_token_nor_a_ca_key(kind: str) -> None:
    text = KINDS[kind]()
    assert "server-password" not in text
    assert "CA key" not in text
    assert k3s_config(kind)["token"] == "K10hash::node:agent-password"


@pytest.mark.parametrize(
    ("kind", "holds"),
    [("server-initialising", True), ("server-restoring", True), ("server-joining", False), ("server-renewed", False)],
)
def test_only_the_server_that_starts_a_cluster_holds_its_ca(kind: str, holds: bool) -> None:
    assert ("-- server CA key --" in KINDS[kind]()) is holds


def test_only_the_lowest_number_may_initialise_and_only_once() -> None:
    assert boot("server-initialising")["INITIALIZE"] == "yes"
    assert boot("server-joining")["INITIALIZE"] == "no"
    assert boot("server-renewed")["INITIALIZE"] == "no"
    assert boot("server-restoring") | {"INITIALIZE": "no", "RESTORE_FROM": "etcd-snapshot-1"} == boot(
        "server-restoring"
    )


def test_servers_join_in_the_order_of_their_numbers() -> None:
    assert boot("server-joining")["PREDECESSORS"] == "10.1.1.1"
    assert boot("server-renewed")["PREDECESSORS"] == ""


def test_the_credentials_of_a_restore_stand_in_a_file_of_their_own() -> None:
    assert "s3-secret" in files("server-restoring")["/etc/platform/restore.yaml"]
    assert modes("server-restoring")["/etc/platform/restore.yaml"] == "0600"
    assert "s3-secret" not in KINDS["server-renewed"]()


@pytest.mark.parametrize("kind", KINDS)
def test_files_with_secrets_are_for_root_alone(kind: str) -> None:
    for path, content in files(kind).items():
        if any(secret in content for secret in ("password", "CA key", "account key", "s3-secret")):
            assert modes(kind)[path] == "0600", path


def test_placeholders_are_at_least_as_long_as_real_certificates() -> None:
    certificate, key = authority()
    assert len(cloud_init.PLACEHOLDER_CERTIFICATE) >= len(certificate) + 200
    assert len(cloud_init.PLACEHOLDER_KEY) + 10 >= len(key)


def test_user_data_over_the_limit_is_refused() -> None:
    labels = {f"example.com/{n:060}": "v" * 63 for n in range(250)}
    with pytest.raises(cloud_init.UserDataError, match="Hetzner takes 32768"):
        user_data.autoscaled(pool("burst", labels=labels), SECRETS)


def test_a_machine_without_an_address_is_refused() -> None:
    machine = cloud_init.Machine(
        pool("x").settings(), pool("x").node, RELEASE, cloud_init.Agent("t"), "root", IPv4Address("10.0.0.4")
    )
    with pytest.raises(ValueError, match="needs its private address"):
        cloud_init.render(machine)
