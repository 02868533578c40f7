"""Everything that stands between visitors and a region, in one Cloudflare zone."""

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

import pulumi

from ..component import Component, check_arguments
from ..problem import Problem, refuse
from ..secrets.generations import check_generations
from .dns_records import DnsRecords
from .origin_certificate import OriginCertificate
from .origin_pulls import OriginPulls
from .origin_tunnel import OriginTunnel
from .plans import check_plan
from .records import (
    Origin,
    Record,
    api_records,
    certificate_hostnames,
    check_names,
    fully_qualified,
    load_balancer_records,
    tunnel_records,
)
from .rules import CustomRule, DdosOverride, RateLimit
from .web_firewall import WebFirewall, WebFirewallArgs
from .zone_settings import HSTS_MAX_AGE, ZoneSettings

OriginKind = Literal["load_balancer", "tunnel"]


class OriginPullCa(TypedDict):
    """Our own CA for Authenticated Origin Pulls."""

    certificate: pulumi.Input[str]
    private_key: pulumi.Input[str]


class EdgeGenerations(TypedDict):
    """Raise a number to renew what it names; each is 1 unless told."""

    origin_certificates: NotRequired[int]
    origin_pull_certificate: NotRequired[int]


class EdgeArgs(TypedDict):
    """Arguments of ``Edge``."""

    zone_id: pulumi.Input[str]
    account_id: pulumi.Input[str]
    zone: str
    """Name of the zone, such as ``example.com``."""
    plan: str
    """The zone's plan: ``free``, ``pro`` or ``business``."""
    active_region: str
    """The region that receives the traffic; a failover changes this value and nothing else."""
    origins: Mapping[str, Origin]
    """Public addresses of each region's ingress load balancer; only the active region's are published."""
    hostnames: Sequence[str]
    """Proxied names: ``@`` for the zone itself, ``*``, or names below it."""
    origin_pull_ca: OriginPullCa
    api_names: NotRequired[Mapping[str, Mapping[str, pulumi.Input[str]]]]
    """DNS-only names of the Kubernetes APIs: ``k8s-fsn1`` → (server number → public IPv4)."""
    custom_rules: NotRequired[Sequence[CustomRule]]
    rate_limits: NotRequired[Sequence[RateLimit]]
    managed_rulesets: NotRequired[Sequence[str]]
    """All that the plan has unless told."""
    ddos: NotRequired[DdosOverride]
    hsts_max_age: NotRequired[int]
    """Seconds; a year unless told."""
    origin: NotRequired[OriginKind]
    """``load_balancer`` unless told."""
    tunnel_service: NotRequired[pulumi.Input[str]]
    """Where ``cloudflared`` passes requests on; needed with ``origin: tunnel`` (see ``OriginTunnelArgs.service``)."""
    generations: NotRequired[EdgeGenerations]


class Edge(Component):
    """DNS, TLS, firewall rules and the origin's credentials of one zone.

    Names lead to the active region only once the zone's settings, rules and client certificate stand.

    Raises:
        ProblemsError: the configuration is wrong or beyond the plan; nothing has been registered then.
    """

    origin_certificates: Mapping[str, OriginCertificate]
    """By region."""
    origin_pull_ca: pulumi.Output[str]
    """PEM of the CA by which the ingress recognises Cloudflare acting for this zone."""
    tunnel_tokens: Mapping[str, pulumi.Output[str]]
    """By region (secret); empty with load balancers."""

    def __init__(self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_arguments("Edge", name, args, EdgeArgs)
        refuse(f"Edge {name!r}", check_edge(args))
        super().__init__("Edge", name, args, EdgeArgs, opts)
        settings = ZoneSettings(
            f"{name}-settings",
            {"zone_id": args["zone_id"], "hsts_max_age": args.get("hsts_max_age", HSTS_MAX_AGE)},
            self.child(),
        )
        firewall = WebFirewall(f"{name}-firewall", _firewall_args(args), self.child())
        pulls = self._origin_pulls(name, args)
        self.origin_certificates = {region: self._certificate(name, region, args) for region in args["origins"]}
        tunnels = {region: self._tunnel(name, region, args) for region in args["origins"]} if _tunnelled(args) else {}
        DnsRecords(
            f"{name}-dns",
            {"zone_id": args["zone_id"], "records": _records(args, tunnels), "after": [settings, firewall, pulls]},
            self.child(),
        )
        self.origin_pull_ca = pulumi.Output.from_input(args["origin_pull_ca"]["certificate"])
        self.tunnel_tokens = {region: tunnel.token for region, tunnel in tunnels.items()}
        self.register_outputs({"origin_pull_ca": self.origin_pull_ca})

    def _origin_pulls(self, name: str, args: EdgeArgs) -> OriginPulls:
        return OriginPulls(
            f"{name}-origin-pulls",
            {
                "zone_id": args["zone_id"],
                "zone": args["zone"],
                "ca_certificate": args["origin_pull_ca"]["certificate"],
                "ca_private_key": args["origin_pull_ca"]["private_key"],
                "generation": args.get("generations", {}).get("origin_pull_certificate", 1),
            },
            self.child(),
        )

    def _certificate(self, name: str, region: str, args: EdgeArgs) -> OriginCertificate:
        return OriginCertificate(
            f"{name}-origin-{region}",
            {
                "hostnames": certificate_hostnames(args["hostnames"], args["zone"]),
                "generation": args.get("generations", {}).get("origin_certificates", 1),
            },
            self.child(),
        )

    def _tunnel(self, name: str, region: str, args: EdgeArgs) -> OriginTunnel:
        return OriginTunnel(
            f"{name}-tunnel-{region}",
            {
                "account_id": args["account_id"],
                "zone": args["zone"],
                "region": region,
                "hostnames": [fully_qualified(hostname, args["zone"]) for hostname in args["hostnames"]],
                "service": args.get("tunnel_service", ""),
            },
            self.child(),
        )


def check_edge(args: EdgeArgs) -> list[Problem]:
    """Everything in ``args`` that Cloudflare would refuse; empty when it can be deployed."""
    api_names = args.get("api_names", {})
    active = args["origins"].get(args["active_region"], {})
    addresses = 1 if _tunnelled(args) else len(active)
    return [
        *check_names(args["hostnames"], args["zone"], list(api_names)),
        *_check_origin(args),
        *check_generations(args.get("generations", {}), list(EdgeGenerations.__annotations__)),
        *check_plan(
            args["plan"],
            custom_rules=args.get("custom_rules", ()),
            rate_limits=args.get("rate_limits", ()),
            managed_rulesets=args.get("managed_rulesets"),
            ddos=args.get("ddos"),
            dns_records=len(args["hostnames"]) * addresses + sum(len(servers) for servers in api_names.values()),
        ),
    ]


def _check_origin(args: EdgeArgs) -> list[Problem]:
    active = args["active_region"]
    kind = args.get("origin", "load_balancer")
    if active not in args["origins"]:
        known = ", ".join(args["origins"])
        return [Problem("active_region", active, "is no region of the platform", f"write one of {known}")]
    if kind not in ("load_balancer", "tunnel"):
        return [Problem("origin", kind, "is no kind of origin", "write load_balancer or tunnel")]
    if kind == "tunnel" and "tunnel_service" not in args:
        return [Problem("tunnel_service", None, "a tunnel needs a service to pass requests on to", "give its address")]
    if kind == "load_balancer" and not args["origins"][active]:
        return [Problem(f"origins.{active}", {}, "has no address to publish", "give ipv4, ipv6 or both")]
    return []


def _tunnelled(args: EdgeArgs) -> bool:
    return args.get("origin", "load_balancer") == "tunnel"


def _records(args: EdgeArgs, tunnels: Mapping[str, OriginTunnel]) -> list[Record]:
    zone, region, hostnames = args["zone"], args["active_region"], args["hostnames"]
    names = (
        tunnel_records(hostnames, zone, region, tunnels[region].hostname)
        if region in tunnels
        else load_balancer_records(hostnames, zone, region, args["origins"][region])
    )
    return [*names, *api_records(args.get("api_names", {}), zone)]


def _firewall_args(args: EdgeArgs) -> WebFirewallArgs:
    made: WebFirewallArgs = {
        "zone_id": args["zone_id"],
        "plan": args["plan"],
        "custom_rules": args.get("custom_rules", ()),
        "rate_limits": args.get("rate_limits", ()),
    }
    if "managed_rulesets" in args:
        made["managed_rulesets"] = args["managed_rulesets"]
    if "ddos" in args:
        made["ddos"] = args["ddos"]
    return made
