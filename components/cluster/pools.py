"""Agent pools: cloud servers of ours, dedicated machines that join over a vSwitch, and what the autoscaler makes."""

from ipaddress import IPv4Network
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_hcloud as hcloud

from ..component import Component
from ..network import AddressPlan, Subnet
from ..network.addresses import NETWORK
from . import renewal, user_data
from .arguments import JoinArgs, MachineArgs, NodeArgs, api_address, machines, release
from .lookup import look_up
from .machines import Deployed, Machine
from .readiness import ClusterError
from .server import Boot, Placement, cloud_server

MTU = 1450
"""Bytes on Hetzner's private networks (docs.hetzner.com, Networks)."""
VSWITCH_MTU = 1400
"""Bytes over a vSwitch (docs.hetzner.com, vSwitch)."""
DEFAULT_VLAN = 4000


def cluster_mtu(*, with_robot: bool) -> int:
    """One device MTU for the whole cluster, in bytes: the smallest that any of its machines needs."""
    return VSWITCH_MTU if with_robot else MTU


class AgentPoolArgs(TypedDict):
    pool: str
    """The pool's name."""
    join: JoinArgs
    """How its machines join: ``K3sCluster.join``."""
    machines: list[MachineArgs]
    """Its machines."""
    location: pulumi.Input[str]
    """Hetzner location."""
    image: pulumi.Input[str]
    """Operating system image."""
    subnet_id: pulumi.Input[str]
    """Subnet of the agents."""
    firewall_id: pulumi.Input[int]
    """Firewall of the agents."""
    placement_group_ids: dict[str, pulumi.Input[int]]
    """By number of the group in the pool."""
    ssh_key_ids: pulumi.Input[list[str]]
    """The administrators' SSH keys."""
    node: NotRequired[NodeArgs]
    """Node labels and taints."""


def _pool(name: str, join: JoinArgs, node: NodeArgs) -> user_data.Pool:
    return user_data.Pool(
        join["cluster"],
        join["index"],
        release(join["release"]),
        api_address(join),
        node.get("labels", {}),
        node.get("taints", []),
        name,
    )


def _secrets(join: JoinArgs) -> pulumi.Output[user_data.Secrets]:
    return pulumi.Output.all(join["root_certificate"], join["agent_token"]).apply(
        lambda known: user_data.Secrets(*known)
    )


class AgentPool(Component):
    """Agents on cloud servers, each at the address of its number.

    Args of the hooks come from the cluster: without them machines are neither drained nor forgotten.

    Raises:
        ClusterError: a change of machines that this deployment must not make.
    """

    def __init__(
        self,
        name: str,
        args: AgentPoolArgs,
        opts: pulumi.ResourceOptions | None = None,
        hooks: pulumi.ResourceHookBinding | None = None,
    ) -> None:
        super().__init__("AgentPool", name, args, AgentPoolArgs, opts)
        self._args, self._hooks = args, hooks
        pool = args["pool"]
        wanted = machines(pool, args["machines"])
        deployed = look_up(args["join"]["cluster"], self.invoke()).of(pool)
        refused = renewal.refusals(wanted, deployed)
        if refused:
            raise ClusterError("\n".join(f"{refusal.problem}; {refusal.remedy}" for refusal in refused))
        for machine in wanted:
            self._agent(name, machine, deployed)
        self.register_outputs({})

    def _agent(self, name: str, machine: Machine, deployed: Deployed) -> hcloud.Server:
        args = self._args
        pool = _pool(args["pool"], args["join"], args.get("node", {}))
        secrets = _secrets(args["join"])
        return cloud_server(
            self,
            f"{name}-{machine.number}",
            args["join"]["cluster"],
            machine,
            Placement(
                args["location"],
                args["image"],
                args["subnet_id"],
                args["firewall_id"],
                args["placement_group_ids"],
                args["ssh_key_ids"],
            ),
            Boot(
                address=str(pool.plan.machine(Subnet.AGENTS, machine.number)),
                user_data=secrets.apply(lambda known: user_data.agent(pool, machine, known)),
                config=user_data.fingerprint(lambda known: user_data.agent(pool, machine, known)),
            ),
            deployed,
            protected=False,
            server_type=machine.type,
            generation=machine.generation,
            hooks=self._hooks,
        )


class RobotPoolArgs(TypedDict):
    pool: str
    """The pool's name."""
    join: JoinArgs
    """How its machines join."""
    machines: list[MachineArgs]
    """Its machines, numbered from 2 on; their type is the model."""
    admin_cidrs: list[str]
    """Where administrators come from: its host firewall admits SSH from these only."""
    vlan: NotRequired[int]
    """VLAN of the vSwitch, 4000 to 4091; 4000 unless told."""
    node: NotRequired[NodeArgs]
    """Node labels and taints."""


class RobotPool(Component):
    """Dedicated machines (GPUs, for one): no cloud server of ours, but what each needs to join over the vSwitch."""

    join_bundles: pulumi.Output[dict[str, str]]
    """``#cloud-config`` by machine number: host firewall, VLAN, route and join. Secret."""

    def __init__(self, name: str, args: RobotPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("RobotPool", name, args, RobotPoolArgs, opts)
        pool = _pool(args["pool"], args["join"], args.get("node", {}))
        vswitch = user_data.vswitch(
            AddressPlan(args["join"]["index"]),
            IPv4Network(NETWORK),
            args.get("vlan", DEFAULT_VLAN),
            VSWITCH_MTU,
            args["admin_cidrs"],
        )
        wanted = machines(args["pool"], args["machines"])
        self.join_bundles = pulumi.Output.secret(
            _secrets(args["join"]).apply(
                lambda known: {
                    str(machine.number): user_data.robot(pool, machine, vswitch, known) for machine in wanted
                }
            )
        )
        self.register_outputs({"join_bundles": self.join_bundles})


class AutoscaledPoolArgs(TypedDict):
    pool: str
    """The pool's name; the autoscaler's group is ``<cluster>-<pool>``."""
    join: JoinArgs
    """How its machines join."""
    type: str
    """Hetzner server type."""
    location: str
    """Hetzner location."""
    min: int
    """Fewest machines."""
    max: int
    """Most machines."""
    node: NotRequired[NodeArgs]
    """Node labels and taints."""


class AutoscaledPool(Component):
    """No machines of ours: the group and the node configuration that the cluster autoscaler makes machines with."""

    node_group: pulumi.Output[str]
    """The autoscaler's ``--nodes`` value: ``min:max:type:location:name``."""
    node_config: pulumi.Output[dict[str, Any]]
    """The group's entry in the autoscaler's ``nodeConfigs``: cloudInit, labels, taints, subnetIPRange. Secret."""

    def __init__(self, name: str, args: AutoscaledPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("AutoscaledPool", name, args, AutoscaledPoolArgs, opts)
        pool = _pool(args["pool"], args["join"], args.get("node", {}))
        group = f"{args['join']['cluster']}-{args['pool']}"
        self.node_group = pulumi.Output.from_input(
            f"{args['min']}:{args['max']}:{args['type']}:{args['location']}:{group}"
        )
        # The autoscaler schedules by these labels and taints before a machine exists; the machine sets the same itself.
        simulated: dict[str, object] = {
            "labels": dict(pool.node.labels),
            "taints": [_taint(taint) for taint in pool.taints],
            "subnetIPRange": str(pool.plan.subnet(Subnet.AUTOSCALED)),
        }
        self.node_config = pulumi.Output.secret(
            _secrets(args["join"]).apply(lambda known: {"cloudInit": user_data.autoscaled(pool, known), **simulated})
        )
        self.register_outputs({"node_group": self.node_group, "node_config": self.node_config})


def _taint(text: str) -> dict[str, str]:
    key_value, _, effect = text.rpartition(":")
    key, _, value = key_value.partition("=")
    return {"key": key, "value": value, "effect": effect}
