"""A region's part of the Network: subnets, firewalls, placement groups."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_hcloud as hcloud

from ..component import Component, as_id
from ..naming import check_name, labels
from . import firewall
from .addresses import AddressPlan, Subnet, spread_group
from .network import subnet


class RegionNetworkArgs(TypedDict):
    cluster: str
    """The cluster's name; it begins the names of everything here."""
    index: int
    """The region's index in the address plan, 1 to 9."""
    network_id: pulumi.Input[int]
    """The Network that all regions share."""
    admin_cidrs: list[str]
    """Where administrators come from: SSH and the Kubernetes API are open to these only."""
    spread: dict[str, list[int]]
    """Machine numbers by pool: each pool's machines are spread over hosts, ten to a group."""
    vswitch_id: NotRequired[int]
    """Number of the Robot vSwitch that dedicated machines come over; none unless told."""


class RegionNetwork(Component):
    """Subnets of servers, agents, data, autoscaled agents (and dedicated machines), firewalls, placement groups."""

    servers_subnet_id: pulumi.Output[str]
    agents_subnet_id: pulumi.Output[str]
    data_subnet_id: pulumi.Output[str]
    autoscaled_subnet_id: pulumi.Output[str]
    servers_firewall_id: pulumi.Output[int]
    """Admits SSH and the Kubernetes API from ``admin_cidrs``."""
    agents_firewall_id: pulumi.Output[int]
    """Admits SSH from ``admin_cidrs``."""
    placement_group_ids: pulumi.Output[dict[str, int]]
    """By ``<pool>-<group>``, where group 1 holds the machines 1 to 10 of the pool, group 2 the next ten, …"""

    def __init__(self, name: str, args: RegionNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("RegionNetwork", name, args, RegionNetworkArgs, opts)
        self._args = args
        plan = AddressPlan(args["index"])
        cloud = (Subnet.SERVERS, Subnet.AGENTS, Subnet.DATA, Subnet.AUTOSCALED)
        subnets = {use: subnet(self, f"{name}-{use}", args["network_id"], str(plan.subnet(use))) for use in cloud}
        if "vswitch_id" in args:
            use = Subnet.VSWITCH
            subnet(self, f"{name}-{use}", args["network_id"], str(plan.subnet(use)), args["vswitch_id"])
        self.servers_subnet_id = subnets[Subnet.SERVERS].id
        self.agents_subnet_id = subnets[Subnet.AGENTS].id
        self.data_subnet_id = subnets[Subnet.DATA].id
        self.autoscaled_subnet_id = subnets[Subnet.AUTOSCALED].id
        self.servers_firewall_id = self._firewall(name, "servers", firewall.SSH, firewall.KUBERNETES_API)
        self.agents_firewall_id = self._firewall(name, "agents", firewall.SSH)
        self._placement_groups = self._spread(name)
        self.placement_group_ids = pulumi.Output.all(**self._placement_groups)
        self.register_outputs(
            {
                "servers_subnet_id": self.servers_subnet_id,
                "agents_subnet_id": self.agents_subnet_id,
                "data_subnet_id": self.data_subnet_id,
                "autoscaled_subnet_id": self.autoscaled_subnet_id,
                "servers_firewall_id": self.servers_firewall_id,
                "agents_firewall_id": self.agents_firewall_id,
                "placement_group_ids": self.placement_group_ids,
            }
        )

    def placement_groups(self, pool: str) -> dict[str, pulumi.Input[int]]:
        """The placement groups of one pool, by the number of the group.

        A pool depends on its own groups alone, so that another pool's coming or going does not touch it.
        """
        groups = sorted({spread_group(number) for number in self._args["spread"][pool]})
        return {str(group): self._placement_groups[f"{pool}-{group}"] for group in groups}

    def _firewall(self, name: str, role: str, *ports: int) -> pulumi.Output[int]:
        cluster = self._args["cluster"]
        return as_id(
            hcloud.Firewall(
                f"{name}-{role}",
                name=check_name(f"{cluster}-{role}"),
                labels=labels(cluster, role=role),
                rules=firewall.inbound(self._args["admin_cidrs"], *ports),  # pyright: ignore[reportArgumentType]  plain dictionaries of the same shape
                opts=self.child(),
            )
        )

    def _spread(self, name: str) -> dict[str, pulumi.Output[int]]:
        cluster = self._args["cluster"]
        made: dict[str, pulumi.Output[int]] = {}
        for pool, numbers in self._args["spread"].items():
            for group in sorted({spread_group(number) for number in numbers}):
                made[f"{pool}-{group}"] = as_id(
                    hcloud.PlacementGroup(
                        f"{name}-{pool}-spread-{group}",
                        name=check_name(f"{cluster}-{pool}-spread-{group}"),
                        type="spread",
                        labels=labels(cluster, pool=pool),
                        opts=self.child(),
                    )
                )
        return made
