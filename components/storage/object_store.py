"""An S3-compatible store for tenants' services: in the cluster, or Hetzner's."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NotRequired, TypedDict, cast

import pulumi
import pulumi_random as random

from ..component import check_arguments
from ..layer import INTERNET, ChartPin, Flow, Layer, Pods, from_prometheus, own_values, unpinned, within
from ..problem import Problem, refuse
from .block_storage import CLOUD_VOLUMES
from .tenant_buckets import (
    TenantBuckets,
    check_erasure,
    check_tenant_buckets,
    environment,
    identities,
    provision_files,
    user_lines,
)

Kind = Literal["silo", "seaweedfs", "hetzner"]

OBJECT_STORE: Final = "object-store"
"""Namespace of a store in the cluster; Silo's chart, Service and pods are named so too."""
CONSUMERS: Final[Mapping[str, str]] = {"hetzner-platform/object-store": "allowed"}
"""Labels of pods that ask for the store."""

_REGION: Final = "us-east-1"
"""What every S3 client signs for unless told; the stores in the cluster have no locations."""
_ROOT_SECRET: Final = "object-store-root"  # noqa: S105
_ROOT_USER: Final = "object-store-root"
_PROVISION_SECRET: Final = "object-store-provision"  # noqa: S105
_IDENTITIES_SECRET: Final = "object-store-identities"  # noqa: S105
_KEY_LENGTH: Final = 40
_TIMEOUT: Final = 900
"""Seconds: volumes are made and attached one after the other on each machine."""


class HetznerKey(TypedDict):
    """An access key that was made in Hetzner's console."""

    access_key: pulumi.Input[str]
    secret_key: pulumi.Input[str]


class HetznerStore(TypedDict):
    """Hetzner's object storage. Buckets and keys are made outside: see docs/storage.md."""

    endpoint: str
    """``https://<location>.your-objectstorage.com``."""
    location: str
    """The buckets' location."""
    prefix: NotRequired[str]
    """Begins the buckets' names, which are unique over all customers; nothing unless told."""
    keys: Mapping[str, HetznerKey]
    """By ``<tenant>-<environment>``."""


class ObjectStoreArgs(TypedDict):
    """Arguments of ``ObjectStore``."""

    kind: Kind
    tenants: Sequence[TenantBuckets]
    """Those without buckets have no credential; a bucket that is no longer named is kept."""
    charts: NotRequired[Mapping[str, ChartPin]]
    """``seaweedfs``, for that kind."""
    hetzner: NotRequired[HetznerStore]
    """For that kind."""
    servers: NotRequired[int]
    """Pods of Silo, each on a machine of its own; what charts/object-store says (3) unless told."""
    drives: NotRequired[int]
    """Volumes of each; what charts/object-store says (2) unless told."""
    volume_gb: NotRequired[int]
    """Size of each volume, GB; 50 unless told."""
    storage_class: NotRequired[str]
    """Of the volumes; ``hcloud-volumes`` unless told."""


class ObjectStore(Layer):
    """Buckets for tenants, and a credential a tenant and environment that opens its own buckets alone.

    Credentials are made one by one: another tenant changes nobody's. What the store itself is told is one Secret, so that
    whoever is no longer named loses access; it changes with any tenant, and its Job or its pods run anew.

    Raises:
        ProblemsError: a bucket is public or wrongly named, the store would not survive a lost machine, or Hetzner's keys
            are missing; nothing has been registered then.
    """

    endpoint: str
    """Where it answers."""
    region: str
    """What clients sign for."""
    consumer_flow: Flow
    """Lets pods with the label `CONSUMERS` out to it; for the namespaces of those who may."""
    credentials: Mapping[str, pulumi.Output[Mapping[str, str]]]
    """``<tenant>-<environment>`` → content of the Secret ``object-store`` in that namespace."""

    def __init__(
        self,
        name: str,
        args: ObjectStoreArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        check_arguments("ObjectStore", name, args, ObjectStoreArgs)
        refuse(f"ObjectStore {name!r}", list(_check(args)))
        super().__init__("ObjectStore", name, args, ObjectStoreArgs, opts, after)
        tenants = [each for each in args["tenants"] if each.buckets]
        if args["kind"] == "hetzner":
            self._hetzner(tenants, cast("HetznerStore", args.get("hetzner")))
        else:
            self._in_cluster(name, {**args, "tenants": tenants})
        self.finish({"endpoint": self.endpoint, "region": self.region})

    def _hetzner(self, tenants: Sequence[TenantBuckets], store: HetznerStore) -> None:
        self.endpoint, self.region = store["endpoint"], store["location"]
        self.consumer_flow = Flow("to-object-store", "egress", [INTERNET], [443], CONSUMERS)
        prefix = store.get("prefix", "")
        self.credentials = {each.name: self._credential(each, store["keys"][each.name], prefix) for each in tenants}

    def _in_cluster(self, name: str, args: ObjectStoreArgs) -> None:
        tenants = args["tenants"]
        silo = args["kind"] == "silo"
        port, service = (9000, OBJECT_STORE) if silo else (8333, "seaweedfs-s3")
        self.endpoint = f"http://{service}.{OBJECT_STORE}.svc.cluster.local:{port}"
        self.region = _REGION
        pods = {
            "app.kubernetes.io/name": OBJECT_STORE if silo else "seaweedfs",
            "app.kubernetes.io/component": "server" if silo else "s3",
        }
        self.consumer_flow = Flow("to-object-store", "egress", [Pods(OBJECT_STORE, pods)], [port], CONSUMERS)
        secrets = {each.name: self._secret_key(name, each.name) for each in tenants}
        self.credentials = {
            each.name: self._credential(each, {"access_key": each.name, "secret_key": secrets[each.name]})
            for each in tenants
        }
        self.namespace(OBJECT_STORE, "restricted", flows=store_flows(port, silo=silo))
        install = self._silo if silo else self._seaweedfs
        install(name, args, pulumi.Output.all(**secrets))

    def _silo(self, name: str, args: ObjectStoreArgs, secrets: pulumi.Output[dict[str, str]]) -> None:
        root = self._secret_key(name, "root")
        address = pulumi.Output.concat("http://", _ROOT_USER, ":", root, f"@{OBJECT_STORE}:9000")
        texts = {"rootUser": _ROOT_USER, "rootPassword": root, "MC_HOST_store": address}
        files = {**provision_files(args["tenants"]), "users": secrets.apply(user_lines)}
        self.secret(OBJECT_STORE, _ROOT_SECRET, texts)
        self.secret(OBJECT_STORE, _PROVISION_SECRET, files)
        servers, drives, _ = _erasure(args)
        values: dict[str, Any] = {
            "servers": servers,
            "drives": drives,
            "storage": {"class": _storage_class(args), "size": f"{args.get('volume_gb', 50)}Gi"},
            "rootSecret": _ROOT_SECRET,
            "provision": {"secret": _PROVISION_SECRET, "revision": revision(files)},
        }
        self.install(OBJECT_STORE, None, OBJECT_STORE, values=values, timeout=_TIMEOUT)

    def _seaweedfs(self, _name: str, args: ObjectStoreArgs, secrets: pulumi.Output[dict[str, str]]) -> None:
        tenants = args["tenants"]
        files = {"seaweedfs_s3_config": secrets.apply(lambda made: identities(tenants, made))}
        self.secret(OBJECT_STORE, _IDENTITIES_SECRET, files)
        values = seaweedfs_values(tenants, args.get("volume_gb", 50), _storage_class(args))
        values["s3"] |= {
            "existingConfigSecret": _IDENTITIES_SECRET,
            # It reads them when it starts.
            "podAnnotations": {"hetzner-platform/identities": revision(files)},
        }
        for budget in seaweedfs_budgets():
            self.manifest(budget)
        pin = args.get("charts", {})["seaweedfs"]
        self.install("seaweedfs", pin, OBJECT_STORE, values=values, timeout=_TIMEOUT)

    def _secret_key(self, name: str, owner: str) -> pulumi.Output[str]:
        # Letters and digits alone: it stands in an address, and in lines of a file.
        made = random.RandomPassword(f"{name}-{owner}", length=_KEY_LENGTH, special=False, opts=self.child())
        return made.result

    def _credential(self, each: TenantBuckets, key: HetznerKey, prefix: str = "") -> pulumi.Output[Mapping[str, str]]:
        endpoint, region = self.endpoint, self.region

        def filled(keys: Sequence[str]) -> Mapping[str, str]:
            return environment(each, endpoint, region, keys[0], keys[1], prefix)

        keys = pulumi.Output.all(key["access_key"], key["secret_key"])
        return pulumi.Output.secret(keys.apply(filled))


def revision(files: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """Changes with the files, and tells nothing of them: the keys in them are long and random."""

    def digest(made: Mapping[str, str]) -> str:
        return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]

    return pulumi.Output.unsecret(pulumi.Output.all(**files).apply(digest))


def store_flows(port: int, *, silo: bool) -> list[Flow]:
    """Whoever is labelled may come in; the store's pods talk to each other, and to nobody else.

    Args:
        port: Where S3 is spoken.
        silo: Whether that is the only port; SeaweedFS's parts have a dozen.
    """
    return [
        *within("within", *([port] if silo else [])),
        Flow("consumers", "ingress", [Pods(labels=CONSUMERS, namespace_labels={})], [port]),
        from_prometheus(port if silo else 9327),
    ]


def seaweedfs_values(tenants: Sequence[TenantBuckets], volume_gb: int, storage_class: str) -> dict[str, Any]:
    """What differs between deployments: volumes and buckets."""
    claim = {"type": "persistentVolumeClaim", "storageClass": storage_class}
    drive = {**claim, "name": "data", "size": f"{volume_gb}Gi", "maxVolumes": 0}
    buckets = [
        {"name": each.stored(bucket), **({"versioning": "Enabled"} if bucket.versioning else {})}
        for each in tenants
        for bucket in each.buckets
    ]
    return {
        "master": {"data": claim},
        "filer": {"data": claim},
        "volume": {"dataDirs": [drive]},
        "s3": {"createBuckets": buckets},
    }


def seaweedfs_budgets() -> list[dict[str, Any]]:
    """Of each part one pod may be evicted at a time: what is kept twice stays readable. The chart has no such budgets."""
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": f"seaweedfs-{part}", "namespace": OBJECT_STORE},
            "spec": {
                "maxUnavailable": 1,
                "selector": {
                    "matchLabels": {"app.kubernetes.io/name": "seaweedfs", "app.kubernetes.io/component": part}
                },
            },
        }
        for part in ("master", "volume", "filer", "s3")
    ]


def _storage_class(args: ObjectStoreArgs) -> str:
    return args.get("storage_class", CLOUD_VOLUMES)


def _erasure(args: ObjectStoreArgs) -> tuple[int, int, int]:
    chart = own_values(OBJECT_STORE)
    return args.get("servers", int(chart["servers"])), args.get("drives", int(chart["drives"])), int(chart["parity"])


def _check(args: ObjectStoreArgs) -> Iterator[Problem]:
    kind, store = args["kind"], args.get("hetzner")
    if kind not in ("silo", "seaweedfs", "hetzner"):
        yield Problem("kind", kind, "is no object store", "write silo, seaweedfs or hetzner")
    yield from check_tenant_buckets(args["tenants"], store.get("prefix", "") if store else "")
    if kind == "silo":
        yield from check_erasure(*_erasure(args))
    if kind == "seaweedfs":
        yield from unpinned(args.get("charts", {}), ["seaweedfs"])
    if kind == "hetzner":
        yield from _check_hetzner(args["tenants"], store)
    elif args.get("volume_gb", 50) < 10:
        yield Problem("volume_gb", args.get("volume_gb"), "Hetzner's volumes begin at 10 GB", "write at least 10")


def _check_hetzner(tenants: Sequence[TenantBuckets], store: HetznerStore | None) -> Iterator[Problem]:
    if store is None:
        yield Problem("hetzner", None, "is missing", "write its endpoint, location and keys")
        return
    if not store["endpoint"].startswith("https://"):
        remedy = "write https://<location>.your-objectstorage.com"
        yield Problem("hetzner.endpoint", store["endpoint"], "is not an https address", remedy)
    for each in tenants:
        if each.buckets and each.name not in store["keys"]:
            remedy = "make a key in Hetzner's console and write it there"
            yield Problem(f"hetzner.keys.{each.name}", None, "is missing", remedy)
