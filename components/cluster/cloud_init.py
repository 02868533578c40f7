"""The one builder of cloud-init: servers, static, GPU and autoscaled agents, and the bundle of dedicated machines.

Plain data in, text out. Everything that needs a decision at boot stands in ``files/boot.sh``, whose inputs are
``/etc/platform/boot.env`` and the files written here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

import yaml
from jinja2 import Environment, StrictUndefined

from . import k3s
from .oidc import Oidc

if TYPE_CHECKING:
    from yaml import SafeDumper
else:
    # libyaml's where PyYAML was built with it: ten times as fast, and the same text.
    SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

MAX_USER_DATA = 32 * 1024
"""Bytes that Hetzner accepts as user_data."""

PLACEHOLDER_CERTIFICATE = "c" * 1000
"""Longer than any of the cluster's certificates (P-256, short names): stands in while a certificate is unknown."""
PLACEHOLDER_KEY = "k" * 240
"""As long as a P-256 key in PEM, at least."""
PLACEHOLDER_TOKEN = "t" * 128

ROOT_CERTIFICATE_FILE = "/etc/platform/root-ca.crt"
METADATA_RULES_FILE = "/etc/platform/metadata.nft"
"""Loaded by k3s's unit before each of its starts."""

_NFT = (
    "command -v nft > /dev/null || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes nftables; }"
)
"""Debian's images have it (priority important): a server, which needs no other package, does not wait for package lists."""


class UserDataError(ValueError):
    """A machine's user_data is larger than Hetzner accepts."""


@dataclass(frozen=True)
class Release:
    """The k3s release to install: version and SHA-256 of its binaries."""

    version: str
    sha256_amd64: str
    sha256_arm64: str

    @property
    def url(self) -> str:
        """Directory of the release's files."""
        return f"https://github.com/k3s-io/k3s/releases/download/{self.version.replace('+', '%2B')}"


@dataclass(frozen=True)
class AuthorityFile:
    """A CA that k3s finds before its first start: path below its ``tls`` directory, certificate chain and key, PEM."""

    path: str
    certificate: str
    key: str


@dataclass(frozen=True)
class Restore:
    """An etcd snapshot to start from, and how its object store is reached."""

    snapshot: str
    s3: Mapping[str, str] = field(repr=False)
    """k3s's ``etcd-s3-*`` settings."""


@dataclass(frozen=True)
class Vswitch:
    """How a dedicated machine reaches the Network."""

    vlan: int
    mtu: int
    subnet: IPv4Network
    network: IPv4Network
    admin_cidrs: Sequence[str]


@dataclass(frozen=True)
class Server:
    """A control-plane server's part of its configuration."""

    token: str = field(repr=False)
    agent_token: str = field(repr=False)
    initializes: bool
    """Whether it may start a cluster when nobody serves one."""
    authorities: Sequence[AuthorityFile] = field(default=(), repr=False)
    """CAs; only the initialising server needs them."""
    service_account_key: str = field(default="", repr=False)
    peers: Sequence[IPv4Address] = ()
    """The other servers."""
    predecessors: Sequence[IPv4Address] = ()
    """The servers that join before this one."""
    restore: Restore | None = None


@dataclass(frozen=True)
class Agent:
    """An agent's part of its configuration."""

    token: str = field(repr=False)


@dataclass(frozen=True)
class Machine:
    """Everything that decides a machine's cloud-init."""

    cluster: k3s.ClusterSettings
    node: k3s.NodeSettings
    release: Release
    role: Server | Agent
    root_certificate: str = field(repr=False)
    api_address: IPv4Address
    name: str | None = None
    """Node name; None when the machine's own name is only known at boot."""
    address: IPv4Address | None = None
    """Private address; None when Hetzner assigns one from ``subnet``."""
    subnet: IPv4Network | None = None
    cloud: bool = True
    """Whether it is a cloud server, with a metadata service; else a dedicated machine."""
    vswitch: Vswitch | None = None
    packages: Sequence[str] = ()


def render(machine: Machine) -> str:
    """The machine's ``#cloud-config``.

    Raises:
        UserDataError: it is larger than `MAX_USER_DATA`.
    """
    files = [*_common_files(machine), *_role_files(machine), *_vswitch_files(machine)]
    packages = ["nftables", *machine.packages] if machine.packages or machine.vswitch else []
    units = ["platform-vswitch.service"] * bool(machine.vswitch) + ["platform-boot.service"]
    document: dict[str, object] = {}
    if machine.name is not None:
        document |= {"hostname": machine.name, "preserve_hostname": False}
    document |= {
        "ssh_pwauth": False,
        "package_update": True,
        "packages": packages,
        "write_files": files,
        "runcmd": [
            ["sysctl", "--system"],
            *([] if packages else [["sh", "-c", _NFT]]),
            *([["systemctl", "enable", "--now", "nftables.service"]] if machine.vswitch else []),
            ["systemctl", "daemon-reload"],
            # Not waited for: a later step of cloud-init must not hang on the cluster.
            *(["systemctl", "enable", "--now", "--no-block", unit] for unit in units),
        ],
    }
    if not packages:
        del document["packages"], document["package_update"]
    text = "#cloud-config\n" + yaml.dump(document, Dumper=_BlockDumper, sort_keys=False, width=4096)
    size = len(text.encode())
    if size > MAX_USER_DATA and machine.cloud:
        raise UserDataError(
            f"the user_data of {machine.name or 'an autoscaled machine'} has {size} bytes, Hetzner takes {MAX_USER_DATA}: "
            "shorten the labels and taints of its pool"
        )
    return text


def _common_files(machine: Machine) -> list[dict[str, object]]:
    return [
        _file("/etc/platform/boot.env", _boot_environment(machine)),
        _file(ROOT_CERTIFICATE_FILE, machine.root_certificate, "0644"),
        _file(METADATA_RULES_FILE, _read("metadata.nft"), "0644"),
        _file("/etc/sysctl.d/90-kubelet.conf", _read("sysctl.conf"), "0644"),
        _file("/etc/rancher/k3s/registries.yaml", _yaml(k3s.REGISTRIES)),
        _file("/usr/local/lib/platform/boot.sh", _read("boot.sh"), "0755"),
        _file("/etc/systemd/system/platform-boot.service", _read("platform-boot.service"), "0644"),
    ]


def _role_files(machine: Machine) -> list[dict[str, object]]:
    role = machine.role
    if isinstance(role, Agent):
        return [
            _file("/etc/rancher/k3s/config.yaml", _yaml(k3s.agent_config(machine.node, role.token))),
            _unit("agent"),
        ]
    config = k3s.server_config(machine.cluster, machine.node, role.token, role.agent_token)
    files = [
        _file("/etc/rancher/k3s/config.yaml", _yaml(config)),
        _file(k3s.AUTHENTICATION_FILE, _authentication(machine.cluster.oidc)),
        _file(k3s.ADMISSION_FILE, _read("admission.yaml")),
        _file(k3s.AUDIT_POLICY_FILE, _read("audit.yaml")),
        # The directory of the audit log must exist before the first start.
        _file(f"{k3s.AUDIT_LOG_DIRECTORY}/.keep", ""),
        _unit("server"),
    ]
    for authority in role.authorities:
        files.append(_file(f"{k3s.STATE}/tls/{authority.path}.crt", authority.certificate, "0644"))
        files.append(_file(f"{k3s.STATE}/tls/{authority.path}.key", authority.key))
    if role.service_account_key:
        files.append(_file(f"{k3s.STATE}/tls/service.key", role.service_account_key))
    if role.restore:
        files.append(_file("/etc/platform/restore.yaml", _yaml(dict(role.restore.s3))))
    return files


def _authentication(oidc: Oidc | None) -> str:
    people = _yaml({"jwt": [oidc.authenticator()]}) if oidc else ""
    return _read("authentication.yaml") + people


def _vswitch_files(machine: Machine) -> list[dict[str, object]]:
    vswitch = machine.vswitch
    if vswitch is None:
        return []
    join = _template("vswitch.sh.j2").render(
        vlan=vswitch.vlan,
        mtu=vswitch.mtu,
        address=machine.address,
        prefix_length=vswitch.subnet.prefixlen,
        network=vswitch.network,
        gateway=vswitch.subnet[1],
    )
    return [
        _file("/etc/nftables.conf", _template("nftables.conf.j2").render(admin_cidrs=vswitch.admin_cidrs), "0755"),
        _file("/usr/local/lib/platform/vswitch.sh", join, "0755"),
        _file("/etc/systemd/system/platform-vswitch.service", _read("vswitch.service"), "0644"),
    ]


def _boot_environment(machine: Machine) -> str:
    role = machine.role
    server = role if isinstance(role, Server) else None
    if machine.address is None and machine.subnet is None:
        raise ValueError("a machine needs its private address, or the subnet that Hetzner assigns one from")
    values = {
        "ROLE": "server" if server else "agent",
        "NODE_NAME": machine.name or "from-metadata",
        "PROVIDER": "hcloud" if machine.cloud else "robot",
        "PRIVATE_ADDRESS": str(machine.address or ""),
        "PRIVATE_PREFIX": str(machine.subnet[0]).removesuffix("0") if machine.subnet else "",
        "API_ADDRESS": str(machine.api_address),
        "INITIALIZE": "yes" if server and server.initializes else "no",
        "PEERS": " ".join(map(str, server.peers)) if server else "",
        "PREDECESSORS": " ".join(map(str, server.predecessors)) if server else "",
        "RESTORE_FROM": server.restore.snapshot if server and server.restore else "",
        "K3S_URL": machine.release.url,
        "K3S_SHA256_AMD64": machine.release.sha256_amd64,
        "K3S_SHA256_ARM64": machine.release.sha256_arm64,
    }
    return "".join(f"{key}='{value}'\n" for key, value in values.items())


def _unit(role: str) -> dict[str, object]:
    return _file(f"/etc/systemd/system/k3s-{role}.service", _template("k3s.service.j2").render(role=role), "0644")


def _file(path: str, content: str, permissions: str = "0600") -> dict[str, object]:
    return {"path": path, "permissions": permissions, "content": content}


def _yaml(data: Mapping[str, object]) -> str:
    return yaml.dump(dict(data), Dumper=SafeDumper, sort_keys=False, width=4096)


@cache
def _read(name: str) -> str:
    return (resources.files(__name__.rpartition(".")[0]) / "files" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    # Shell and nftables, not HTML.
    return Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)  # noqa: S701


def _template(name: str):  # noqa: ANN202  jinja2.Template
    return _environment().from_string(_read(name))


class _BlockDumper(SafeDumper):
    """Writes texts of several lines as blocks, so that people can read what a machine was given."""


def _represent_text(dumper: SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BlockDumper.add_representer(str, _represent_text)
