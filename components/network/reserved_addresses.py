"""A region's stable public addresses: they outlive the machines and load balancers that use them."""

from ipaddress import IPv6Network
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_hcloud as hcloud

from ..component import Component, as_id
from ..naming import check_name, labels


class ReservedAddressesArgs(TypedDict):
    cluster: str
    """The cluster's name."""
    location: pulumi.Input[str]
    """Hetzner location: an address cannot leave it."""
    servers: list[int]
    """Numbers of the control-plane servers."""
    unprotected: NotRequired[list[int]]
    """Servers whose address may go."""
    protection: NotRequired[bool]
    """Protect the addresses against deletion, here and in the cloud; on unless told."""


class ReservedAddresses(Component):
    """Primary IPs: IPv4 and IPv6 of the ingress load balancer, IPv4 of each control-plane server. €0.50 an IPv4."""

    ingress_ipv4_id: pulumi.Output[int]
    ingress_ipv6_id: pulumi.Output[int]
    ingress_ipv4: pulumi.Output[str]
    """Public IPv4 address of the ingress load balancer."""
    ingress_ipv6: pulumi.Output[str]
    """Public IPv6 address of the ingress load balancer: the first of its /64."""
    servers: pulumi.Output[dict[str, Any]]
    """By machine number: ``id`` and ``address``."""

    def __init__(self, name: str, args: ReservedAddressesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ReservedAddresses", name, args, ReservedAddressesArgs, opts)
        self._args = args
        self._name = name
        protection = args.get("protection", True)
        ipv4 = self._reserve("ingress-ipv4", "ipv4", protection)
        ipv6 = self._reserve("ingress-ipv6", "ipv6", protection)
        self.ingress_ipv4_id, self.ingress_ipv6_id = as_id(ipv4), as_id(ipv6)
        self.ingress_ipv4 = ipv4.ip_address
        self.ingress_ipv6 = ipv6.ip_network.apply(first_address)
        unprotected = args.get("unprotected", [])
        self.server_addresses = {
            str(number): self._reserve(f"server-{number}", "ipv4", protection and number not in unprotected)
            for number in args["servers"]
        }
        self.servers = pulumi.Output.all(
            **{
                number: pulumi.Output.all(id=as_id(reserved), address=reserved.ip_address)
                for number, reserved in self.server_addresses.items()
            }
        )
        self.register_outputs(
            {
                "ingress_ipv4_id": self.ingress_ipv4_id,
                "ingress_ipv6_id": self.ingress_ipv6_id,
                "ingress_ipv4": self.ingress_ipv4,
                "ingress_ipv6": self.ingress_ipv6,
                "servers": self.servers,
            }
        )

    def _reserve(self, role: str, family: str, protected: bool) -> hcloud.PrimaryIp:
        cluster = self._args["cluster"]
        return hcloud.PrimaryIp(
            f"{self._name}-{role}",
            name=check_name(f"{cluster}-{role}"),
            type=family,
            location=self._args["location"],
            # With the machine it would be lost.
            auto_delete=False,
            labels=labels(cluster, role=role),
            delete_protection=protected,
            opts=self.child(protect=protected, delete_before_replace=True),
        )


def first_address(network: str) -> str:
    """The address that a load balancer answers on in its /64: ``2001:db8::/64`` → ``2001:db8::1``."""
    return str(IPv6Network(network)[1])
