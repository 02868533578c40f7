"""Cilium beside the cloud controller, one gate after both, and the policies that need Cilium."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_random as random

from ..cluster import Patience, connected
from ..component import check_arguments
from ..layer import ChartPin, Layer
from ..network import AddressPlan
from ..problem import refuse
from .hubble import HubbleCertificates
from .policies import RESOLVERS, deny_metadata, system_flows
from .values import RELAY_CERTIFICATE, SERVER_CERTIFICATE, Routing, cilium_values, cloud_controller_values, problems

_SYSTEM = "kube-system"


class ClusterNetworkArgs(TypedDict):
    cluster: str
    """The cluster's name."""
    index: int
    """The region's index in the address plan; it gives the pods' addresses."""
    mtu: int
    """Device MTU of the whole cluster, bytes (``cluster_mtu``)."""
    nodes: int
    """Nodes that must have joined before anything builds on the network: servers and static cloud agents."""
    kubeconfig: pulumi.Input[str]
    """The administrator's kubeconfig: the gate asks with it. Secret."""
    hcloud_token: pulumi.Input[str]
    """Token of the Hetzner project, for the cloud controller and hcloud-csi. Secret."""
    network_id: pulumi.Input[int]
    """The Hetzner Network."""
    charts: Mapping[str, ChartPin]
    """Pins of ``cilium`` and ``hcloud-cloud-controller-manager``."""
    routing: NotRequired[Routing]
    """``tunnel`` unless told; ``native`` needs a cluster of cloud servers alone."""
    robot_user: NotRequired[pulumi.Input[str]]
    """User of Robot's web service; with dedicated machines, whose Nodes the cloud controller would remove otherwise."""
    robot_password: NotRequired[pulumi.Input[str]]
    """Its password. Secret."""
    resolvers: NotRequired[list[str]]
    """IPv4 addresses of the name servers in the machines' resolv.conf; Hetzner's unless told."""
    ready_within: NotRequired[float]
    """Seconds that the network may take; 900 unless told."""
    ready_interval: NotRequired[float]
    """Seconds between two looks; 5 unless told."""


class ClusterNetwork(Layer):
    """Cilium and the Hetzner cloud controller manager, installed side by side since each needs the other to end well:
    no Node is Ready without the one, and none may be used without the other. One gate waits for both.

    The Secret ``hcloud`` in kube-system (``token``, ``network``, with Robot ``robot-user`` and ``robot-password``) is
    also what hcloud-csi reads.

    Raises:
        ProblemsError: settings that do not go together, or a chart that is not pinned; nothing has been registered then.
    """

    def __init__(
        self,
        name: str,
        args: ClusterNetworkArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        check_arguments("ClusterNetwork", name, args, ClusterNetworkArgs)
        routing: Routing = args.get("routing", "tunnel")
        user, password = args.get("robot_user"), args.get("robot_password")
        found = problems(
            routing,
            args["mtu"],
            args["charts"],
            has_robot_user=user is not None,
            has_robot_password=password is not None,
        )
        refuse(f"ClusterNetwork {name!r}", found)
        super().__init__("ClusterNetwork", name, args, ClusterNetworkArgs, opts, after)
        pods = AddressPlan(args["index"]).pods

        texts: dict[str, pulumi.Input[str]] = {
            "token": args["hcloud_token"],
            "network": pulumi.Output.from_input(args["network_id"]).apply(str),
        }
        if user is not None and password is not None:
            texts |= {"robot-user": user, "robot-password": password}
        self.secret(_SYSTEM, "hcloud", texts)
        certificates = HubbleCertificates(f"{name}-hubble", {"cluster": args["cluster"]}, self.child())
        self.secret(_SYSTEM, SERVER_CERTIFICATE, _pair(certificates.server), type="kubernetes.io/tls")
        self.secret(_SYSTEM, RELAY_CERTIFICATE, _pair(certificates.relay), type="kubernetes.io/tls")
        # Neither waits for the other: nodes are not ready before the one, and stay tainted before the other.
        with self.abreast():
            self.install(
                "cilium",
                args["charts"]["cilium"],
                _SYSTEM,
                values=cilium_values(pods, args["mtu"], routing),
                awaited=False,
            )
            self.install(
                "hcloud-cloud-controller-manager",
                args["charts"]["hcloud-cloud-controller-manager"],
                _SYSTEM,
                values=cloud_controller_values(pods, routing, with_robot=user is not None),
                awaited=False,
            )
        patience = Patience(args.get("ready_within", 900), args.get("ready_interval", 5))
        hook = connected(name, pulumi.Output.from_input(args["kubeconfig"]), args["nodes"], patience)
        self.gate = self.part(
            random.RandomId(
                f"{name}-connected",
                byte_length=4,
                opts=self.wait(hooks=pulumi.ResourceHookBinding(before_create=[hook])),
            )
        )
        self.manifest(deny_metadata())
        self.admit(_SYSTEM, system_flows(args.get("resolvers", RESOLVERS)))
        self.finish()


def _pair(files: pulumi.Output[dict[str, str]]) -> dict[str, pulumi.Input[str]]:
    return {key: files.apply(lambda known, key=key: known[key]) for key in ("tls.crt", "tls.key", "ca.crt")}
