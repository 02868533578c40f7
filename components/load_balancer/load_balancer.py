"""Hetzner load balancers: one in front of a region's ingress controller, one for its Kubernetes API."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_hcloud as hcloud

from ..component import Component
from ..naming import check_name, labels
from .services import API, HTTP, HTTPS, Service


class IngressLoadBalancerArgs(TypedDict):
    cluster: str
    """The cluster's name; it begins the load balancer's."""
    location: pulumi.Input[str]
    """Hetzner location, such as ``fsn1``."""
    subnet_id: pulumi.Input[str]
    """DMZ subnet (``<network>-<cidr>``); using it also orders the attachment after the subnet."""
    private_ip: pulumi.Input[str]
    """Address inside the DMZ; never the Network's first address."""
    target_selector: pulumi.Input[str]
    """Label selector of the machines that receive traffic over their private address."""
    ipv4_id: pulumi.Input[int]
    """Primary IPv4, which outlives the load balancer."""
    ipv6_id: pulumi.Input[int]
    """Primary IPv6."""
    type: NotRequired[pulumi.Input[str]]
    """Load balancer type; ``lb11`` (5 services, 25 targets) unless told."""


class ApiLoadBalancerArgs(TypedDict):
    cluster: str
    """The cluster's name; it begins the load balancer's."""
    location: pulumi.Input[str]
    """Hetzner location."""
    subnet_id: pulumi.Input[str]
    """DMZ subnet."""
    private_ip: pulumi.Input[str]
    """Address inside the DMZ: what machines join through."""
    target_selector: pulumi.Input[str]
    """Label selector of the control-plane servers."""
    type: NotRequired[pulumi.Input[str]]
    """Load balancer type; ``lb11`` unless told."""


class IngressLoadBalancer(Component):
    """Passes TCP 80 and 443 with the PROXY protocol to the ingress controller's node ports.

    TLS is not terminated here, so that the origin can verify Cloudflare's client certificate.
    Hetzner firewalls cannot protect a load balancer: see docs/origin.md.
    """

    ipv4: pulumi.Output[str]
    """Public IPv4 address."""

    def __init__(self, name: str, args: IngressLoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("IngressLoadBalancer", name, args, IngressLoadBalancerArgs, opts)
        balancer = hcloud.LoadBalancer(
            name,
            name=check_name(f"{args['cluster']}-ingress"),
            load_balancer_type=args.get("type", "lb11"),
            location=args["location"],
            ipv4_id=args["ipv4_id"],
            ipv6_id=args["ipv6_id"],
            labels=labels(args["cluster"], role="ingress"),
            opts=self.child(),
        )
        attachment = _attach(self, name, balancer, args["subnet_id"], args["private_ip"], public=True)
        before: pulumi.Resource = _target(self, name, balancer, attachment, args["target_selector"])
        for service in (HTTP, HTTPS):
            before = _serve(self, name, balancer, service, before)
        self.ipv4 = balancer.ipv4
        self.register_outputs({"ipv4": self.ipv4})


class ApiLoadBalancer(Component):
    """Passes TCP 6443 to the control-plane servers, from inside the Network only.

    Machines join and stay on it; people use the servers' own addresses, which firewalls can guard.
    """

    def __init__(self, name: str, args: ApiLoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ApiLoadBalancer", name, args, ApiLoadBalancerArgs, opts)
        balancer = hcloud.LoadBalancer(
            name,
            name=check_name(f"{args['cluster']}-api"),
            load_balancer_type=args.get("type", "lb11"),
            location=args["location"],
            labels=labels(args["cluster"], role="api"),
            opts=self.child(),
        )
        attachment = _attach(self, name, balancer, args["subnet_id"], args["private_ip"], public=False)
        target = _target(self, name, balancer, attachment, args["target_selector"])
        _serve(self, name, balancer, API, target)
        self.register_outputs({})


def _attach(
    parent: Component,
    name: str,
    balancer: hcloud.LoadBalancer,
    subnet_id: pulumi.Input[str],
    private_ip: pulumi.Input[str],
    *,
    public: bool,
) -> hcloud.LoadBalancerNetwork:
    return hcloud.LoadBalancerNetwork(
        f"{name}-network",
        load_balancer_id=balancer.id.apply(int),
        subnet_id=subnet_id,
        ip=private_ip,
        enable_public_interface=public,
        # A replacement created first would find itself attached, and its predecessor's delete would then detach it.
        opts=parent.child(delete_before_replace=True),
    )


def _target(
    parent: Component,
    name: str,
    balancer: hcloud.LoadBalancer,
    attachment: hcloud.LoadBalancerNetwork,
    selector: pulumi.Input[str],
) -> hcloud.LoadBalancerTarget:
    return hcloud.LoadBalancerTarget(
        f"{name}-targets",
        load_balancer_id=balancer.id.apply(int),
        type="label_selector",
        label_selector=selector,
        use_private_ip=True,
        # Private targets are refused before the load balancer is attached.
        opts=parent.child(delete_before_replace=True, depends_on=[attachment]),
    )


def _serve(
    parent: Component, name: str, balancer: hcloud.LoadBalancer, service: Service, before: pulumi.Resource
) -> hcloud.LoadBalancerService:
    return hcloud.LoadBalancerService(
        f"{name}-{service.name}",
        load_balancer_id=balancer.id,
        protocol="tcp",
        listen_port=service.listen_port,
        destination_port=service.destination_port,
        proxyprotocol=service.proxy_protocol,
        health_check=service.health_check,  # pyright: ignore[reportArgumentType]  a plain dictionary of the same shape
        # A load balancer takes one change at a time, and the provider does not wait for its turn.
        opts=parent.child(delete_before_replace=True, depends_on=[before]),
    )
