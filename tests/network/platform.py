"""The policies that a region's stack really makes, with three tenants more; and the pods that talk in it."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.network import AddressPlan
from sandbox.clouds import Options, ThreadedClouds
from sandbox.deployment import Deployment
from tests.graph.conftest import Runner
from tests.network.evaluator import API_SERVER, HOST, REMOTE, End, Outside, Pod

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("NetworkPolicy", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
PLAN = AddressPlan(1)
SYSTEM_NAMESPACES = ("kube-system",)
"""Kubernetes' own: no component makes it, and it has policies all the same."""


@dataclass(frozen=True)
class Made:
    """What was made."""

    policies: tuple[Mapping[str, Any], ...]
    namespaces: Mapping[str, Mapping[str, str]]
    """Labels by name."""


def _tenant(name: str, *reaches: str, environments: tuple[str, ...] = ("production",)) -> dict[str, Any]:
    quota = {"cpu": "10m", "memory": "16Mi", "pods": 1, "storage": "0"}
    return {
        "owner": name,
        "groups": {"admin": [f"{name}-leads"]},
        "repositories": [f"https://git.example.com/{name}/service.git"],
        "reaches": list(reaches),
        "environments": {each: {"quota": quota} for each in environments},
    }


TENANTS = {
    "orders": _tenant(
        "orders",
        *("databases", "object-store", "internet", "kubernetes-api"),
        environments=("production", "staging"),
    ),
    "press": _tenant("press", "databases", environments=("staging",)),
    # Permitted nothing.
    "billing": _tenant("billing"),
}
"""What the table needs: a tenant that may reach everything, one that may reach little, and one that may reach nothing."""


def add_tenants(runner: Runner) -> None:
    """Put them beside the committed ones."""
    runner.edit("config/tenants.yaml", lambda document: document.update(TENANTS))


@cache
def made() -> Made:
    """Every policy and namespace of the committed region FSN1, as its API server would get them."""
    with tempfile.TemporaryDirectory() as directory, ThreadedClouds(Path(directory) / "clouds", Options()) as clouds:
        (Path(directory) / "configuration").mkdir()
        runner = Runner(Path(directory) / "configuration", clouds)
        add_tenants(runner)
        return made_by(runner.run("prod"))


def made_by(deployment: Deployment) -> Made:
    """Those of a stack."""
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
