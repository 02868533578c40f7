"""What runs in a region's cluster: the layers in their order, each waiting for the one below."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.certificates import Certificates, CertificatesArgs
from components.cluster import K3sCluster, cluster_mtu
from components.cluster_network import ClusterNetwork, ClusterNetworkArgs
from components.gpu import Gpu
from components.ingress import Ingress, IngressArgs
from components.layer import ChartPin, Layer
from components.mesh import Mesh, MeshArgs
from components.metrics import Metrics
from components.network import AddressPlan
from components.policy import Policy
from components.secrets import SealKey, SecretStores, SecretStoresArgs
from components.storage import BlockStorage, ObjectStore, ObjectStoreArgs
from components.tenancy import Tenants, TenantsArgs, namespace_of, platform_flows

from .checks import numbers
from .models import CloudPool, Region, RegionalStack, RobotPool
from .nodes import gpu_shares
from .outputs import SharedOutputs
from .settings import Settings
from .stack_secrets import ACME_TOKEN, AWS_CREDENTIALS, OBJECT_STORE_CREDENTIALS, ROBOT_PASSWORD, ROBOT_USER
from .tenants import authentication_port, namespaces, object_store_buckets, tenant_args

CLOUD_SECRET = "hcloud"  # noqa: S105  a Secret's name
"""In kube-system: how the cloud controller and the volumes' driver reach Hetzner's API."""


@dataclass(frozen=True)
class Secrets:
    """Secrets of the stack's own configuration, by key; `stack_secrets` says which there are."""

    hcloud_token: pulumi.Output[str]
    backup_secret_key: pulumi.Output[str]
    others: Mapping[str, pulumi.Output[str]]
    previous_seal_key: pulumi.Output[str] | None = None
    """The vault's seal key of the generation before, while it is renewed."""

    def document(self, key: str, namespace: str, field: str) -> pulumi.Output[str]:
        """One text of a secret that is JSON by namespace; `stack_secrets` has refused any other."""

        def pick(text: str) -> str:
            return str(json.loads(text)[namespace][field])

        return pulumi.Output.secret(self.others[key].apply(pick))


@dataclass
class Layers:
    """The layers of one region, being composed."""

    name: str
    block: RegionalStack
    settings: Settings
    shared: SharedOutputs
    secrets: Secrets
    opts: pulumi.ResourceOptions

    @property
    def region(self) -> Region:
        """Its block of config/regions.yaml."""
        return self.settings.regions[self.name]

    @property
    def plan(self) -> AddressPlan:
        """Its addresses."""
        return AddressPlan(self.region.index)

    @property
    def charts(self) -> dict[str, ChartPin]:
        """Pins by chart."""
        pinned = self.settings.versions.charts
        return {name: {"repository": chart.repository, "version": chart.version} for name, chart in pinned.items()}

    def build(self, cluster: K3sCluster) -> list[Layer]:
        """Compose the layers; returns them from the bottom up."""
        network = self._network(cluster)
        metrics = Metrics(f"{self.name}-metrics", {"charts": self.charts}, self.opts, after=network.ready_resources)
        volumes = self._block_storage(metrics)
        certificates = self._certificates(volumes)
        stores = self._secret_stores(certificates)
        mesh = self._mesh(stores)
        ingress = self._ingress(mesh)
        objects = self._object_store(ingress)
        layers: list[Layer] = [network, metrics, volumes, certificates, stores, mesh, ingress, objects]
        if gpu_shares(self.region, self.settings.prices):
            # Nothing waits for GPUs: a machine whose driver is not there yet must not keep tenants waiting.
            layers.append(self._gpu(objects))
        policy = self._policy(objects)
        return [*layers, policy, self._tenants(stores, objects, policy)]

    def _network(self, cluster: K3sCluster) -> ClusterNetwork:
        region = self.region
        robots = any(isinstance(pool, RobotPool) for pool in region.pools.values())
        agents = sum(len(numbers(pool)) for pool in region.pools.values() if isinstance(pool, CloudPool))
        args: ClusterNetworkArgs = {
            "cluster": self.name,
            "index": region.index,
            "mtu": cluster_mtu(with_robot=robots),
            "nodes": len(numbers(region.servers)) + agents,
            "kubeconfig": cluster.kubeconfig,
            "hcloud_token": self.secrets.hcloud_token,
            "network_id": self.shared.network("id"),
            "charts": self.charts,
            "routing": region.routing,
            "ready_within": self.block.api.ready_within,
            "ready_interval": self.block.api.ready_interval,
        }
        if robots:
            args["robot_user"] = self.secrets.others[ROBOT_USER]
            args["robot_password"] = self.secrets.others[ROBOT_PASSWORD]
        return ClusterNetwork(f"{self.name}-network", args, self.opts, after=[cluster.ready_resource])

    def _block_storage(self, below: Layer) -> BlockStorage:
        location = self.shared.object_storage("region")
        return BlockStorage(
            f"{self.name}-block-storage",
            {
                "cluster": self.name,
                "location": self.region.location,
                "token_secret": CLOUD_SECRET,
                "charts": self.charts,
                "backup": {
                    "bucket": self.shared.object_storage("volumes_bucket"),
                    "region": location,
                    "endpoint": pulumi.Output.concat("https://", self.shared.object_storage("endpoint")),
                    "access_key": self.shared.site_access_key_id(),
                    "secret_key": self.secrets.backup_secret_key,
                },
                "protection": self.block.protection,
            },
            self.opts,
            after=below.ready_resources,
        )

    def _certificates(self, below: Layer) -> Certificates:
        internal = self.block.internal_ca
        args: CertificatesArgs = {
            "cluster": self.name,
            "charts": self.charts,
            "internal_ca": {"generations": internal.generations, "signs": internal.signs},
        }
        acme = self.settings.platform.acme
        if acme is not None:
            args["acme"] = {
                "email": acme.email,
                "directory": acme.directory,
                "zone": self.shared.zone(),
                "token": self.secrets.others[ACME_TOKEN],
            }
        return Certificates(f"{self.name}-certificates", args, self.opts, after=below.ready_resources)

    def _secret_stores(self, certificates: Certificates) -> SecretStores:
        secrets = self.settings.platform.secrets
        args: SecretStoresArgs = {"charts": self.charts, "engine": secrets.engine}
        if secrets.engine != "aws" and secrets.address is None:
            args["authority"] = certificates.roots
        if secrets.address is not None:
            args["address"] = secrets.address
        if secrets.engine == "openbao":
            seal: SealKey = {
                "key": self.shared.secret("vault_seal_key"),
                "generation": self.shared.secret_generation("vault_seal_key"),
            }
            if self.secrets.previous_seal_key is not None:
                seal["previous"] = self.secrets.previous_seal_key
            args["seal"] = seal
        if secrets.engine == "aws" and secrets.aws is not None:
            args["aws"] = {
                "region": secrets.aws.region,
                "prefix": secrets.aws.prefix,
                "credentials": {
                    namespace: {
                        "access_key_id": self.secrets.document(AWS_CREDENTIALS, namespace, "access_key_id"),
                        "secret_access_key": self.secrets.document(AWS_CREDENTIALS, namespace, "secret_access_key"),
                    }
                    for namespace in namespaces(self.settings.tenants.tenants)
                },
            }
        groups = [group for each in self.settings.tenants.tenants.values() for group in each.groups.admin]
        if groups:
            args["writers"] = sorted(set(groups))
        return SecretStores(f"{self.name}-secrets", args, self.opts, after=certificates.ready_resources)

    def _mesh(self, below: Layer) -> Mesh:
        args: MeshArgs = {
            "region": self.name,
            "charts": self.charts,
            "anchor": self.shared.secret("mesh_trust_anchor", "certificate"),
            "anchor_key": self.shared.secret("mesh_trust_anchor", "private_key"),
        }
        if self.block.previous_mesh_anchor is not None:
            args["previous_anchor"] = self.block.previous_mesh_anchor
        return Mesh(f"{self.name}-mesh", args, self.opts, after=below.ready_resources)

    def _ingress(self, below: Layer) -> Ingress:
        limits = self.settings.platform.ingress
        args: IngressArgs = {
            "chart": self.charts["traefik"],
            "targets": self.region.load_balancer.targets,
            "load_balancer_ip": str(self.plan.ingress_load_balancer),
            "origin_certificate": self.shared.origin_certificate("certificate"),
            "origin_private_key": self.shared.origin_certificate("private_key"),
            "origin_pull_ca": self.shared.origin_pull_ca(),
            "requests_per_second": limits.requests_per_second,
            "burst": limits.burst,
            "body_mb": limits.body_mb,
        }
        if limits.authentication is not None:
            args["forward_authentication"] = {"address": limits.authentication}
        return Ingress(f"{self.name}-ingress-controller", args, self.opts, after=below.ready_resources)

    def _object_store(self, below: Layer) -> ObjectStore:
        store = self.settings.platform.object_store
        wanted = object_store_buckets(self.settings.tenants.tenants)
        args: ObjectStoreArgs = {
            "kind": store.kind,
            "tenants": wanted,
            "charts": self.charts,
            "volume_gb": store.volume_gb,
        }
        if store.kind == "hetzner" and store.endpoint is not None and store.location is not None:
            args["hetzner"] = {
                "endpoint": store.endpoint,
                "location": store.location,
                "prefix": store.prefix or "",
                "keys": {
                    each.name: {
                        "access_key": self.secrets.document(OBJECT_STORE_CREDENTIALS, each.name, "access_key"),
                        "secret_key": self.secrets.document(OBJECT_STORE_CREDENTIALS, each.name, "secret_key"),
                    }
                    for each in wanted
                },
            }
        return ObjectStore(f"{self.name}-object-store", args, self.opts, after=below.ready_resources)

    def _gpu(self, below: Layer) -> Gpu:
        sharing = gpu_shares(self.region, self.settings.prices).values()
        return Gpu(
            f"{self.name}-gpu",
            {"charts": self.charts, "time_slicing": max(sharing)},
            self.opts,
            after=below.ready_resources,
        )

    def _policy(self, below: Layer) -> Policy:
        platform = self.settings.platform
        return Policy(
            f"{self.name}-policy",
            {
                "charts": self.charts,
                "enforcement": platform.policy.regions.get(self.name, platform.policy.enforcement),
                "overrides": platform.policy.overrides,
                "registries": platform.image_registries,
                "personas": platform.personas,
            },
            self.opts,
            after=below.ready_resources,
        )

    def _tenants(self, stores: SecretStores, objects: ObjectStore, below: Layer) -> Tenants:
        authentication = self.settings.platform.ingress.authentication
        made = [
            tenant_args(
                name,
                tenant,
                environment,
                block,
                region=self.name,
                plan=self.plan,
                engine=stores.engine,
                object_store=objects.consumer_flow,
                object_store_secret=objects.credentials.get(namespace_of(name, environment)),
                authentication=authentication,
                protection=self.block.protection,
            )
            for name, tenant in self.settings.tenants.tenants.items()
            for environment, block in tenant.environments.items()
        ]
        args: TenantsArgs = {"tenants": made, "platform_flows": platform_flows(authentication_port(authentication))}
        return Tenants(f"{self.name}-tenants", args, self.opts, after=below.ready_resources)
