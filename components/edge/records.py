"""The DNS records of the zone: which there are, under which names, from plain data alone."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

import pulumi

from ..problem import Problem

AUTOMATIC_TTL = 1
"""Cloudflare answers proxied names itself and forces this value."""
API_TTL = 300
"""Seconds for DNS-only records; the least below Enterprise is 60."""
MAX_HOSTNAME = 253

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Origin(TypedDict):
    """Public addresses of a region's ingress load balancer."""

    ipv4: NotRequired[pulumi.Input[str]]
    ipv6: NotRequired[pulumi.Input[str]]


@dataclass(frozen=True)
class Record:
    """One DNS record."""

    key: str
    """Stable part of the logical name: neither region, nor position, nor content."""
    name: str
    """Fully qualified, as Cloudflare gives it back."""
    type: Literal["A", "AAAA", "CNAME"]
    content: pulumi.Input[str]
    proxied: bool
    ttl: int
    comment: str
    """At most 100 characters, the limit of the free plan."""


def fully_qualified(hostname: str, zone: str) -> str:
    """``@`` is the zone itself, ``www`` and ``*`` stand below it; a name within the zone stays as it is."""
    if hostname in ("@", zone):
        return zone
    return hostname if hostname.endswith(f".{zone}") else f"{hostname}.{zone}"


def record_key(name: str) -> str:
    """Part of a logical name for a fully qualified name; ``_any`` cannot be a host's label, so nothing collides."""
    return name.replace("*", "_any")


def load_balancer_records(hostnames: Sequence[str], zone: str, region: str, origin: Origin) -> list[Record]:
    """Proxied A and AAAA records of every hostname; a failover changes their content and nothing else."""
    records: list[Record] = []
    comment = f"Ingress load balancer of {region}"
    for name in (fully_qualified(hostname, zone) for hostname in hostnames):
        key = record_key(name)
        if "ipv4" in origin:
            records.append(Record(key, name, "A", origin["ipv4"], proxied=True, ttl=AUTOMATIC_TTL, comment=comment))
        if "ipv6" in origin:
            ipv6_key = f"{key}-ipv6"
            records.append(
                Record(ipv6_key, name, "AAAA", origin["ipv6"], proxied=True, ttl=AUTOMATIC_TTL, comment=comment)
            )
    return records


def tunnel_records(hostnames: Sequence[str], zone: str, region: str, target: pulumi.Input[str]) -> list[Record]:
    """Proxied CNAME records of every hostname to the region's tunnel, ``<tunnel id>.cfargotunnel.com``."""
    return [
        Record(record_key(name), name, "CNAME", target, proxied=True, ttl=AUTOMATIC_TTL, comment=f"Tunnel of {region}")
        for name in (fully_qualified(hostname, zone) for hostname in hostnames)
    ]


def api_records(api_names: Mapping[str, Mapping[str, pulumi.Input[str]]], zone: str) -> list[Record]:
    """DNS-only A records of the Kubernetes APIs: name → (machine number → address).

    Cloudflare's proxy does not carry port 6443 with client certificates, so these show the servers' own addresses.
    """
    return [
        Record(
            key=f"{record_key(name)}-{number}",
            name=name,
            type="A",
            content=address,
            proxied=False,
            ttl=API_TTL,
            comment=f"Kubernetes API, server {number}",
        )
        for name, addresses in ((fully_qualified(api, zone), addresses) for api, addresses in api_names.items())
        for number, address in addresses.items()
    ]


def check_names(hostnames: Sequence[str], zone: str, api_names: Sequence[str] = ()) -> list[Problem]:
    """Names that DNS or Cloudflare would refuse, and names that stand twice; keys ``zone``, ``hostnames[i]`` …."""
    problems: list[Problem] = []
    if "." not in zone or not all(_LABEL.fullmatch(label) for label in zone.split(".")):
        problems.append(Problem("zone", zone, "is no domain name", "write the zone's name, such as example.com"))
    if not hostnames:
        problems.append(Problem("hostnames", [], "no name would lead to the platform", 'write ["@", "*"]'))
    seen: dict[str, str] = {}
    for key, hostname in _named(hostnames, api_names):
        name = fully_qualified(hostname, zone)
        problems += _check_name(key, hostname, name, wildcard=key.startswith("hostnames"))
        if name in seen:
            problems.append(Problem(key, hostname, f"is the name of {seen[name]} as well", "remove one of the two"))
        seen.setdefault(name, key)
    return problems


def _named(hostnames: Sequence[str], api_names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for index, hostname in enumerate(hostnames):
        yield f"hostnames[{index}]", hostname
    for name in api_names:
        yield f"api_names.{name}", name


def _check_name(key: str, hostname: str, name: str, *, wildcard: bool) -> Iterator[Problem]:
    labels = name.split(".")
    if labels[0] == "*" and wildcard:
        labels = labels[1:]
    if not all(_LABEL.fullmatch(label) for label in labels):
        remedy = "write lower-case letters, digits and '-', each label at most 63 characters" + (
            ", '*' only as the whole first label" if wildcard else ""
        )
        yield Problem(key, hostname, "is no host name of the zone", remedy)
    if len(name) > MAX_HOSTNAME:
        yield Problem(key, hostname, f"has {len(name)} characters with its zone", f"at most {MAX_HOSTNAME} are allowed")


def certificate_hostnames(hostnames: Sequence[str], zone: str) -> list[str]:
    """Names of an origin certificate: the zone, its wildcard, and whatever stands deeper than the wildcard reaches."""
    wanted = (fully_qualified(hostname, zone) for hostname in hostnames)
    deeper = {name for name in wanted if name.removesuffix(f".{zone}").count(".") and name != zone}
    return [zone, f"*.{zone}", *sorted(deeper)]
