"""Rules over several values: each finds everything that is wrong, names the key, and says what to write instead."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

from components.certificates import InternalCa
from components.certificates import check as check_authority
from components.cluster import cloud_init, user_data
from components.cluster.machines import SERVERS, Machine
from components.edge import check_names, check_plan
from components.naming import InvalidNameError, check_name, machine_name
from components.network import AddressError, AddressPlan, Subnet, parse_numbers
from components.network.addresses import (
    MACHINES_PER_SUBNET,
    NETWORK_ATTACHMENTS,
    NETWORK_SUBNETS,
    claimed_twice,
    lowest_number,
    overlapping,
    spread_group,
)
from components.network.firewall import MAX_CIDRS
from components.problem import Problem
from components.secrets import SHARED_SECRETS, check_generations

from .edge import EDGE_GENERATIONS, api_label, custom_rule, ddos_override, rate_limit
from .models import (
    AutoscaledPool,
    CloudPool,
    CloudSettings,
    MachineSettings,
    Prices,
    Region,
    RegionalStack,
    RobotPool,
    SharedStack,
    Versions,
)
from .nodes import gpu_shares, node, repelling_taints
from .problems import unknown
from .settings import Settings, Sibling

Problems = Iterator[Problem]

PLACEMENT_GROUPS = 50
"""Placement groups in a Hetzner project (docs.hetzner.com, Placement Groups)."""

LOAD_BALANCERS_PER_REGION = 2

_AUTOSCALER_SUFFIX = 17
"""Characters that the autoscaler puts behind its group's name."""

_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_TAINT = re.compile(rf"{_LABEL_KEY.pattern}(=({_LABEL_VALUE.pattern}))?:(NoSchedule|PreferNoSchedule|NoExecute)")
_SSH_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-\S+) [A-Za-z0-9+/]+={0,3}( .*)?")


def check_regions(settings: Settings) -> Problems:
    """Each region by itself, and all of them together."""
    for name, region in settings.regions.items():
        yield from _region(name, region, settings)
    yield from _indices(settings.regions)
    yield from _attachments(settings.regions)
    yield from _projectwide(settings.regions)


def check_access(settings: Settings) -> Problems:
    """SSH keys: well-formed, and each once (a Hetzner project takes a key once)."""
    seen: dict[str, str] = {}
    if not settings.access.ssh_keys:
        yield Problem("ssh_keys", None, "is empty: nobody could reach a machine", "add at least one public key")
    for name, key in settings.access.ssh_keys.items():
        if "PRIVATE KEY" in key:
            yield Problem(
                f"ssh_keys.{name}", None, "is a private key", "write the public one (the file ending in .pub)"
            )
        elif not _SSH_KEY.fullmatch(key):
            yield Problem(
                f"ssh_keys.{name}", None, "is no SSH public key", "write a line such as: ssh-ed25519 AAAA... name"
            )
        else:
            body = key.split()[1]
            if body in seen:
                problem = f"is the same key as ssh_keys.{seen[body]}: a Hetzner project takes each key once"
                yield Problem(f"ssh_keys.{name}", None, problem, "remove one of the two")
            seen.setdefault(body, name)


def check_regional(stack: str, block: RegionalStack, settings: Settings, siblings: list[Sibling]) -> Problems:
    """A region's stack."""
    key = "hetzner-platform:stack"
    if not settings.names(block.region):
        yield unknown(f"{key}.region", block.region, settings.regions, "region of config/regions.yaml")
    yield from _admin_cidrs(f"{key}.admin_cidrs", block.admin_cidrs)
    for sibling in siblings:
        if sibling.stack != stack and sibling.region == block.region:
            problem = f"is the region of {sibling.file} too: two stacks would fight over its machines"
            yield Problem(f"{key}.region", block.region, problem, "give each stack a region of its own")
    internal: InternalCa = {"generations": block.internal_ca.generations, "signs": block.internal_ca.signs}
    for problem in check_authority(internal, None):
        yield Problem(f"{key}.{problem.key}", problem.value, problem.problem, problem.remedy)
    anchor = block.previous_mesh_anchor
    if anchor is not None and "BEGIN CERTIFICATE" not in anchor:
        remedy = "write the certificate that `pulumi stack output` of shared showed before its generation was raised"
        yield Problem(f"{key}.previous_mesh_anchor", None, "is no certificate", remedy)
    if block.api.connect_to is not None and block.api.endpoint == "name":
        yield Problem(
            f"{key}.api.connect_to",
            block.api.connect_to,
            "has no effect with endpoint: name",
            "write endpoint: address, or take it out",
        )


def check_shared(block: SharedStack, settings: Settings) -> Problems:
    """The stack ``shared``."""
    key = "hetzner-platform:stack"
    if not settings.names(block.active_region):
        yield unknown(f"{key}.active_region", block.active_region, settings.regions, "region of config/regions.yaml")
    storage = block.object_storage
    if storage.location not in settings.prices.locations:
        yield unknown(f"{key}.object_storage.location", storage.location, settings.prices.locations, "location")
    for region in settings.regions:
        if region not in storage.site_access_key_ids:
            yield Problem(
                f"{key}.object_storage.site_access_key_ids",
                None,
                f"names no key for the region {region}",
                f"make an access key for it in Hetzner's console and write {region}: <its id>",
            )
    renewable = [*SHARED_SECRETS, *EDGE_GENERATIONS]
    for problem in check_generations(block.secret_generations, renewable):
        name = problem.key.removeprefix("generations.")
        yield Problem(f"{key}.secret_generations.{name}", problem.value, problem.problem, problem.remedy)
    yield from _edge(f"{key}.cloudflare", block, settings)
    for site in storage.site_access_key_ids:
        if not settings.names(site):
            yield unknown(f"{key}.object_storage.site_access_key_ids", site, settings.regions, "region")


def _edge(key: str, block: SharedStack, settings: Settings) -> Problems:
    edge = block.cloudflare
    servers = sum(len(numbers(region.servers)) for region in settings.regions.values())
    # IPv4 and IPv6 of the active region a name, or one CNAME to its tunnel.
    records = len(edge.hostnames) * (2 if edge.origin == "load_balancer" else 1) + servers
    found = [
        *check_names(edge.hostnames, block.zone, [api_label(name) for name in settings.regions]),
        *check_plan(
            edge.plan,
            custom_rules=[custom_rule(rule) for rule in edge.custom_rules],
            rate_limits=[rate_limit(rule) for rule in edge.rate_limits],
            ddos=ddos_override(edge.ddos),
            dns_records=records,
        ),
    ]
    for problem in found:
        yield Problem(f"{key}.{problem.key}", problem.value, problem.problem, problem.remedy)


def numbers(settings: MachineSettings) -> tuple[int, ...]:
    """Machine numbers of a pool, or none where its list is wrong (which `check_regions` reports)."""
    try:
        return parse_numbers(settings.nodes)
    except AddressError:
        return ()


def machines(pool: str, settings: CloudSettings) -> list[Machine]:
    """The machines of a pool of cloud servers, in the order of their numbers."""
    return [
        Machine(
            pool,
            number,
            settings.types.get(number, settings.type),
            settings.generations.get(number, 1),
            number in settings.unprotected,
            number in settings.drained,
        )
        for number in numbers(settings)
    ]


def _region(name: str, region: Region, settings: Settings) -> Problems:
    yield from _name(name, name, "a region's name begins the names of its machines")
    if region.location not in settings.prices.locations:
        yield unknown(f"{name}.location", region.location, settings.prices.locations, "location of config/prices.yaml")
    servers = region.servers
    yield from _pool(name, f"{name}.servers", SERVERS, servers, Subnet.SERVERS, settings.prices)
    count = len(numbers(servers))
    if count and count % 2 == 0:
        problem = f"{count} servers: an even number survives no more failures than one less, and can split in halves"
        yield Problem(f"{name}.servers.nodes", servers.nodes, problem, 'use an odd number of servers, such as "1-3"')
    for pool_name, pool in region.pools.items():
        key = f"{name}.pools.{pool_name}"
        yield from _name(key, pool_name, "a pool's name stands in the names of its machines")
        if pool_name in (SERVERS, "servers"):
            yield Problem(key, None, "is the control plane's name", "call the pool otherwise")
        if isinstance(pool, AutoscaledPool):
            yield from _autoscaled(name, key, pool_name, pool, settings.prices)
        else:
            subnet = Subnet.VSWITCH if isinstance(pool, RobotPool) else Subnet.AGENTS
            yield from _pool(name, key, pool_name, pool, subnet, settings.prices)
    yield from _claims(name, region)
    yield from _routing(name, region)
    yield from _gpu_sharing(name, region, settings.prices)
    yield from _load_balancer(name, region, settings.prices)
    yield from _user_data(name, region, settings.versions, settings.prices)


def _pool(region: str, key: str, pool_name: str, pool: MachineSettings, subnet: Subnet, prices: Prices) -> Problems:
    try:
        parsed = parse_numbers(pool.nodes)
    except AddressError as error:
        yield Problem(f"{key}.nodes", pool.nodes, str(error), 'write machine numbers such as "1-2,4"')
        parsed = ()
    lowest = lowest_number(subnet)
    for number in parsed:
        if not lowest <= number <= MACHINES_PER_SUBNET:
            problem = (
                f"number {number} lies outside its subnet, which has addresses for {lowest} to {MACHINES_PER_SUBNET}"
            )
            yield Problem(f"{key}.nodes", pool.nodes, problem, f"use numbers from {lowest} to {MACHINES_PER_SUBNET}")
    yield from _per_machine(key, pool, parsed)
    yield from _node(key, pool.labels, pool.taints)
    for number in parsed:
        try:
            machine_name(region, pool_name, number, pool.generations.get(number, 1))
        except InvalidNameError as error:
            yield Problem(
                key,
                pool_name,
                f"a machine's name would be wrong: {error}",
                "use a shorter name of letters, digits and '-'",
            )
            break
    if isinstance(pool, RobotPool):
        if pool.model not in prices.robot_models:
            yield unknown(f"{key}.model", pool.model, prices.robot_models, "model of config/prices.yaml")
    elif isinstance(pool, CloudSettings):
        yield from _types(key, pool.type, pool.fallback_types, pool.types, prices)


def _per_machine(key: str, pool: MachineSettings, parsed: tuple[int, ...]) -> Problems:
    settings: dict[str, list[int]] = {"generations": list(pool.generations)}
    if isinstance(pool, CloudSettings):
        settings |= {"types": list(pool.types), "unprotected": pool.unprotected, "drained": pool.drained}
    for setting, named in settings.items():
        for number in sorted(set(named) - set(parsed)):
            problem = f"names machine {number}, which {key}.nodes does not"
            yield Problem(f"{key}.{setting}", number, problem, f"take {number} out, or add it to nodes")


def _types(key: str, type_: str, fallbacks: list[str], by_machine: Mapping[int, str], prices: Prices) -> Problems:
    known = prices.server_types
    named = {f"{key}.type": type_, **{f"{key}.types.{number}": each for number, each in by_machine.items()}}
    named |= {f"{key}.fallback_types[{position}]": each for position, each in enumerate(fallbacks)}
    for where, each in named.items():
        if each not in known:
            yield unknown(where, each, known, "server type of config/prices.yaml")
    if type_ not in known:
        return
    architecture = known[type_].architecture
    for where, each in named.items():
        if each in known and known[each].architecture != architecture:
            problem = f"has the architecture {known[each].architecture}, the pool's type {type_} has {architecture}"
            same = [name for name, other in known.items() if other.architecture == architecture]
            yield Problem(where, each, problem, f"choose one of {', '.join(same)}")


def _autoscaled(region: str, key: str, pool_name: str, pool: AutoscaledPool, prices: Prices) -> Problems:
    yield from _types(key, pool.type, pool.fallback_types, {}, prices)
    yield from _node(key, pool.labels, pool.taints)
    if pool.min > pool.max:
        yield Problem(f"{key}.min", pool.min, f"is more than max ({pool.max})", "lower min or raise max")
    if pool.max > MACHINES_PER_SUBNET:
        problem = f"is more than the subnet of autoscaled machines holds ({MACHINES_PER_SUBNET})"
        yield Problem(f"{key}.max", pool.max, problem, "lower max")
    group = f"{region}-{pool_name}"
    if len(group) + _AUTOSCALER_SUFFIX > 63:
        problem = f"the autoscaler would make names of {len(group) + _AUTOSCALER_SUFFIX} characters from {group!r}, 63 are allowed"
        yield Problem(key, pool_name, problem, "use a shorter name")


def _node(key: str, labels: Mapping[str, str], taints: list[str]) -> Problems:
    for label, value in labels.items():
        if not _LABEL_KEY.fullmatch(label):
            yield Problem(
                f"{key}.labels",
                label,
                "is no Kubernetes label key",
                "write [prefix/]name, name of at most 63 characters",
            )
        if not _LABEL_VALUE.fullmatch(value):
            problem = "is no Kubernetes label value"
            yield Problem(f"{key}.labels.{label}", value, problem, "use at most 63 letters, digits, '-', '_' and '.'")
    for taint in taints:
        if not _TAINT.fullmatch(taint):
            problem = "is no taint"
            yield Problem(
                f"{key}.taints", taint, problem, 'write key=value:Effect, such as "nvidia.com/gpu=present:NoSchedule"'
            )


def _claims(name: str, region: Region) -> Problems:
    """Two pools must not claim one number of the same subnet."""
    for kind, subnet in ((CloudPool, "agents"), (RobotPool, "vswitch")):
        claims = {pool: numbers(each) for pool, each in region.pools.items() if isinstance(each, kind)}
        for number, pools in claimed_twice(claims).items():
            problem = f"number {number} of the subnet {subnet!r} is claimed by the pools {' and '.join(pools)}"
            key = f"{name}.pools.{pools[-1]}.nodes"
            yield Problem(key, number, problem, "give each machine of these pools a number of its own")
    vswitches = {pool: each.vswitch_id for pool, each in region.pools.items() if isinstance(each, RobotPool)}
    if len(set(vswitches.values())) > 1:
        key = f"{name}.pools.{list(vswitches)[-1]}.vswitch_id"
        yield Problem(
            key,
            vswitches[list(vswitches)[-1]],
            "is another vSwitch than that of the region's other pools",
            "use one vSwitch in a region",
        )


def _routing(name: str, region: Region) -> Problems:
    robots = [pool for pool, each in region.pools.items() if isinstance(each, RobotPool)]
    if region.routing == "native" and robots:
        problem = f"the pool {robots[0]} is of kind robot, whose machines the Network's routes do not reach"
        yield Problem(f"{name}.routing", region.routing, problem, "write routing: tunnel, or take the pool out")


def _gpu_sharing(name: str, region: Region, prices: Prices) -> Problems:
    """One device plugin serves all GPUs of a cluster."""
    shares = gpu_shares(region, prices)
    for pool, share in shares.items():
        first = next(iter(shares))
        if share != shares[first]:
            problem = f"differs from {first}'s ({shares[first]}): the GPUs of a region are shared alike"
            yield Problem(f"{name}.pools.{pool}.gpu_sharing.pods_per_gpu", share, problem, "write the same in both")


def _load_balancer(name: str, region: Region, prices: Prices) -> Problems:
    key = f"{name}.load_balancer"
    balancer = region.load_balancer
    if balancer.type not in prices.load_balancer_types:
        yield unknown(
            f"{key}.type", balancer.type, prices.load_balancer_types, "load balancer type of config/prices.yaml"
        )
        return
    targets: MachineSettings | None = region.servers
    if balancer.targets != "servers":
        chosen = region.pools.get(balancer.targets)
        targets = chosen if isinstance(chosen, CloudPool) else None
    if targets is None:
        pools = ["servers", *(pool for pool, each in region.pools.items() if isinstance(each, CloudPool))]
        yield unknown(f"{key}.targets", balancer.targets, pools, "pool of cloud servers")
        return
    pool = SERVERS if targets is region.servers else balancer.targets
    for taint in repelling_taints(region, pool, targets, prices):
        problem = f"are machines with the taint {taint}, which keeps the ingress controller off: nothing would answer"
        remedy = "choose other machines, or take the taint out"
        yield Problem(f"{key}.targets", balancer.targets, problem, remedy)
    limit = prices.load_balancer_types[balancer.type].targets
    count = len(numbers(targets))
    if count > limit:
        problem = f"takes {limit} targets; {balancer.targets} has {count} machines"
        yield Problem(f"{key}.type", balancer.type, problem, "choose a larger type, or targets with fewer machines")


def _user_data(name: str, region: Region, versions: Versions, prices: Prices) -> Problems:
    """Sizes with placeholders of the greatest length: the secrets are not known before the first deployment."""
    release = cloud_init.Release(versions.k3s.version, versions.k3s.sha256.amd64, versions.k3s.sha256.arm64)

    def pool(pool_name: str, labels: Mapping[str, str], taints: list[str]) -> user_data.Pool:
        address = AddressPlan(region.index).api_load_balancer
        return user_data.Pool(name, region.index, release, address, labels, taints, pool_name)

    servers = region.servers
    known = [number for number in numbers(servers) if number <= MACHINES_PER_SUBNET and number > 0]
    attempts: dict[str, Callable[[], object]] = {}
    if known:
        first = Machine(SERVERS, known[0], servers.type)
        # Addresses and names beside the servers' own, at their longest.
        names = ["x" * 63 + ".example.com", *("255.255.255.255" for _ in range(3 + 2 * len(known)))]
        attempts[f"{name}.servers"] = lambda: user_data.server(
            pool(SERVERS, servers.labels, servers.taints),
            first,
            known,
            names,
            user_data.PLACEHOLDERS,
            initialized=False,
            restore_from="s" * 128,
        )
    for pool_name, each in region.pools.items():
        if isinstance(each, RobotPool):
            continue
        own = node(region, pool_name, each, prices)
        settings = pool(pool_name, own.get("labels", {}), own.get("taints", []))
        key = f"{name}.pools.{pool_name}"
        if isinstance(each, AutoscaledPool):
            attempts[key] = lambda settings=settings: user_data.autoscaled(settings, user_data.PLACEHOLDERS)
            continue
        # The longest name and address; in the pool's highest generation.
        for machine in sorted(machines(pool_name, each), key=lambda one: (one.generation, one.number))[-1:]:
            attempts[key] = lambda settings=settings, machine=machine: user_data.agent(
                settings, machine, user_data.PLACEHOLDERS
            )
    for key, attempt in attempts.items():
        try:
            attempt()
        except cloud_init.UserDataError as error:
            yield Problem(f"{key}.labels", None, str(error), "shorten labels and taints")
        except (InvalidNameError, AddressError):
            continue  # reported where the name and the number stand


def _indices(regions: Mapping[str, Region]) -> Problems:
    by_index: dict[int, list[str]] = {}
    for name, region in regions.items():
        by_index.setdefault(region.index, []).append(name)
    for index, names in by_index.items():
        for name in names[1:]:
            problem = f"is the index of {names[0]} too: their subnets would overlap"
            free = next(candidate for candidate in range(1, len(regions) + 2) if candidate not in by_index)
            yield Problem(f"{name}.index", index, problem, f"use another one, such as {free}")
    ranges: dict[str, IPv4Network] = {}
    for name, region in regions.items():
        plan = AddressPlan(region.index)
        ranges |= {f"{name} machines": plan.region, f"{name} pods": plan.pods, f"{name} services": plan.services}
    for first, second in overlapping(ranges):
        (one, _, kind), (other, _, other_kind) = first.rpartition(" "), second.rpartition(" ")
        if kind != other_kind or regions[one].index != regions[other].index:
            problem = f"the addresses of {first} and {second} overlap"
            yield Problem(f"{other}.index", None, problem, "use other indices")


def _attachments(regions: Mapping[str, Region]) -> Problems:
    by_region: dict[str, int] = {}
    for name, region in regions.items():
        count = len(numbers(region.servers)) + LOAD_BALANCERS_PER_REGION
        for pool in region.pools.values():
            if isinstance(pool, AutoscaledPool):
                count += pool.max
            elif isinstance(pool, CloudPool):
                count += len(numbers(pool))
        by_region[name] = count
    total = sum(by_region.values())
    if total > NETWORK_ATTACHMENTS:
        largest = max(by_region, key=lambda name: by_region[name])
        shares = ", ".join(f"{name} {count}" for name, count in by_region.items())
        problem = (
            f"{total} machines and load balancers over all regions ({shares}); the Network takes {NETWORK_ATTACHMENTS}"
        )
        yield Problem(f"{largest}.pools", None, problem, "fewer machines, or a lower max of the autoscaled pools")


def _projectwide(regions: Mapping[str, Region]) -> Problems:
    groups = 0
    subnets = 1
    for region in regions.values():
        pools: list[MachineSettings] = [region.servers, *(p for p in region.pools.values() if isinstance(p, CloudPool))]
        groups += sum(len({spread_group(number) for number in numbers(pool)}) for pool in pools)
        subnets += 4 + any(isinstance(pool, RobotPool) for pool in region.pools.values())
    if groups > PLACEMENT_GROUPS:
        problem = f"the machines need {groups} placement groups; a project has {PLACEMENT_GROUPS}"
        yield Problem(
            "(all regions).pools", None, problem, "use fewer pools, or numbers closer together (ten share a group)"
        )
    if subnets > NETWORK_SUBNETS:
        yield Problem("(all regions)", None, f"{subnets} subnets; a Network has {NETWORK_SUBNETS}", "use fewer regions")


def _admin_cidrs(key: str, cidrs: list[str]) -> Problems:
    example = "write your own, such as 203.0.113.0/24"
    networks: dict[int, list[Any]] = {4: [], 6: []}
    for position, cidr in enumerate(cidrs):
        try:
            network = ipaddress.ip_network(cidr)
        except ValueError as error:
            yield Problem(f"{key}[{position}]", cidr, f"is no network: {error}", example)
            continue
        if network.prefixlen == 0:
            problem = "opens SSH and the Kubernetes API to everybody"
            yield Problem(f"{key}[{position}]", cidr, problem, example)
            continue
        networks[network.version].append(network)
    for version, each in networks.items():
        if any(merged.prefixlen == 0 for merged in ipaddress.collapse_addresses(each)):
            yield Problem(key, None, f"taken together these are every IPv{version} address", example)
    if len(cidrs) > MAX_CIDRS:
        problem = f"{len(cidrs)} networks; a firewall rule takes {MAX_CIDRS}"
        yield Problem(key, None, problem, "merge neighbouring networks")


def _name(key: str, name: str, why: str) -> Problems:
    try:
        check_name(name)
    except InvalidNameError as error:
        yield Problem(key, name, f"{error}; {why}", "rename it")
