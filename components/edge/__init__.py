"""The Cloudflare edge: DNS, TLS, firewall rules, and what lets the origin recognise Cloudflare.

The components load on first use: importing Cloudflare's SDK takes two seconds, and checking a configuration needs none
of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .plans import Plan, Plans, check_plan, find_plan, load_plans
from .records import Origin, Record, api_records, check_names, load_balancer_records, tunnel_records
from .rules import CustomRule, DdosOverride, RateLimit

if TYPE_CHECKING:
    from .dns_records import DnsRecords, DnsRecordsArgs
    from .edge import Edge, EdgeArgs, EdgeGenerations, OriginKind, OriginPullCa, check_edge
    from .origin_certificate import OriginCertificate, OriginCertificateArgs
    from .origin_pulls import OriginPulls, OriginPullsArgs
    from .origin_tunnel import OriginTunnel, OriginTunnelArgs
    from .web_firewall import WebFirewall, WebFirewallArgs
    from .zone_settings import ZoneSettings, ZoneSettingsArgs

__all__ = [
    "CustomRule",
    "DdosOverride",
    "DnsRecords",
    "DnsRecordsArgs",
    "Edge",
    "EdgeArgs",
    "EdgeGenerations",
    "Origin",
    "OriginCertificate",
    "OriginCertificateArgs",
    "OriginKind",
    "OriginPullCa",
    "OriginPulls",
    "OriginPullsArgs",
    "OriginTunnel",
    "OriginTunnelArgs",
    "Plan",
    "Plans",
    "RateLimit",
    "Record",
    "WebFirewall",
    "WebFirewallArgs",
    "ZoneSettings",
    "ZoneSettingsArgs",
    "api_records",
    "check_edge",
    "check_names",
    "check_plan",
    "find_plan",
    "load_balancer_records",
    "load_plans",
    "tunnel_records",
]

_MODULES = {
    "DnsRecords": "dns_records",
    "DnsRecordsArgs": "dns_records",
    "Edge": "edge",
    "EdgeArgs": "edge",
    "EdgeGenerations": "edge",
    "OriginCertificate": "origin_certificate",
    "OriginCertificateArgs": "origin_certificate",
    "OriginKind": "edge",
    "OriginPullCa": "edge",
    "OriginPulls": "origin_pulls",
    "OriginPullsArgs": "origin_pulls",
    "OriginTunnel": "origin_tunnel",
    "OriginTunnelArgs": "origin_tunnel",
    "WebFirewall": "web_firewall",
    "WebFirewallArgs": "web_firewall",
    "ZoneSettings": "zone_settings",
    "ZoneSettingsArgs": "zone_settings",
    "check_edge": "edge",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
