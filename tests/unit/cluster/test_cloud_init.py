"""user_data of every kind of machine: golden files, cloud-init's own schema, shellcheck, and who holds which secret."""

import datetime
import json
import os
import re
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
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.cluster import Oidc, OidcArgs, cloud_init, oidc_problems, pki, tokens, user_data
from components.cluster.machines import SERVERS, Machine
from components.network import AddressPlan
from components.network.addresses import NETWORK

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
OIDC = Oidc("https://login.example.com/realms/platform", "kubernetes")
NAMES = ["k8s-fsn1.example.com", "127.0.0.1", "10.0.0.2", "10.0.0.4"]


def pool(name: str, **settings: Any) -> user_data.Pool:
    plan = AddressPlan(1)
    labels, taints = settings.get("labels", {}), settings.get("taints", [])
    oidc = settings.get("oidc")
    return user_data.Pool("fsn1", 1, RELEASE, plan.api_load_balancer, labels, taints, name, oidc)


def server(number: int, **options: Any) -> str:
    settings = {"initialized": False, "restore_from": None} | options
    machine = Machine(SERVERS, number, "cx33", settings.pop("generation", 1))
    return user_data.server(
        pool(SERVERS, oidc=settings.pop("oidc", None)), machine, [1, 2, 3], NAMES, SECRETS, **settings
    )


def gpu_robot() -> str:
    vswitch = user_data.vswitch(AddressPlan(1), NETWORK, 4000, 1400, ["203.0.113.0/24", "2001:db8::/32"])
    taints = ["nvidia.com/gpu=present:NoSchedule"]
    return user_data.robot(pool("gpu", taints=taints), Machine("gpu", 2, "GEX45"), vswitch, SECRETS)


KINDS: dict[str, Callable[[], str]] = {
    "server-initialising": lambda: server(1),
    "server-joining": lambda: server(2),
    "server-renewed": lambda: server(1, initialized=True, generation=2),
    "server-restoring": lambda: server(1, initialized=True, generation=2, restore_from="etcd-snapshot-1"),
    "server-oidc": lambda: server(1, oidc=OIDC),
    "agent": lambda: user_data.agent(pool("general"), Machine("general", 4, "cx43"), SECRETS),
    "agent-gpu-cloud": lambda: user_data.agent(
        pool("gpu", taints=["nvidia.com/gpu=present:NoSchedule"]), Machine("gpu", 3, "ccx33"), SECRETS
    ),
    "agent-autoscaled": lambda: user_data.autoscaled(pool("burst", labels={"storage": "none"}), SECRETS),
    "robot": gpu_robot,
}
SERVER_KINDS = [kind for kind in KINDS if kind.startswith("server")]
AGENT_KINDS = [kind for kind in KINDS if kind not in SERVER_KINDS]


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


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_is_the_same_without_libyaml(kind: str) -> None:
    """The hash of a machine's configuration must not depend on how PyYAML was built."""

    class Pure(yaml.SafeDumper):
        pass

    def block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Pure.add_representer(str, block)
    text = KINDS[kind]()
    assert text == "#cloud-config\n" + yaml.dump(yaml.safe_load(text), Dumper=Pure, sort_keys=False, width=4096)
    config = files(kind)["/etc/rancher/k3s/config.yaml"]
    assert config == yaml.dump(yaml.safe_load(config), Dumper=yaml.SafeDumper, sort_keys=False, width=4096)


@pytest.mark.parametrize("kind", KINDS)
def test_files_arrive_as_they_stand_in_the_repository(kind: str) -> None:
    sources = Path(cloud_init.__file__).parent / "files"
    names = {
        "/etc/platform/metadata.nft": "metadata.nft",
        "/usr/local/lib/platform/boot.sh": "boot.sh",
        "/etc/systemd/system/platform-boot.service": "platform-boot.service",
    }
    if kind in SERVER_KINDS:
        names |= {"/var/lib/rancher/k3s/server/audit.yaml": "audit.yaml"}
    for path, name in names.items():
        assert files(kind)[path] == (sources / name).read_text()


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


def verified(unit: Path) -> list[str]:
    """What systemd says of a unit; its programs stand on the machine only, and other units are none of ours."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr.splitlines()
    absent = re.compile(
        rf"{unit.name}: Command (/usr/local/\S+|/usr/sbin/nft) is not executable: No such file or directory"
    )
    return [line for line in said if unit.name in line and not absent.fullmatch(line)]


@pytest.mark.parametrize("kind", ["server-initialising", "agent", "robot"])
def test_unit_files_are_valid(kind: str, tmp_path: Path) -> None:
    units = {Path(path).name: content for path, content in files(kind).items() if path.endswith(".service")}
    assert len(units) == (3 if kind == "robot" else 2)
    for name, content in units.items():
        (tmp_path / name).write_text(content)
        assert verified(tmp_path / name) == []


def test_systemd_notices_a_mistake(tmp_path: Path) -> None:
    unit = tmp_path / "platform-boot.service"
    unit.write_text(
        files("agent")["/etc/systemd/system/platform-boot.service"].replace("RestartSec=10", "RestartSec=ten")
    )
    assert len(verified(unit)) == 1


KUBELET = [
    "cloud-provider=external",
    "kube-reserved=cpu=250m,memory=512Mi",
    "system-reserved=cpu=250m,memory=300Mi",
    "streaming-connection-idle-timeout=5m",
    "tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,"
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,"
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "pod-max-pids=4096",
]


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_servers_are_configured_as_the_hardening_guide_says_and_for_a_network_of_our_own(kind: str) -> None:
    config = k3s_config(kind)
    state = "/var/lib/rancher/k3s/server"
    assert config == {
        "token": "K10hash::server:server-password",
        "agent-token": "agent-password",
        "tls-san": NAMES,
        "cluster-cidr": "10.42.0.0/16",
        "service-cidr": "10.43.0.0/16",
        "flannel-backend": "none",
        "disable-network-policy": True,
        "disable-kube-proxy": True,
        "disable-cloud-controller": True,
        "disable": ["traefik", "servicelb", "local-storage", "metrics-server", "runtimes"],
        "write-kubeconfig-mode": "0600",
        "secrets-encryption": True,
        "secrets-encryption-provider": "secretbox",
        "embedded-registry": True,
        "etcd-expose-metrics": True,
        "kube-apiserver-arg": [
            "enable-admission-plugins=NodeRestriction,EventRateLimit,DenyServiceExternalIPs",
            f"admission-control-config-file={state}/psa.yaml",
            f"authentication-config={state}/authentication.yaml",
            f"audit-policy-file={state}/audit.yaml",
            f"audit-log-path={state}/logs/audit.log",
            "audit-log-maxage=30",
            "audit-log-maxbackup=10",
            "audit-log-maxsize=100",
            "service-account-extend-token-expiration=false",
        ],
        "kube-controller-manager-arg": ["bind-address=0.0.0.0", "terminated-pod-gc-threshold=100"],
        "kube-scheduler-arg": ["bind-address=0.0.0.0"],
        "etcd-snapshot-schedule-cron": "0 */6 * * *",
        "etcd-snapshot-retention": 28,
        "etcd-snapshot-compress": True,
        # Any other etcd-s3 setting beside these would make k3s ignore the Secret.
        "etcd-s3": True,
        "etcd-s3-config-secret": "k3s-etcd-snapshot-s3-config",
        "kubelet-arg": KUBELET,
        "protect-kernel-defaults": True,
        "node-label": ["hetzner-platform/pool=server"],
        "node-taint": ["node-role.kubernetes.io/control-plane=true:NoSchedule"],
    }
    # Every file that the API server is given exists before the first start, and so does the audit log's directory.
    named = [argument.partition("=")[2] for argument in config["kube-apiserver-arg"] if state in argument]
    assert {f"{state}/logs/.keep" if path.endswith("audit.log") else path for path in named} <= set(files(kind))
    admission = yaml.safe_load(files(kind)[f"{state}/psa.yaml"])
    assert [plugin["name"] for plugin in admission["plugins"]] == ["PodSecurity", "EventRateLimit"]
    security = admission["plugins"][0]["configuration"]
    assert [security["defaults"][mode] for mode in ("enforce", "audit", "warn")] == ["restricted"] * 3
    assert security["exemptions"] == {"usernames": [], "runtimeClasses": [], "namespaces": ["kube-system"]}
    assert {limit["type"] for limit in admission["plugins"][1]["configuration"]["limits"]} == {"Server", "Namespace"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_is_set_as_the_hardening_guide_says(kind: str) -> None:
    lines = files(kind)["/etc/sysctl.d/90-kubelet.conf"].split()
    assert lines == ["vm.panic_on_oom=0", "vm.overcommit_memory=1", "kernel.panic=10", "kernel.panic_on_oops=1"]
    assert yaml.safe_load(KINDS[kind]())["runcmd"][0] == ["sysctl", "--system"]


@pytest.mark.parametrize("kind", AGENT_KINDS)
def test_agents_are_configured_as_the_hardening_guide_says(kind: str) -> None:
    config = k3s_config(kind)
    assert config["kubelet-arg"] == KUBELET
    assert config["protect-kernel-defaults"] is True
    assert set(config) - {"node-taint"} == {"token", "kubelet-arg", "protect-kernel-defaults", "node-label"}


@pytest.mark.parametrize("kind", SERVER_KINDS)
def test_the_anonymous_may_ask_for_health_and_nothing_else(kind: str) -> None:
    authentication = yaml.safe_load(files(kind)["/var/lib/rancher/k3s/server/authentication.yaml"])
    assert authentication["anonymous"] == {"enabled": True, "conditions": [{"path": "/livez"}, {"path": "/readyz"}]}
    arguments = k3s_config(kind)["kube-apiserver-arg"]
    assert "authentication-config=/var/lib/rancher/k3s/server/authentication.yaml" in arguments
    # Together they would stop the API server.
    assert not any("anonymous-auth" in argument for argument in arguments)


def test_an_identity_provider_changes_who_is_known_and_nothing_else() -> None:
    path = "/var/lib/rancher/k3s/server/authentication.yaml"
    with_it, without = files("server-oidc"), files("server-initialising")
    assert {name for name in with_it if with_it[name] != without[name]} == {path}
    told = yaml.safe_load(with_it[path])
    (people,) = told.pop("jwt")
    assert told == yaml.safe_load(without[path])
    assert people["issuer"] == {"url": "https://login.example.com/realms/platform", "audiences": ["kubernetes"]}


GOOD: OidcArgs = {"issuer": "https://login.example.com", "client_id": "kubernetes"}


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"issuer": "http://login.example.com"}, "oidc.issuer"),
        ({"issuer": "login.example.com"}, "oidc.issuer"),
        ({"issuer": "https://user@login.example.com"}, "oidc.issuer"),
        ({"issuer": "https://login.example.com?realm=a"}, "oidc.issuer"),
        ({"client_id": " "}, "oidc.client_id"),
        ({"groups_claim": ""}, "oidc.groups_claim"),
        ({"certificate_authority": "/etc/ssl/ca.pem"}, "oidc.certificate_authority"),
    ],
)
def test_a_provider_that_the_api_server_would_not_start_with_is_refused(change: Any, key: str) -> None:
    assert oidc_problems(GOOD) == []
    assert [problem.key for problem in oidc_problems({**GOOD, **change})] == [key]


@pytest.mark.parametrize("kind", AGENT_KINDS)
def test_agents_know_neither_the_servers_token_nor_a_ca_key(kind: str) -> None:
    text = KINDS[kind]()
    assert "server-password" not in text
    assert "CA key" not in text
    assert k3s_config(kind)["token"] == "K10hash::node:agent-password"


@pytest.mark.parametrize(
    ("kind", "holds"),
    [
        ("server-initialising", True),
        ("server-oidc", True),
        ("server-restoring", True),
        ("server-joining", False),
        ("server-renewed", False),
    ],
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


LONGEST = "c" * 45
"""A cluster's name beside which the machines of a pool can still be named."""


def real_secrets() -> user_data.Secrets:
    """Secrets of the shapes that ClusterPki and its passwords have, with the longest names."""
    root, root_key = signed(f"{LONGEST}-root-ca")
    password = "p" * 64
    return user_data.Secrets(
        root_certificate=root,
        agent_token=tokens.agent_token(root, password),
        server_token=tokens.server_token(root, password),
        agent_password=password,
        authorities={
            path: {"certificate": signed(f"{LONGEST}-{purpose}-ca", f"{LONGEST}-root-ca")[0] + root, "key": root_key}
            for path, purpose in pki.AUTHORITIES.items()
        },
        service_account_key=root_key,
        restore_s3=user_data.PLACEHOLDERS.restore_s3,
    )


def signed(subject: str, issuer: str | None = None) -> tuple[str, str]:
    """A P-256 CA certificate with both key ids, as the tls provider writes it (key in SEC 1)."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    now = datetime.datetime.now(datetime.UTC)

    def name(text: str) -> x509.Name:
        # X.509 allows 64 characters; the provider does not ask.
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False)])

    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer or subject))
        .public_key(key.public_key())
        .serial_number(2**158 + 1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=20 * 365))
        .add_extension(usage, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), secret.decode()


@pytest.mark.parametrize("restore_from", [None, "s" * 128])
def test_no_machine_is_larger_than_its_placeholders_said(restore_from: str | None) -> None:
    """The size is checked before any secret exists: real ones must never need more."""
    real = real_secrets()
    plan = AddressPlan(1)
    settings = user_data.Pool(LONGEST, 1, RELEASE, plan.api_load_balancer, {}, [], SERVERS)
    agents = user_data.Pool(LONGEST, 1, RELEASE, plan.api_load_balancer, {}, [], "burst")

    def sizes(secrets: user_data.Secrets) -> list[int]:
        machine = Machine(SERVERS, 1, "cx33", 99)
        first = user_data.server(
            settings, machine, [1, 2, 3], NAMES, secrets, initialized=False, restore_from=restore_from
        )
        return [len(first.encode()), len(user_data.autoscaled(agents, secrets).encode())]

    expected = sizes(user_data.PLACEHOLDERS)
    assert [size <= limit for size, limit in zip(sizes(real), expected, strict=True)] == [True, True]
    assert max(expected) < cloud_init.MAX_USER_DATA


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
