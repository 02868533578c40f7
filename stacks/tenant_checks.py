"""Rules over config/tenants.yaml: names, hosts, sources, quotas."""

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from components.layer import mebibytes, millicores
from components.naming import InvalidNameError, check_name
from components.policy import EXEMPT_NAMESPACES, reserved_group
from components.problem import Problem
from components.tenancy import LONGEST_TENANT

from .tenant_models import Quota, Tenant, TenantEnvironment, TenantSettings

Problems = Iterator[Problem]

RESERVED = frozenset(EXEMPT_NAMESPACES) | {"default", "keda"}
"""Namespaces of the platform, and what would be taken for one. Whatever begins with ``kube-`` is Kubernetes' own."""

LONGEST_BUCKET = 63
"""Characters of a bucket's name (docs.aws.amazon.com, Amazon S3 bucket naming rules)."""

_BUCKET = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_HOST = re.compile(r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]{2,}")
_GROUP = re.compile(r"\S(.*\S)?")


@dataclass(frozen=True)
class Offer:
    """What a region's machines have left for tenants."""

    cpu: int
    """Millicores, GPU machines included."""
    memory: int
    """MiB, GPU machines included."""


def check_tenants(
    settings: TenantSettings, sources: Sequence[str], gpus: Mapping[str, int], unreadable: Collection[str] = ()
) -> Problems:
    """Each tenant by itself, and all of them together.

    Args:
        settings: config/tenants.yaml.
        sources: ``source_repositories`` of config/platform.yaml.
        gpus: How many each region's machines offer.
        unreadable: Regions whose block is wrong: that is told already.
    """
    for name, tenant in settings.tenants.items():
        yield from _name(name)
        if not _LABEL_VALUE.fullmatch(tenant.owner):
            problem = "is no label: letters, digits, '-', '_' and '.', at most 63"
            yield Problem(f"{name}.owner", tenant.owner, problem, "write a team's name such as team-orders")
        yield from _groups(name, tenant)
        for index, repository in enumerate(tenant.repositories):
            if not any(_is_below(repository, allowed) for allowed in sources):
                problem = "is outside the sources that config/platform.yaml allows"
                remedy = f"use one of {', '.join(sources)}, or add it to source_repositories there"
                yield Problem(f"{name}.repositories[{index}]", repository, problem, remedy)
        yield from _twice(f"{name}.repositories", tenant.repositories)
        yield from _twice(f"{name}.reaches", tenant.reaches)
        for environment, block in tenant.environments.items():
            key = f"{name}.environments.{environment}"
            yield from _quota(f"{key}.quota", block.quota, gpus, unreadable)
            yield from _buckets(key, name, environment, block)
            yield from _twice(f"{key}.hosts", block.hosts)
    yield from _hosts_twice(settings.tenants)


def check_hosts(settings: TenantSettings, zone: str, covered: Collection[str], apis: Collection[str]) -> Problems:
    """Hosts against the zone, which the stack ``shared`` alone knows.

    Args:
        settings: config/tenants.yaml.
        zone: The DNS zone.
        covered: ``cloudflare.hostnames``: ``@`` is the zone itself, ``*`` every name below it.
        apis: Labels of the regions' Kubernetes APIs below the zone.
    """
    for key, host in _hosts(settings.tenants):
        label = "@" if host == zone else host.removesuffix(f".{zone}")
        if label == host:
            problem = f"is outside the zone {zone}"
            yield Problem(key, host, problem, f"write a name such as orders.{zone}")
        elif "." in label:
            problem = "is two labels below the zone: the zone's certificate covers one"
            yield Problem(key, host, problem, f"write {label.replace('.', '-')}.{zone}")
        elif label in apis:
            problem = "is the name of a region's Kubernetes API"
            yield Problem(key, host, problem, f"write another, such as {label}-docs.{zone}")
        elif label not in covered and ("*" not in covered or label == "@"):
            problem = "leads nowhere: cloudflare.hostnames of Pulumi.shared.yaml does not cover it"
            yield Problem(key, host, problem, f'add "{label}" there, or "*"')


def check_quotas(settings: TenantSettings, region: str, offer: Offer) -> Problems:
    """No single quota is above what a region's machines have.

    Args:
        settings: config/tenants.yaml.
        region: The region's name.
        offer: What it has left for tenants.
    """
    for key, quota in _quotas(settings.tenants):
        for what, wanted, had, unit in (
            ("cpu", _figure(millicores, quota.cpu), offer.cpu, "m"),
            ("memory", _figure(mebibytes, quota.memory), offer.memory, "Mi"),
        ):
            if wanted is not None and wanted > had:
                problem = f"is above what {region} has for all tenants together, {had}{unit}"
                remedy = f"write at most {had}{unit}, or let a pool of {region} grow in config/regions.yaml"
                yield Problem(f"{key}.{what}", getattr(quota, what), problem, remedy)


def _name(name: str) -> Problems:
    if name in RESERVED or name.startswith("kube-"):
        yield Problem(name, None, "is a name of the platform's own", "call the tenant otherwise")
        return
    try:
        check_name(name)
    except InvalidNameError as error:
        yield Problem(name, None, str(error), "use a DNS label such as orders")
        return
    if name[0].isdigit():
        yield Problem(name, None, "begins with a digit: services are named after it", "begin with a letter")
    if len(name) > LONGEST_TENANT:
        problem = (
            f"has {len(name)} characters; with -production behind it a namespace's name has room for {LONGEST_TENANT}"
        )
        yield Problem(name, None, problem, "use a shorter name")


def _groups(name: str, tenant: Tenant) -> Problems:
    roles = {"admin": tenant.groups.admin, "developer": tenant.groups.developer, "viewer": tenant.groups.viewer}
    for role, groups in roles.items():
        for index, group in enumerate(groups):
            key = f"{name}.groups.{role}[{index}]"
            if not _GROUP.fullmatch(group):
                yield Problem(key, group, "is no group's name", "write it as the identity provider does")
            elif reserved_group(group):
                problem = "is one of Kubernetes' own or the platform's groups: they mean more than their members"
                yield Problem(key, group, problem, "write a group of the identity provider")
        yield from _twice(f"{name}.groups.{role}", groups)


def _quota(key: str, quota: Quota, offered: Mapping[str, int], unreadable: Collection[str]) -> Problems:
    for what, read, example in (
        ("cpu", millicores, "2 or 500m"),
        ("memory", mebibytes, "4Gi"),
        ("storage", mebibytes, "20Gi"),
    ):
        text = getattr(quota, what)
        figure = _figure(read, text)
        if figure is None:
            yield Problem(f"{key}.{what}", text, "is no quantity", f"write it as Kubernetes does: {example}")
        elif figure == 0 and what != "storage":
            yield Problem(f"{key}.{what}", text, "is nothing: no pod could run", f"write for example {example}")
    for region, count in quota.gpus.items():
        # Of a file without any region nobody knows anything.
        if region in unreadable or not offered:
            continue
        if region not in offered:
            yield Problem(f"{key}.gpus.{region}", count, "is no region", f"known: {', '.join(offered)}")
        elif count and not offered[region]:
            problem = f"the region {region} has no machine with a GPU"
            yield Problem(
                f"{key}.gpus.{region}", count, problem, "add a GPU pool to config/regions.yaml, or take it out"
            )
        elif count > offered[region]:
            problem = f"is above what {region} has for all tenants together, {offered[region]}"
            yield Problem(
                f"{key}.gpus.{region}", count, problem, "write less, or let a GPU pool grow in config/regions.yaml"
            )


def _buckets(key: str, tenant: str, environment: str, block: TenantEnvironment) -> Problems:
    for bucket, settings in block.buckets.items():
        whole = f"{tenant}-{environment}-{bucket}"
        if not _BUCKET.fullmatch(bucket):
            problem = "is no bucket's name: lower-case letters, digits and '-'"
            yield Problem(f"{key}.buckets.{bucket}", None, problem, "write a name such as uploads")
        elif len(whole) > LONGEST_BUCKET:
            problem = (
                f"becomes {whole}, which has {len(whole)} characters; a bucket's name has at most {LONGEST_BUCKET}"
            )
            yield Problem(f"{key}.buckets.{bucket}", None, problem, "use a shorter name")
        if settings.public:
            problem = "would show everybody what is in it; buckets of the platform are private"
            remedy = "take it out, and let a service of yours hand out what may be seen, or signed addresses"
            yield Problem(f"{key}.buckets.{bucket}.public", value=True, problem=problem, remedy=remedy)


def _hosts(tenants: Mapping[str, Tenant]) -> Iterator[tuple[str, str]]:
    for name, tenant in tenants.items():
        for environment, block in tenant.environments.items():
            for index, host in enumerate(block.hosts):
                yield f"{name}.environments.{environment}.hosts[{index}]", host


def _hosts_twice(tenants: Mapping[str, Tenant]) -> Problems:
    seen: dict[str, str] = {}
    for key, host in _hosts(tenants):
        place = key.rpartition(".")[0]
        if not _HOST.fullmatch(host) or _is_address(host):
            yield Problem(key, host, "is no host name", "write it in lower case, such as orders.example.com")
        elif seen.setdefault(host, place) != place:
            yield Problem(key, host, f"is a host of {seen[host]} too", "let one of the two have it")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_below(repository: str, allowed: str) -> bool:
    """Whether an address is the allowed one, or lies below it where that ends with ``/*``; dots lead nowhere else."""
    if any(part in (".", "..") for part in repository.split("/")) or re.search(r"[\s%?#@\\]", repository):
        return False
    if allowed.endswith("/*"):
        prefix = allowed.removesuffix("*")
        return repository.startswith(prefix) and len(repository) > len(prefix)
    return repository == allowed


def _twice(key: str, values: Iterable[str]) -> Problems:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield Problem(f"{key}[{index}]", value, "stands there twice", "take one of the two out")
        seen.add(value)


def _quotas(tenants: Mapping[str, Tenant]) -> Iterator[tuple[str, Quota]]:
    for name, tenant in tenants.items():
        for environment, block in tenant.environments.items():
            yield f"{name}.environments.{environment}.quota", block.quota


def _figure(read: Callable[[object], int], text: str) -> int | None:
    """A quantity read; None for what is none, which is told elsewhere."""
    try:
        return read(text)
    except ValueError:
        return None
