"""Models of config/platform.yaml: what runs in every region's cluster, and by which rules."""

from typing import Annotated, Literal

from pydantic import Field

from .models import SAFE_ADDRESS, BucketPrefix, Model, Name

Enforcement = Literal["dryrun", "warn", "deny"]
ADDRESS = r"^https?://[^\s?#@]+$"
REGISTRY = r"^[a-z0-9.-]+(:\d+)?(/[a-z0-9._/-]+)?/$"
EMAIL = r"^[^@\s]+@[^@\s]+\.[a-z]+$"

Address = Annotated[str, Field(pattern=ADDRESS)]
SafeAddress = Annotated[str, Field(pattern=SAFE_ADDRESS)]
Registry = Annotated[str, Field(pattern=REGISTRY)]
Groups = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class Aws(Model):
    """AWS Secrets Manager, for ``engine: aws``; its credentials are a secret of each region's stack."""

    region: str
    """AWS region, such as ``eu-central-1``."""
    prefix: str = "hetzner-platform/"
    """Begins the name of every secret there; the IAM policies are confined to it."""


class SecretsEngine(Model):
    """Where tenants' secrets are kept."""

    engine: Literal["openbao", "vault", "aws"] = "openbao"
    """``openbao`` runs in the cluster and unseals itself; ``vault`` is unsealed by hand; ``aws`` is AWS Secrets Manager."""
    address: SafeAddress | None = None
    """With ``vault``: where one answers that is there already; without it, one is installed."""
    aws: Aws | None = None


class ClusterObjectStore(Model):
    """The S3-compatible object store of tenants' services. Backups are elsewhere: config of the stack ``shared``."""

    kind: Literal["silo", "seaweedfs", "hetzner"] = "silo"
    """``silo`` (MinIO-compatible) and ``seaweedfs`` run in the cluster; ``hetzner`` is Hetzner's object storage."""
    volume_gb: Annotated[int, Field(ge=10, le=10000)] = 50
    """Size of each of its volumes, GB; Hetzner's volumes begin at 10."""
    endpoint: SafeAddress | None = None
    """With ``hetzner``: ``https://<location>.your-objectstorage.com``."""
    location: str | None = None
    """With ``hetzner``: the buckets' location."""
    prefix: BucketPrefix | None = None
    """With ``hetzner``: begins the buckets' names, which are unique over all its customers; nothing unless told."""


class Acme(Model):
    """Certificates from a public authority, by DNS records in Cloudflare."""

    email: Annotated[str, Field(pattern=EMAIL)]
    """Whom the authority writes to before certificates end."""
    directory: SafeAddress = "https://acme-v02.api.letsencrypt.org/directory"
    """The authority's ACME directory."""


class Ingress(Model):
    """What every request passes before it reaches a service."""

    requests_per_second: Annotated[int, Field(ge=1)] = 100
    """Of one client and one ingress pod, on average."""
    burst: Annotated[int, Field(ge=1)] = 200
    """Of one client at once."""
    body_mb: Annotated[int, Field(ge=1, le=500)] = 10
    """Largest request body, MiB (Cloudflare passes 100 MB on the free and pro plans)."""
    authentication: Address | None = None
    """Who is asked about requests of authenticated routes; without it such routes cannot be deployed."""


class Policy(Model):
    """Constraints on what tenants run. Those that keep tenants apart are always enforced."""

    enforcement: Enforcement = "dryrun"
    """``dryrun`` records, ``warn`` tells, ``deny`` refuses."""
    regions: dict[Name, Enforcement] = {}
    """By region, where it differs."""
    overrides: dict[str, Enforcement] = {}
    """By constraint, where it differs."""


class Platform(Model):
    """config/platform.yaml."""

    secrets: SecretsEngine = SecretsEngine()
    object_store: ClusterObjectStore = ClusterObjectStore()
    acme: Acme | None = None
    ingress: Ingress = Ingress()
    policy: Policy = Policy()
    image_registries: Annotated[list[Registry], Field(min_length=1)]
    """Where tenants' images may come from: prefixes that end with '/'."""
    source_repositories: Annotated[list[str], Field(min_length=1)]
    """Where tenants' manifests may come from: addresses, ``/*`` at the end for everything below."""
    personas: dict[str, Groups] = {}
    """Groups, as the identity provider names them, by role: see docs/access.md."""
