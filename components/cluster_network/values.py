"""What the two charts are told beside their static values, and which settings do not go together."""

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import Any, Final, Literal, get_args

from ..cluster import VSWITCH_MTU
from ..layer import unpinned
from ..problem import Problem

Routing = Literal["tunnel", "native"]
"""How pods' packets travel between machines: inside VXLAN, or as they are, by the routes of the Hetzner Network."""

SERVER_CERTIFICATE: Final = "hubble-server-certs"
RELAY_CERTIFICATE: Final = "hubble-relay-client-certs"

CHARTS: Final = ("cilium", "hcloud-cloud-controller-manager")


def cilium_values(pods: IPv4Network, mtu: int, routing: Routing) -> dict[str, Any]:
    """Values of the chart ``cilium``.

    Args:
        pods: The cluster's pod addresses.
        mtu: Device MTU of the whole cluster, bytes; Cilium takes what WireGuard and VXLAN need off it.
        routing: How pods' packets travel.
    """
    values: dict[str, Any] = {
        "MTU": mtu,
        "hubble": {
            "tls": {"server": {"existingSecret": SERVER_CERTIFICATE}},
            "relay": {"tls": {"client": {"existingSecret": RELAY_CERTIFICATE}}},
        },
    }
    if routing == "native":
        # Only what goes to pods keeps its address: data machines know the nodes' addresses alone. Machines are behind
        # Hetzner's router, not neighbours of each other: the routes are the cloud controller's.
        values |= {"routingMode": "native", "ipv4NativeRoutingCIDR": str(pods), "autoDirectNodeRoutes": False}
    return values


def cloud_controller_values(pods: IPv4Network, routing: Routing, *, with_robot: bool) -> dict[str, Any]:
    """Values of the chart ``hcloud-cloud-controller-manager``.

    Args:
        pods: The cluster's pod addresses.
        routing: With ``native``, it writes a route per machine into the Hetzner Network.
        with_robot: Whether dedicated machines belong to the cluster. Their Nodes keep the address that their kubelet
            gives (the one in the vSwitch): Robot does not know it.
    """
    environment = {"HCLOUD_NETWORK_ROUTES_ENABLED": {"value": "true" if routing == "native" else "false"}}
    values: dict[str, Any] = {"networking": {"clusterCIDR": str(pods)}}
    if with_robot:
        values["robot"] = {"enabled": True}
        environment["ROBOT_FORWARD_INTERNAL_IPS"] = {"value": "true"}
    return {**values, "env": environment}


def problems(
    routing: str, mtu: int, charts: Mapping[str, object], *, has_robot_user: bool, has_robot_password: bool
) -> list[Problem]:
    """What does not go together in the arguments of a ``ClusterNetwork``."""
    found: list[Problem] = []
    with_robot = has_robot_user or has_robot_password
    if routing not in get_args(Routing):
        found.append(Problem("routing", routing, "is no way to route", "write tunnel or native"))
    if routing == "native" and with_robot:
        found.append(
            Problem(
                "routing",
                routing,
                "the Hetzner Network's routes do not lead to dedicated machines",
                "write tunnel, or take the Robot pool out",
            )
        )
    if has_robot_user != has_robot_password:
        missing = "robot_password" if has_robot_user else "robot_user"
        found.append(Problem(missing, None, "Robot's user and password go together", "give both or neither"))
    if with_robot and mtu > VSWITCH_MTU:
        found.append(Problem("mtu", mtu, "a vSwitch carries less", f"write {VSWITCH_MTU} with dedicated machines"))
    return [*found, *unpinned(charts, CHARTS)]
