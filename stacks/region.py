"""The stack of a region (prod, dr): network, cluster, pools and load balancers. Role and addresses come from config."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_hcloud as hcloud
import pulumi_kubernetes as kubernetes

from components.cluster import (
    SERVERS,
    AgentPool,
    AutoscaledPool,
    Deployed,
    EtcdSnapshots,
    K3sCluster,
    K3sClusterArgs,
    MachineArgs,
    ReleaseArgs,
    RobotPool,
    cluster_mtu,
    look_up,
)
from components.cluster.renewal import refusals, restores
from components.cluster.snapshots import EtcdSnapshotsArgs, s3_settings
from components.load_balancer import ApiLoadBalancer, IngressLoadBalancer
from components.naming import CLUSTER_LABEL, selector
from components.network import AddressPlan, RegionNetwork, RegionNetworkArgs, Subnet
from components.problem import Problem

from . import availability
from .budget import region_budget, table, warn_of_budget
from .checks import machines, numbers
from .cost import region_cost
from .edge import api_label
from .layers import Layers, Secrets
from .models import AutoscaledPool as AutoscaledModel
from .models import CloudPool, CloudSettings, Prices, Region, RegionalStack, Versions
from .models import RobotPool as RobotModel
from .nodes import node
from .outputs import SharedOutputs
from .problems import ConfigProblem, ConfigurationError
from .settings import REGIONS_FILE, Settings


@dataclass
class _Region:
    """What the parts of a region need of each other."""

    name: str
    region: Region
    block: RegionalStack
    settings: Settings
    shared: SharedOutputs
    opts: pulumi.ResourceOptions

    @property
    def plan(self) -> AddressPlan:
        """The region's addresses."""
        return AddressPlan(self.region.index)


def build(
    block: RegionalStack,
    settings: Settings,
    providers: list[pulumi.ProviderResource],
    secrets: Secrets,
) -> Mapping[str, object]:
    """Compose the stack; returns what it exports."""
    name = block.region
    region = settings.regions[name]
    provider = next(each for each in providers if each.package == "hcloud")
    lookup = pulumi.InvokeOptions(provider=provider)
    # Before anything is registered: what must not be changed in this deployment is refused first.
    refuse_renewals(name, region, look_up(name, lookup))
    warn_of_types(name, region, settings.prices, lookup)
    own = _Region(name, region, block, settings, SharedOutputs(name), pulumi.ResourceOptions(providers=providers))
    warn_of_role(own)

    network = _network(own)
    _load_balancers(own)
    snapshots = _snapshot_store(own, secrets.backup_secret_key)
    cluster = _cluster(own, network, snapshots)
    api = kubernetes.Provider(
        f"{name}-kubernetes",
        kubeconfig=cluster.kubeconfig,
        # Without it, a kubeconfig that is not known yet would replace everything in the cluster.
        cluster_identifier=name,
        opts=pulumi.ResourceOptions(depends_on=[cluster.ready_resource]),
    )
    inside = pulumi.ResourceOptions(providers=[*providers, api])
    EtcdSnapshots(f"{name}-etcd-snapshots", snapshots, inside, gate=cluster.gate)
    pools = _pools(own, network, cluster)
    requests = region_budget(name, settings)
    for warning in warn_of_budget(requests):
        pulumi.log.warn(warning)
    Layers(name, block, settings, own.shared, secrets, inside).build(cluster)
    cost = region_cost(region, settings.prices)
    return {
        "region": name,
        "role": block.role,
        "kubeconfig": cluster.kubeconfig,
        "kubeconfig_expires": cluster.kubeconfig_expires,
        "mtu": _mtu(region),
        **pools,
        "addresses": address_plan(region),
        "requests": table(requests),
        "monthly_eur": cost.monthly,
    }


def refuse_renewals(name: str, region: Region, deployed: Deployed) -> None:
    """Refuse what a deployment must not do to the machines that run.

    Raises:
        ConfigurationError: with every refusal, each with the key to change.
    """
    wanted = [*machines(SERVERS, region.servers)]
    for pool, settings in region.pools.items():
        if isinstance(settings, CloudPool):
            wanted += machines(pool, settings)
    restoring = restores(wanted, deployed, region.restore_from)
    problems: list[ConfigProblem] = []
    for refusal in refusals(wanted, deployed, restoring=restoring):
        pool, _, number = refusal.machine.rpartition("-")
        key = f"{name}.servers" if pool == SERVERS else f"{name}.pools.{pool}"
        setting = refusal.setting if refusal.setting == "nodes" else f"{refusal.setting}.{number}"
        problem = Problem(f"{key}.{setting}", refusal.value, refusal.problem, refusal.remedy)
        problems.append(ConfigProblem(REGIONS_FILE, problem))
    if problems:
        raise ConfigurationError(problems)


def warn_of_types(name: str, region: Region, prices: Prices, lookup: pulumi.InvokeOptions) -> None:
    """Say which server types cannot be ordered any more, and what to change to."""
    offers = {
        (each.name, location.name): availability.Offer(
            location.available, location.is_deprecated, location.unavailable_after or ""
        )
        for each in hcloud.get_server_types(opts=lookup).server_types
        for location in each.locations
    }
    for warning in availability.warnings(name, region, offers, prices):
        pulumi.log.warn(warning)


def warn_of_role(own: _Region) -> None:
    """Say when the region's role and the active region of the edge disagree: a failover passes through that state."""

    def compare(active: str) -> None:
        if (active == own.name) != (own.block.role == "primary"):
            pulumi.log.warn(
                f"{own.name} is {own.block.role}, but the active region of `shared` is {active}. "
                "That is right only in the middle of a failover."
            )

    own.shared.active_region().apply(compare)


def address_plan(region: Region) -> Mapping[str, object]:
    """Every address of the region that is known before anything exists."""
    plan = AddressPlan(region.index)
    return {
        "ingress_load_balancer": str(plan.ingress_load_balancer),
        "api_load_balancer": str(plan.api_load_balancer),
        "subnets": {
            use.value: str(plan.subnet(use)) for use in Subnet if use is not Subnet.VSWITCH or _vswitch(region)
        },
        "pods": str(plan.pods),
        "services": str(plan.services),
        "servers": {str(number): str(plan.machine(Subnet.SERVERS, number)) for number in numbers(region.servers)},
        "pools": {
            name: {
                str(number): str(
                    plan.machine(Subnet.VSWITCH if isinstance(pool, RobotModel) else Subnet.AGENTS, number)
                )
                for number in numbers(pool)
            }
            for name, pool in region.pools.items()
            if not isinstance(pool, AutoscaledModel)
        },
    }


def _network(own: _Region) -> RegionNetwork:
    region = own.region
    spread = {SERVERS: list(numbers(region.servers))}
    spread |= {name: list(numbers(pool)) for name, pool in region.pools.items() if isinstance(pool, CloudPool)}
    args: RegionNetworkArgs = {
        "cluster": own.name,
        "index": region.index,
        "network_id": own.shared.network("id"),
        "admin_cidrs": own.block.admin_cidrs,
        "spread": spread,
    }
    vswitch = _vswitch(region)
    if vswitch is not None:
        args["vswitch_id"] = vswitch
    return RegionNetwork(f"{own.name}-network", args, own.opts)


def _load_balancers(own: _Region) -> None:
    balancer = own.region.load_balancer
    pool = SERVERS if balancer.targets == "servers" else balancer.targets
    IngressLoadBalancer(
        f"{own.name}-ingress",
        {
            "cluster": own.name,
            "location": own.region.location,
            "subnet_id": own.shared.network("dmz_subnet_id"),
            "private_ip": str(own.plan.ingress_load_balancer),
            "target_selector": selector({CLUSTER_LABEL: own.name, "pool": pool}),
            "ipv4_id": own.shared.ingress("ipv4_id"),
            "ipv6_id": own.shared.ingress("ipv6_id"),
            "type": balancer.type,
        },
        own.opts,
    )
    ApiLoadBalancer(
        f"{own.name}-api",
        {
            "cluster": own.name,
            "location": own.region.location,
            "subnet_id": own.shared.network("dmz_subnet_id"),
            "private_ip": str(own.plan.api_load_balancer),
            "target_selector": selector({CLUSTER_LABEL: own.name, "pool": SERVERS}),
        },
        own.opts,
    )


def _snapshot_store(own: _Region, backup_secret: pulumi.Output[str]) -> EtcdSnapshotsArgs:
    return {
        "endpoint": own.shared.object_storage("endpoint"),
        "region": own.shared.object_storage("region"),
        "bucket": own.shared.object_storage("etcd_bucket"),
        "folder": own.name,
        "access_key": own.shared.site_access_key_id(),
        "secret_key": backup_secret,
    }


def _cluster(own: _Region, network: RegionNetwork, snapshots: EtcdSnapshotsArgs) -> K3sCluster:
    servers = own.region.servers
    wanted = machines(SERVERS, servers)
    reserved = {str(machine.number): own.shared.server_address(machine.number) for machine in wanted}
    api_name = own.shared.zone().apply(lambda zone: f"{api_label(own.name)}.{zone}")
    args: K3sClusterArgs = {
        "cluster": own.name,
        "index": own.region.index,
        "location": own.region.location,
        "image": own.settings.versions.image,
        "release": _release(own.settings.versions),
        "machines": _machine_args(SERVERS, servers),
        "reserved_addresses": reserved,
        "subnet_id": network.servers_subnet_id,
        "firewall_id": network.servers_firewall_id,
        "placement_group_ids": network.placement_groups(SERVERS),
        "ssh_key_ids": own.shared.ssh_key_ids(),
        "api_name": api_name,
        "labels": servers.labels,
        "taints": servers.taints,
        "ready_within": own.block.api.ready_within,
        "ready_interval": own.block.api.ready_interval,
        "protection": own.block.protection,
    }
    if own.block.api.endpoint == "address":
        # Not the address of a machine that is about to go.
        steady = next((machine for machine in wanted if not machine.unprotected), wanted[0])
        args["connect_to"] = own.block.api.connect_to or reserved[str(steady.number)]["address"]
    provider = own.settings.access.oidc
    if provider is not None:
        args["oidc"] = {
            "issuer": provider.issuer,
            "client_id": provider.client_id,
            "username_claim": provider.username_claim,
            "groups_claim": provider.groups_claim,
        }
        if provider.certificate_authority is not None:
            args["oidc"]["certificate_authority"] = provider.certificate_authority
    if own.region.restore_from is not None:
        args["restore_from"] = own.region.restore_from
        args["restore_s3"] = pulumi.Output.secret(pulumi.Output.all(**s3_settings(snapshots)))
    return K3sCluster(own.name, args, own.opts)


def _pools(own: _Region, network: RegionNetwork, cluster: K3sCluster) -> Mapping[str, object]:
    """The agent pools; returns what joining machines that are not ours need (secret)."""
    bundles: dict[str, object] = {}
    groups: dict[str, object] = {}
    configs: dict[str, object] = {}
    for name, pool in own.region.pools.items():
        component = f"{own.name}-{name}"
        own_node = node(own.region, name, pool, own.settings.prices)
        if isinstance(pool, CloudPool):
            AgentPool(
                component,
                {
                    "pool": name,
                    "join": cluster.join,
                    "machines": _machine_args(name, pool),
                    "location": own.region.location,
                    "image": own.settings.versions.image,
                    "subnet_id": network.agents_subnet_id,
                    "firewall_id": network.agents_firewall_id,
                    "placement_group_ids": network.placement_groups(name),
                    "ssh_key_ids": own.shared.ssh_key_ids(),
                    "node": own_node,
                },
                own.opts,
                hooks=cluster.agent_hooks,
            )
        elif isinstance(pool, RobotModel):
            robot = RobotPool(
                component,
                {
                    "pool": name,
                    "join": cluster.join,
                    "machines": [
                        {"number": number, "type": pool.model, "generation": pool.generations.get(number, 1)}
                        for number in numbers(pool)
                    ],
                    "admin_cidrs": own.block.admin_cidrs,
                    "vlan": pool.vlan,
                    "node": own_node,
                },
                own.opts,
            )
            bundles[name] = robot.join_bundles
        else:
            autoscaled = AutoscaledPool(
                component,
                {
                    "pool": name,
                    "join": cluster.join,
                    "type": pool.type,
                    "location": own.region.location,
                    "min": pool.min,
                    "max": pool.max,
                    "node": own_node,
                },
                own.opts,
            )
            groups[name] = autoscaled.node_group
            configs[name] = autoscaled.node_config
    return {"join_bundles": bundles, "autoscaled_groups": groups, "autoscaled_configs": configs}


def _machine_args(pool: str, settings: CloudSettings) -> list[MachineArgs]:
    return [
        {
            "number": machine.number,
            "type": machine.type,
            "generation": machine.generation,
            "unprotected": machine.unprotected,
            "drained": machine.drained,
        }
        for machine in machines(pool, settings)
    ]


def _release(versions: Versions) -> ReleaseArgs:
    k3s = versions.k3s
    return {"version": k3s.version, "sha256_amd64": k3s.sha256.amd64, "sha256_arm64": k3s.sha256.arm64}


def _vswitch(region: Region) -> int | None:
    return next((pool.vswitch_id for pool in region.pools.values() if isinstance(pool, RobotModel)), None)


def _mtu(region: Region) -> int:
    return cluster_mtu(with_robot=_vswitch(region) is not None)
