"""The policies that the components really make, for a region with two tenants; and the pods that talk in it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import yaml

from components.certificates import Certificates
from components.cluster_network import ClusterNetwork
from components.gpu import Gpu
from components.ingress import Ingress
from components.mesh import Mesh
from components.metrics import Metrics
from components.network import AddressPlan
from components.policy import Policy
from components.secrets import SecretStores
from components.storage import BlockStorage, ObjectStore, TenantBucket, TenantBuckets
from components.tenancy import Tenants, platform_flows, tenant_flows
from sandbox.inprocess import run
from tests.network.evaluator import API_SERVER, HOST, REMOTE, End, Outside, Pod

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("NetworkPolicy", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
PLAN = AddressPlan(1)
AUTHENTICATION = "http://oauth2-proxy.platform.svc.cluster.local:4180/oauth2/auth"
PEM = "-----BEGIN CERTIFICATE-----\nexample\n-----END CERTIFICATE-----\n"
SYSTEM_NAMESPACES = ("kube-system",)
"""Kubernetes' own: no component makes it, and it has policies all the same."""


@dataclass(frozen=True)
class Made:
    """What was made."""

    policies: tuple[Mapping[str, Any], ...]
    namespaces: Mapping[str, Mapping[str, str]]
    """Labels by name."""


@cache
def made() -> Made:
    """Every policy and namespace of a region's layers, as the API server would get them."""
    deployment = run(_program, project="hetzner-platform", stack="test", skipped=frozenset({"kubernetes"}))
    policies: list[Mapping[str, Any]] = []
    namespaces: dict[str, Mapping[str, str]] = {}
    for resource in deployment.resources:
        if not resource.type.startswith("kubernetes:"):
            continue
        kind = resource.type.rpartition(":")[2]
        if kind in KINDS:
            policies.append({"apiVersion": resource.inputs["apiVersion"], "kind": kind} | _parts(resource.inputs))
        elif kind == "Namespace":
            namespaces[resource.inputs["metadata"]["name"]] = resource.inputs["metadata"]["labels"]
    return Made(tuple(policies), namespaces)


def _parts(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"metadata": inputs["metadata"], "spec": inputs["spec"]}


def _program() -> None:
    pinned = yaml.safe_load((ROOT / "config/versions.yaml").read_text(encoding="utf-8"))["charts"]
    charts: Any = {name: dict(pin) for name, pin in pinned.items()}
    hidden = pulumi.Output.secret
    key = base64.b64encode(bytes(32)).decode()
    network: Any = {
        "cluster": "fsn1",
        "index": 1,
        "mtu": 1370,
        "nodes": 6,
        "kubeconfig": hidden("kubeconfig"),
        "hcloud_token": hidden("t" * 64),
        "network_id": 4711,
        "charts": charts,
    }
    backup = {
        "bucket": "example-volumes",
        "region": "hel1",
        "endpoint": "https://hel1.example.com",
        "access_key": "A",
        "secret_key": "s",
    }
    volumes: Any = {
        "cluster": "fsn1",
        "location": "fsn1",
        "token_secret": "hcloud",
        "charts": charts,
        "backup": backup,
        "protection": False,
    }
    acme = {
        "email": "platform@example.com",
        "directory": "https://acme.example.com/directory",
        "zone": "example.com",
        "token": hidden("token"),
    }
    anchor: Any = {"region": "fsn1", "charts": charts, "anchor": PEM, "anchor_key": hidden("key")}
    ingress: Any = {
        "chart": charts["traefik"],
        "targets": "servers",
        "load_balancer_ip": str(PLAN.ingress_load_balancer),
        "origin_certificate": PEM,
        "origin_private_key": hidden(PEM),
        "origin_pull_ca": PEM,
        "requests_per_second": 100,
        "burst": 200,
        "body_mb": 10,
        "forward_authentication": {"address": AUTHENTICATION},
    }
    ClusterNetwork("network", network)
    Metrics("metrics", {"charts": charts})
    BlockStorage("block-storage", volumes)
    certificates: Any = {"cluster": "fsn1", "charts": charts, "acme": acme}
    Certificates("certificates", certificates)
    SecretStores(
        "secrets",
        {"charts": charts, "engine": "openbao", "authority": PEM, "seal": {"key": hidden(key), "generation": 1}},
    )
    Mesh("mesh", anchor)
    Ingress("ingress", ingress)
    buckets = [TenantBuckets("orders", "production", [TenantBucket("uploads")])]
    store = ObjectStore("object-store", {"kind": "silo", "tenants": buckets, "charts": charts})
    Gpu("gpu", {"charts": charts, "time_slicing": 1})
    Policy("policy", {"charts": charts, "enforcement": "dryrun", "registries": ["registry.example.com/"]})
    Tenants("tenants", {"tenants": _tenants(store), "platform_flows": platform_flows(4180)})


def _tenants(store: ObjectStore) -> list[Any]:
    quota = {"cpu": "1", "memory": "1Gi", "pods": 5, "storage": "1Gi", "gpus": 0}

    def environment(tenant: str, environment: str, *reaches: Any) -> Any:
        flows = tenant_flows(
            reaches, postgres=str(PLAN.postgres), redis=str(PLAN.redis), object_store=store.consumer_flow
        )
        return {"tenant": tenant, "environment": environment, "owner": tenant, "quota": quota, "flows": flows}

    return [
        environment("orders", "production", "databases", "object-store", "internet", "kubernetes-api"),
        environment("orders", "staging", "databases"),
        # Permitted nothing.
        environment("billing", "production"),
    ]


def service_policy(namespace: str) -> Mapping[str, Any]:
    """A tenant's own, as charts/service makes it for one with a route, callers and metrics."""
    path = ROOT / "tests/golden/service/full.yaml"
    documents = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    (policy,) = (each for each in documents if each["kind"] == "NetworkPolicy")
    return {**policy, "metadata": {**policy["metadata"], "namespace": namespace}}


def end(name: str) -> End:
    """Who is meant: ``<namespace>/<labels>``, an address, or a machine.

    Labels are ``key=value``, comma-separated; a word without ``=`` is a reach that the pod asks for, and ``api`` the
    service of charts/service.
    """
    machines = {"api-server": API_SERVER, "own-machine": HOST, "machine": REMOTE}
    if name in machines:
        return machines[name]
    if "/" not in name:
        return Outside({"load-balancer": str(PLAN.ingress_load_balancer)}.get(name, name))
    namespace, _, words = name.partition("/")
    labels: dict[str, str] = {}
    for word in filter(None, words.split(",")):
        key, _, value = word.rpartition("=")
        if key:
            labels[key] = value
        elif word == "api":
            labels["app.kubernetes.io/name"] = "api"
        else:
            labels[f"hetzner-platform/{word}"] = "allowed"
    return Pod(namespace, labels, namespace_labels=made().namespaces.get(namespace, {}))
