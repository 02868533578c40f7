"""Models of everything that people write: config/*.yaml and the stacks' own configuration.

Strict: no text becomes a number, no unknown key is passed over. Rules over several values stand in `checks`.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """Frozen, strict, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Name = Annotated[str, Field(min_length=1, max_length=63)]
Number = Annotated[int, Field(ge=1, le=254)]
BucketPrefix = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$")]


class Node(Model):
    """What a pool's machines are as Kubernetes nodes."""

    labels: dict[str, str] = {}
    """Node labels, beside ``hetzner-platform/pool``."""
    taints: list[str] = []
    """Node taints, ``key=value:Effect``. Pods tolerate the GPU machines' own alone, those of every machine aside."""


class MachineSettings(Node):
    """A pool of machines that we number."""

    nodes: str
    """Machine numbers, such as ``"1-2,4"``: suffix of each name and host part of each address."""
    generations: dict[Number, Annotated[int, Field(ge=1)]] = {}
    """By machine number; raising one replaces that machine alone."""


class CloudSettings(MachineSettings):
    """A pool of cloud servers of ours."""

    type: str
    """Hetzner server type."""
    fallback_types: list[str] = []
    """Types to think of when ``type`` cannot be had; they never switch anything."""
    types: dict[Number, str] = {}
    """By machine number: another type than the pool's."""
    unprotected: list[Number] = []
    """Machines whose protection is lifted, to be replaced next."""
    drained: list[Number] = []
    """Machines out of service: closed for new pods, their pods evicted."""


class Servers(CloudSettings):
    """The control plane: an odd number of machines."""


class GpuSharing(Model):
    """How pods share the GPUs of a pool; the same in all pools of a region."""

    pods_per_gpu: Annotated[int, Field(ge=1, le=32)] = 1
    """Pods that take turns on one GPU (time-slicing); they share its memory without a wall between them."""


class CloudPool(CloudSettings):
    """Agents on cloud servers."""

    kind: Literal["cloud"]
    gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs of each machine, for the day that Hetzner's cloud has a type with one."""
    gpu_sharing: GpuSharing = GpuSharing()


class RobotPool(MachineSettings):
    """Dedicated machines (rented in Robot) that join over a vSwitch."""

    kind: Literal["robot"]
    model: str
    """Model as in config/prices.yaml."""
    vswitch_id: Annotated[int, Field(ge=1)]
    """Number of the vSwitch in Robot."""
    vlan: Annotated[int, Field(ge=4000, le=4091)] = 4000
    """VLAN of the vSwitch."""
    gpu_sharing: GpuSharing = GpuSharing()


class AutoscaledPool(Node):
    """Agents that a cluster autoscaler makes and removes; none is installed yet, so there are none: docs/architecture.md."""

    kind: Literal["autoscaled"]
    type: str
    """Hetzner server type."""
    fallback_types: list[str] = []
    """Types to think of when ``type`` cannot be had."""
    min: Annotated[int, Field(ge=0)]
    """Fewest machines."""
    max: Annotated[int, Field(ge=1)]
    """Most machines."""


Pool = Annotated[CloudPool | RobotPool | AutoscaledPool, Field(discriminator="kind")]


class LoadBalancer(Model):
    """The region's ingress load balancer."""

    type: str = "lb11"
    """Load balancer type."""
    targets: str = "servers"
    """Which machines it passes traffic to: ``servers``, or the name of a cloud pool."""


class Region(Model):
    """One region of config/regions.yaml; its key is its cluster's name."""

    location: str
    """Hetzner location."""
    index: Annotated[int, Field(ge=1, le=9)]
    """Place in the address plan: region N owns 10.N.0.0/16."""
    servers: Servers
    pools: dict[Name, Pool] = {}
    """Agent pools by name."""
    load_balancer: LoadBalancer = LoadBalancer()
    routing: Literal["tunnel", "native"] = "tunnel"
    """How pods reach pods of other machines: in tunnels, or by routes of the Network, which dedicated machines cannot use."""
    restore_from: str | None = None
    """An etcd snapshot to start from, when all servers get a new generation in one deployment."""


SAFE_ADDRESS = r"^https://[^\s?#@]+$"


class Oidc(Model):
    """An OpenID Connect provider whose tokens the clusters' API takes: see docs/access.md."""

    issuer: Annotated[str, Field(pattern=SAFE_ADDRESS)]
    """Its address, exactly as in its tokens' ``iss``."""
    client_id: Annotated[str, Field(pattern=r"^\S+$")]
    """Whom its tokens are for (``aud``)."""
    username_claim: Annotated[str, Field(pattern=r"^\S+$")] = "email"
    """What names somebody in the audit log."""
    groups_claim: Annotated[str, Field(pattern=r"^\S+$")] = "groups"
    """The list of groups, which personas and tenants are given by the same names."""
    certificate_authority: Annotated[str, Field(pattern=r"-----BEGIN CERTIFICATE-----")] | None = None
    """PEM of who signed its certificate, where the servers' operating system does not know it."""


class Access(Model):
    """config/access.yaml."""

    ssh_keys: dict[Name, str]
    """Administrators' public keys by name."""
    oidc: Oidc | None = None
    """How people log in to the clusters; by certificates alone without it."""


class Checksums(Model):
    """SHA-256 by architecture, hexadecimal."""

    amd64: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    arm64: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class K3s(Model):
    """The k3s release that machines install."""

    version: Annotated[str, Field(pattern=r"^v\d+\.\d+\.\d+\+k3s\d+$")]
    sha256: Checksums


REPOSITORY = r"^(https|oci)://[^\s?#@]+$"
RELEASED = r"^v?\d+\.\d+\.\d+$"


class Chart(Model):
    """A Helm chart of somebody else's."""

    repository: Annotated[str, Field(pattern=REPOSITORY)]
    """Where it is: ``https://`` of a chart repository, or ``oci://`` of a registry."""
    version: Annotated[str, Field(pattern=RELEASED)]
    """A released version, pinned: no range, no channel."""


class Versions(Model):
    """config/versions.yaml."""

    image: str
    """Operating system image."""
    k3s: K3s
    charts: dict[Name, Chart] = {}
    """Charts by name."""


class ServerType(Model):
    """Size and price of a server type."""

    cores: int
    memory_gb: int
    disk_gb: int
    architecture: Literal["x86", "arm"]
    monthly: float
    """EUR a month, net, without the primary IPv4."""
    available: bool
    """Whether it could be ordered on the price table's date."""


class RobotModel(Model):
    """A dedicated machine."""

    cores: int
    memory_gb: int
    gpus: int = 0
    """How many GPUs it has."""
    gpu: str | None = None
    monthly: float
    """EUR a month, net."""
    setup: float
    """EUR once, net."""


class LoadBalancerType(Model):
    """Limits and price of a load balancer type."""

    services: int
    targets: int
    monthly: float
    """EUR a month, net."""


class ObjectStoragePrice(Model):
    """Price of object storage."""

    monthly: float
    """EUR a month for the first ``included_gb``, net."""
    included_gb: int
    per_gb: float
    """EUR for each further GB and month."""


class Traffic(Model):
    """Outgoing traffic."""

    included_tb_per_machine: int
    """TB a month that each server and load balancer may send."""
    per_tb: float
    """EUR for each further TB."""


class Drawing(Model):
    """What the architecture's drawing claimed."""

    monthly_eur: float
    aws_monthly_usd: float


class Prices(Model):
    """config/prices.yaml."""

    as_of: date
    source: str
    locations: list[str]
    server_types: dict[str, ServerType]
    robot_models: dict[str, RobotModel]
    load_balancer_types: dict[str, LoadBalancerType]
    primary_ipv4: float
    """EUR a month, net."""
    object_storage: ObjectStoragePrice
    traffic: Traffic
    drawing: Drawing


class Api(Model):
    """How people, the engine and CI reach a region's Kubernetes API."""

    endpoint: Literal["name", "address"] = "name"
    """``name``: ``k8s-<region>.<zone>`` over all servers. ``address``: the first server's, or ``connect_to``."""
    connect_to: str | None = None
    """With ``endpoint: address``: host or host:port to connect to instead; certificates are still checked by name."""
    ready_within: Annotated[int, Field(ge=1, le=7200)] = 900
    """Seconds that a new cluster may take to become ready."""
    ready_interval: Annotated[float, Field(ge=0.1, le=60)] = 5
    """Seconds between two looks at whether it is."""


class InternalCa(Model):
    """Generations of the region's internal root; how to renew it: docs/certificates.md."""

    generations: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] = [1]
    """Those that are trusted."""
    signs: Annotated[int, Field(ge=1)] = 1
    """The one that signs."""


class RegionalStack(Model):
    """``hetzner-platform:stack`` of a region's stack (prod, dr)."""

    region: str
    """A key of config/regions.yaml."""
    role: Literal["primary", "standby"]
    """Which of the two sites it is; a failover changes this value."""
    admin_cidrs: Annotated[list[str], Field(min_length=1)]
    """Where administrators come from: SSH and the Kubernetes API are open to these only."""
    protection: bool = True
    """Protect what must not be lost; false only to tear the stack down."""
    api: Api = Api()
    internal_ca: InternalCa = InternalCa()
    previous_mesh_anchor: str | None = None
    """PEM of the mesh's anchor before, while it is renewed: docs/mesh.md."""


class CustomRule(Model):
    """A custom WAF rule of the zone."""

    description: str
    expression: str
    action: str = "block"
    skip_phases: list[str] | None = None
    """With ``action: skip``: the phases that are passed over."""


class RateLimit(Model):
    """A rate limiting rule of the zone."""

    description: str
    expression: str
    requests: Annotated[int, Field(ge=1)]
    """Requests that one client may make in ``period``."""
    period: int
    """Seconds."""
    timeout: int
    """Seconds that the action lasts."""
    action: str = "block"
    count_by: str | None = None
    """``ip`` unless told; ``visitor`` on the business plan."""


class Ddos(Model):
    """Override of the HTTP DDoS protection."""

    action: str | None = None
    sensitivity_level: str | None = None


class Cloudflare(Model):
    """The zone in front of all regions."""

    plan: Literal["free", "pro", "business"]
    account_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    zone_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    origin: Literal["load_balancer", "tunnel"] = "load_balancer"
    """How requests reach the active region."""
    hostnames: Annotated[list[str], Field(min_length=1)]
    """Names below the zone that lead to the active region: ``@`` is the zone itself, ``*`` everything else."""
    custom_rules: list[CustomRule] = []
    rate_limits: list[RateLimit] = []
    ddos: Ddos | None = None


class ObjectStorage(Model):
    """The buckets of backups."""

    location: str = "hel1"
    """Location of the buckets: not one of a region's, so that backups outlive it."""
    prefix: BucketPrefix
    """Begins the names of all buckets; they are unique over all customers."""
    project_id: Annotated[int, Field(ge=1)]
    """Number of the Hetzner project that owns the buckets; bucket policies name it."""
    administrator_access_key_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{16,32}$")]
    """Id (never the secret) of the access key that makes the buckets and keeps every right."""
    site_access_key_ids: dict[str, Annotated[str, Field(pattern=r"^[A-Z0-9]{16,32}$")]]
    """Id (never the secret) of each region's access key; policies narrow it to that site's part."""
    retention_days: Annotated[int, Field(ge=1, le=365)] = 30
    """Days that a backup cannot be deleted."""


class SharedStack(Model):
    """``hetzner-platform:stack`` of the stack ``shared``."""

    zone: Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$")]
    """The DNS zone."""
    active_region: str
    """The region that receives the traffic; a failover changes this value."""
    protection: bool = True
    """Protect what must not be lost; false only to tear the stack down."""
    cloudflare: Cloudflare
    object_storage: ObjectStorage
    secret_generations: dict[str, Annotated[int, Field(ge=1)]] = {}
    """By the name of a shared secret: raising one renews that secret alone."""
