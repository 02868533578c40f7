"""One cloud server of a cluster: the options that keep a running machine from being replaced by accident."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_hcloud as hcloud

from ..component import Component
from ..naming import labels
from ..network.addresses import spread_group
from .machines import Deployed, Machine, drained_label

IGNORED_CHANGES = ["userData", "image", "location", "sshKeys", "labels.config"]
"""What would replace a running machine, or tell lies about it: renewed by its generation alone."""


@dataclass(frozen=True)
class Placement:
    """Where a pool's machines stand, and who may reach them."""

    location: pulumi.Input[str]
    image: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    firewall_id: pulumi.Input[int]
    placement_group_ids: Mapping[str, pulumi.Input[int]]
    """By number of the group in the pool."""
    ssh_key_ids: pulumi.Input[list[str]]


@dataclass(frozen=True)
class Boot:
    """What a machine starts with."""

    address: str
    """Private address."""
    user_data: pulumi.Input[str]
    config: str
    """Hash of the configuration in it."""
    primary_ipv4_id: pulumi.Input[int] | None = None
    """A reserved address; else Hetzner gives one."""


def cloud_server(
    parent: Component,
    name: str,
    cluster: str,
    machine: Machine,
    placement: Placement,
    boot: Boot,
    deployed: Deployed,
    *,
    protected: bool,
    server_type: pulumi.Input[str],
    generation: pulumi.Input[int],
    hooks: pulumi.ResourceHookBinding | None,
) -> hcloud.Server:
    """Make the machine. ``server_type`` and ``generation`` may wait for a guard; ``machine`` holds the plain values."""
    warn_of_old_configuration(parent, machine, boot.config, deployed)
    public: hcloud.ServerPublicNetArgsDict = {"ipv4_enabled": True, "ipv6_enabled": True}
    if boot.primary_ipv4_id is not None:
        public["ipv4"] = boot.primary_ipv4_id
    return hcloud.Server(
        name,
        name=machine.name(cluster),
        server_type=server_type,
        # A larger disk could not shrink again: the way back stays open.
        keep_disk=True,
        image=placement.image,
        location=placement.location,
        ssh_keys=placement.ssh_key_ids,
        user_data=pulumi.Output.secret(boot.user_data),
        # Inline, so that it has its private interface when it first boots; without alias_ips there is a difference every time.
        networks=[{"subnet_id": placement.subnet_id, "ip": boot.address, "alias_ips": []}],
        public_nets=[public],
        firewall_ids=[placement.firewall_id],
        placement_group_id=placement.placement_group_ids[str(spread_group(machine.number))],
        labels=labels(cluster, **machine.labels(boot.config), **_drained(machine, deployed)),
        delete_protection=protected,
        rebuild_protection=protected,
        # No shutdown before it goes: it is drained then, and one that does not run could not be deleted.
        shutdown_before_deletion=False,
        opts=parent.child(
            protect=protected,
            ignore_changes=IGNORED_CHANGES,
            replacement_trigger=generation,
            # Name and address are fixed: the predecessor has to go first.
            delete_before_replace=True,
            hooks=hooks,
            additional_secret_outputs=["userData"],
        ),
    )


def _drained(machine: Machine, deployed: Deployed) -> dict[str, str]:
    """The label of a machine that is out of service; never on a machine that this deployment creates."""
    current = deployed.by_key().get((machine.pool, machine.number))
    if machine.drained and current is not None and current.generation == machine.generation:
        return {"drained": drained_label(machine.generation)}
    return {}


def warn_of_old_configuration(parent: Component, machine: Machine, config: str, deployed: Deployed) -> None:
    """Say which running machines were made with another configuration: nothing changes them silently."""
    current = deployed.by_key().get((machine.pool, machine.number))
    if current is not None and current.generation == machine.generation and current.config not in ("", config):
        pulumi.log.warn(
            f"{current.name} runs with an older configuration (k3s version, settings, labels or taints have changed since). "
            f"Renew it with generations: {{{machine.number}: {machine.generation + 1}}} in its pool.",
            parent,
        )
