"""The Hetzner Network that all regions share, and the DMZ subnet of their load balancers."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_hcloud as hcloud

from ..component import Component, as_id
from . import addresses

NETWORK_ZONE = "eu-central"
"""Spans Falkenstein, Nuremberg and Helsinki; all subnets of a Network lie in one zone."""


class NetworkArgs(TypedDict):
    name: pulumi.Input[str]
    """Name in the Hetzner project."""
    protection: NotRequired[bool]
    """Protect against deletion, here and in the cloud; on unless told."""
    labels: NotRequired[pulumi.Input[dict[str, str]]]
    """Labels of the Network."""


class Network(Component):
    """Network 10.0.0.0/8 with the DMZ 10.0.0.0/24. Free of charge."""

    network_id: pulumi.Output[int]
    """Id of the Network."""
    dmz_subnet_id: pulumi.Output[str]
    """``<network>-<cidr>`` of the DMZ."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("Network", name, args, NetworkArgs, opts)
        protection = args.get("protection", True)
        network = hcloud.Network(
            name,
            name=args["name"],
            ip_range=str(addresses.NETWORK),
            delete_protection=protection,
            labels=args.get("labels"),
            opts=self.child(protect=protection),
        )
        dmz = subnet(self, f"{name}-dmz", as_id(network), str(addresses.DMZ))
        self.network_id = as_id(network)
        self.dmz_subnet_id = dmz.id
        self.register_outputs({"network_id": self.network_id, "dmz_subnet_id": self.dmz_subnet_id})


def subnet(
    parent: Component,
    name: str,
    network_id: pulumi.Input[int],
    ip_range: str,
    vswitch_id: int | None = None,
) -> hcloud.NetworkSubnet:
    """A subnet; of a vSwitch if its number is given."""
    return hcloud.NetworkSubnet(
        name,
        network_id=network_id,
        type="cloud" if vswitch_id is None else "vswitch",
        vswitch_id=vswitch_id,
        network_zone=NETWORK_ZONE,
        ip_range=ip_range,
        opts=parent.child(delete_before_replace=True),
    )
