"""user_data of the cluster's machines: the builder's inputs, once with the real secrets and once with placeholders.

The placeholders are of the greatest length, so that the size is known before any secret exists, and the hash of what
a machine was made with does not depend on secrets.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from ..network import AddressPlan, Subnet
from . import cloud_init, k3s, pki
from .machines import Machine
from .oidc import Oidc

POOL_LABEL = "hetzner-platform/pool"

AGENT_PACKAGES = ("open-iscsi", "nfs-common", "cryptsetup")
"""What Longhorn needs of a node (longhorn.io, installation requirements)."""


@dataclass(frozen=True)
class Secrets:
    """What a machine's user_data holds that is not known before the first deployment."""

    root_certificate: str
    agent_token: str
    server_token: str = ""
    agent_password: str = ""
    authorities: Mapping[str, Mapping[str, str]] | None = None
    service_account_key: str = ""
    restore_s3: Mapping[str, str] | None = None


PLACEHOLDERS = Secrets(
    root_certificate=cloud_init.PLACEHOLDER_CERTIFICATE,
    agent_token=cloud_init.PLACEHOLDER_TOKEN,
    server_token=cloud_init.PLACEHOLDER_TOKEN,
    agent_password="p" * 64,
    authorities={
        path: {
            "certificate": f"{cloud_init.PLACEHOLDER_CERTIFICATE}\n{cloud_init.PLACEHOLDER_CERTIFICATE}",
            "key": cloud_init.PLACEHOLDER_KEY,
        }
        for path in pki.AUTHORITIES
    },
    service_account_key=cloud_init.PLACEHOLDER_KEY,
    restore_s3={
        f"etcd-s3-{key}": "s" * 64 for key in ("endpoint", "access-key", "secret-key", "bucket", "region", "folder")
    },
)


@dataclass(frozen=True)
class Pool:
    """What the machines of a pool share."""

    cluster: str
    index: int
    release: cloud_init.Release
    api_address: IPv4Address
    labels: Mapping[str, str]
    taints: Sequence[str]
    name: str
    oidc: Oidc | None = None
    """Of servers: whose tokens their API takes."""

    @property
    def plan(self) -> AddressPlan:
        """The region's addresses."""
        return AddressPlan(self.index)

    @property
    def node(self) -> k3s.NodeSettings:
        """The pool's label beside those that the configuration gives."""
        return k3s.NodeSettings({POOL_LABEL: self.name, **self.labels}, self.taints)

    def settings(self, tls_names: Sequence[str] = ()) -> k3s.ClusterSettings:
        """What all machines agree on."""
        return k3s.ClusterSettings(str(self.plan.pods), str(self.plan.services), tls_names, oidc=self.oidc)


def server(
    pool: Pool,
    machine: Machine,
    numbers: Sequence[int],
    tls_names: Sequence[str],
    secrets: Secrets,
    *,
    initialized: bool,
    restore_from: str | None = None,
) -> str:
    """user_data of a control-plane server.

    Only the lowest number may initialise or restore, and only it is given the CAs: the others fetch them when they join.
    """
    first = machine.number == min(numbers)
    initializes = first and not initialized and restore_from is None
    restores = first and restore_from is not None
    others = [number for number in sorted(numbers) if number != machine.number]
    address = pool.plan.machine(Subnet.SERVERS, machine.number)
    return cloud_init.render(
        cloud_init.Machine(
            cluster=pool.settings(tls_names),
            node=pool.node,
            release=pool.release,
            role=cloud_init.Server(
                token=secrets.server_token,
                agent_token=secrets.agent_password,
                initializes=initializes,
                authorities=[
                    cloud_init.AuthorityFile(path, files["certificate"], files["key"])
                    for path, files in (secrets.authorities or {}).items()
                ]
                if initializes or restores
                else [],
                service_account_key=secrets.service_account_key if initializes or restores else "",
                peers=[pool.plan.machine(Subnet.SERVERS, number) for number in others],
                predecessors=[]
                if initialized
                else [pool.plan.machine(Subnet.SERVERS, number) for number in others if number < machine.number],
                restore=cloud_init.Restore(restore_from, secrets.restore_s3 or {})
                if restores and restore_from
                else None,
            ),
            root_certificate=secrets.root_certificate,
            api_address=pool.api_address,
            name=machine.name(pool.cluster),
            address=address,
        )
    )


def agent(pool: Pool, machine: Machine, secrets: Secrets) -> str:
    """user_data of a static cloud agent."""
    address = pool.plan.machine(Subnet.AGENTS, machine.number)
    return cloud_init.render(replace(_agent(pool, secrets), name=machine.name(pool.cluster), address=address))


def autoscaled(pool: Pool, secrets: Secrets) -> str:
    """user_data of the machines that the autoscaler makes: name and address are known only when they boot."""
    return cloud_init.render(replace(_agent(pool, secrets), subnet=pool.plan.subnet(Subnet.AUTOSCALED)))


def robot(pool: Pool, machine: Machine, vswitch: cloud_init.Vswitch, secrets: Secrets) -> str:
    """The join bundle of a dedicated machine: host firewall, VLAN, route and join, as a ``#cloud-config``."""
    own = replace(
        _agent(pool, secrets),
        name=machine.name(pool.cluster),
        address=pool.plan.machine(Subnet.VSWITCH, machine.number),
        cloud=False,
        vswitch=vswitch,
    )
    return cloud_init.render(own)


def _agent(pool: Pool, secrets: Secrets) -> cloud_init.Machine:
    """What all agents of a pool start with."""
    return cloud_init.Machine(
        cluster=pool.settings(),
        node=pool.node,
        release=pool.release,
        role=cloud_init.Agent(secrets.agent_token),
        root_certificate=secrets.root_certificate,
        api_address=pool.api_address,
        packages=AGENT_PACKAGES,
    )


def vswitch(
    plan: AddressPlan, network: IPv4Network, vlan: int, mtu: int, admin_cidrs: Sequence[str]
) -> cloud_init.Vswitch:
    """How the region's dedicated machines reach the Network."""
    return cloud_init.Vswitch(vlan, mtu, plan.subnet(Subnet.VSWITCH), network, admin_cidrs)


def fingerprint(render: Callable[[Secrets], str]) -> str:
    """Hash (12 hex digits) of what a machine is made with, secrets aside: tells machines of an older configuration."""
    return hashlib.sha256(render(PLACEHOLDERS).encode()).hexdigest()[:12]
