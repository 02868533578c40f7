"""What the three stacks register: golden graph, addresses, and the invariants that hold for every resource."""

import re
from dataclasses import replace
from typing import Any

import pytest

from components.cluster import AgentPool
from sandbox.deployment import Deployment, DeploymentFailed, Resource
from sandbox.scratch import STACKS, dummy
from stacks import region

from .conftest import Runner
from .invariants import (
    ACCOUNT_PATCH,
    NAMESPACE,
    NETWORK_POLICY,
    RELEASE,
    SECRET,
    SERVER,
    physical_name,
    place,
    problems,
)
from .shape import golden_text, in_cluster


@pytest.mark.parametrize("stack", STACKS)
def test_graph_is_as_reviewed(stack: str, committed: dict[str, Deployment], golden: Any) -> None:
    """A change of the graph shows in the golden file's difference, where a reviewer reads it."""
    golden(f"graph/{stack}.json", golden_text(committed[stack]))


@pytest.mark.parametrize(("stack", "region", "third"), [("prod", 1, 2), ("dr", 2, 3)])
def test_machines_have_the_drawings_addresses(
    stack: str, region: int, third: int, committed: dict[str, Deployment]
) -> None:
    addresses = {
        resource.name.partition("-")[2]: resource.inputs["networks"][0]["ip"]
        for resource in committed[stack].by_type(SERVER)
    }
    assert addresses == {
        "server-1": f"10.{region}.1.1",
        "server-2": f"10.{region}.1.2",
        "server-3": f"10.{region}.1.3",
        "general-1": f"10.{region}.2.1",
        "general-2": f"10.{region}.2.2",
        "general-4": f"10.{region}.2.4",
    }
    balancers = {
        resource.name: resource.inputs["ip"]
        for resource in committed[stack].by_type("hcloud:index/loadBalancerNetwork:LoadBalancerNetwork")
    }
    name = {"prod": "fsn1", "dr": "nbg1"}[stack]
    assert balancers == {f"{name}-ingress-network": f"10.0.0.{third}", f"{name}-api-network": f"10.0.0.{third + 2}"}


@pytest.mark.parametrize("stack", STACKS)
def test_invariants_hold(stack: str, committed: dict[str, Deployment], known_secrets: frozenset[str]) -> None:
    assert list(problems(committed[stack], known_secrets)) == []


CREDENTIALS: dict[str, tuple[str, dict[str, Any], str, list[str]]] = {
    "AWS Secrets Manager": (
        "secrets",
        {"engine": "aws", "aws": {"region": "eu-central-1"}},
        "secrets-reader",
        ["accounts-production", "accounts-staging", "gateway-production", "gateway-staging", "ml-production"],
    ),
    "Hetzner's object storage": (
        "object_store",
        {"kind": "hetzner", "endpoint": "https://nbg1.your-objectstorage.com", "location": "nbg1"},
        "object-store",
        ["accounts-production", "ml-production"],
    ),
}
"""What of config/platform.yaml asks for credentials by namespace, the Secret that they become, and where it is."""


@pytest.mark.parametrize("choice", CREDENTIALS)
def test_credentials_by_namespace_are_previewed_with_dummies(choice: str, runner: Runner) -> None:
    block, content, name, namespaces = CREDENTIALS[choice]
    deployment = runner.edit("config/platform.yaml", lambda platform: platform.update({block: content})).run("prod")
    assert list(problems(deployment)) == []
    named = [each for each in deployment.by_type(SECRET) if physical_name(each) == name]
    assert [place(each) for each in named] == namespaces


def test_buckets_of_hetzners_storage_begin_with_the_prefix(runner: Runner) -> None:
    """Seen by the longest name that there may be: with the prefix it is too long."""
    store = {
        "kind": "hetzner",
        "endpoint": "https://nbg1.your-objectstorage.com",
        "location": "nbg1",
        "prefix": "x" * 32,
    }
    bucket = "y" * (63 - len("ml-production-"))
    runner.edit(
        "config/tenants.yaml",
        lambda tenants: tenants["ml"]["environments"]["production"]["buckets"].update({bucket: {}}),
    )
    runner.edit("config/platform.yaml", lambda platform: platform.update(object_store=store))
    with pytest.raises(DeploymentFailed) as refused:
        runner.run("prod")
    assert f"{store['prefix']}-ml-production-{bucket}" in str(refused.value)


def spoiled(deployment: Deployment, **changes: Any) -> Deployment:
    """The deployment with one server changed for the worse."""
    return with_one_changed(deployment, "fsn1-server-1", SERVER, **changes)


def with_one_changed(deployment: Deployment, name: str, type: str, **changes: Any) -> Deployment:
    """The deployment with one resource changed; ``inputs`` are laid over its own."""
    victim = deployment.named(name, type)
    changed = replace(victim, **{key: value for key, value in changes.items() if key != "inputs"})
    if "inputs" in changes:
        changed = replace(changed, inputs={**victim.inputs, **changes["inputs"]})
    return replace(deployment, resources=tuple(changed if r is victim else r for r in deployment.resources))


def without(deployment: Deployment, name: str, type: str) -> Deployment:
    """The deployment without a resource; who waited for it waits for what it waited for."""
    victim = deployment.named(name, type)

    def spliced(resource: Resource) -> Resource:
        waits = [victim.dependencies if urn == victim.urn else (urn,) for urn in resource.dependencies]
        return replace(resource, dependencies=tuple(urn for each in waits for urn in each))

    return replace(deployment, resources=tuple(spliced(each) for each in deployment.resources if each is not victim))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"provider": ""}, "no explicit provider"),
        ({"parent": ""}, "its parent is not a component"),
        ({"protect": False}, "not protected"),
        ({"ignore_changes": ("user_data",)}, "an ignored path in snake case"),
        ({"inputs": {"deleteProtection": False}}, "not protected in the cloud"),
        ({"inputs": {"userData": "#cloud-config"}}, "user_data is not secret"),
        ({"inputs": {"userData": "-----BEGIN EC PRIVATE KEY-----"}}, "a secret in plain inputs"),
        ({"inputs": {"name": "x" * 64}}, "is no name for Hetzner"),
        ({"inputs": {"name": "fsn1-server-2"}}, "is taken"),
        ({"inputs": {"firewallIds": []}}, "no firewall"),
        ({"inputs": {"publicNets": [{"ipv4_enabled": True}]}}, "was not translated"),
        ({"inputs": {"image": "Calling __str__ on an Output[T]"}}, "an Output was formatted"),
    ],
)
def test_each_invariant_notices_its_bad_case(
    changes: dict[str, Any], found: str, committed: dict[str, Deployment]
) -> None:
    assert any(found in problem for problem in problems(spoiled(committed["prod"], **changes)))


def test_a_dense_graph_is_noticed(committed: dict[str, Deployment]) -> None:
    made = committed["prod"].resources[:40]
    dense = [
        replace(resource, edges=tuple(each.urn for each in made[max(0, number - 2) : number]))
        for number, resource in enumerate(made)
    ]
    found = problems(replace(committed["prod"], resources=tuple(dense)))
    assert any(problem.startswith(f"{made[-1].name}: ") and "ways through" in problem for problem in found)


TRAEFIK, OBJECTS = "fsn1-ingress-controller-traefik", "fsn1-object-store-object-store"
UNSEAL = "fsn1-secrets-openbao-openbao-unseal-secret"
OPENBAO = "fsn1-secrets-openbao-namespace"
LABELS = {"pod-security.kubernetes.io/audit": "restricted", "pod-security.kubernetes.io/warn": "restricted"}


@pytest.mark.parametrize(
    ("name", "type", "changes", "found"),
    [
        (TRAEFIK, RELEASE, {"provider": "urn:pulumi:prod::p::t::nbg1-kubernetes"}, "not the provider of the region's"),
        (TRAEFIK, RELEASE, {"parent": ""}, "its parent is not a component"),
        (TRAEFIK, RELEASE, {"inputs": {"version": None}}, "None pins no released version"),
        (TRAEFIK, RELEASE, {"inputs": {"version": ">=41"}}, "'>=41' pins no released version"),
        (TRAEFIK, RELEASE, {"inputs": {"chart": "traefik"}}, "'' is no repository that proves who it is"),
        (
            TRAEFIK,
            RELEASE,
            {"inputs": {"chart": "traefik", "repositoryOpts": {"repo": "http://charts.example.com"}}},
            "'http://charts.example.com' is no repository",
        ),
        (TRAEFIK, RELEASE, {"inputs": {"skip_await": True}}, "skip_await was not translated"),
        (TRAEFIK, RELEASE, {"inputs": {"values": {"key": "Calling __str__ on an Output[T]"}}}, "was formatted"),
        (TRAEFIK, RELEASE, {"inputs": {"values": {"token": dummy("hetzner-platform:acmeToken")}}}, "a secret in plain"),
        (TRAEFIK, RELEASE, {"inputs": {"values": {"seal": "A" * 43 + "="}}}, "a secret in plain inputs"),
        (TRAEFIK, RELEASE, {"inputs": {"values": {"key": "aXRzIGtleSBvZiBmc24x"}}}, "a secret in plain inputs"),
        (TRAEFIK, RELEASE, {"dependencies": ()}, "does not wait for its namespace"),
        (OBJECTS, RELEASE, {"inputs": {"description": "object-store"}}, "nothing shows that its chart was edited"),
        (UNSEAL, SECRET, {"inputs": {"stringData": {"current": "plain"}}}, "its stringData is not secret"),
        (UNSEAL, SECRET, {"inputs": {"data": {"current": "cGxhaW4="}}}, "its data is not secret"),
        (UNSEAL, SECRET, {"dependencies": ()}, "does not wait for its namespace"),
        (OPENBAO, NAMESPACE, {"inputs": {"metadata": {"name": "openbao", "labels": LABELS}}}, "to enforce"),
        (
            OPENBAO,
            NAMESPACE,
            {"inputs": {"metadata": {"name": "reloader", "labels": LABELS}}},
            "'reloader' is taken in the cluster",
        ),
        (
            "fsn1-secrets-openbao-default-deny-network-policy",
            NETWORK_POLICY,
            {"inputs": {"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}},
            "fsn1-secrets-openbao-namespace: no policy that denies everything",
        ),
        (
            "fsn1-secrets-openbao-default-deny-network-policy",
            NETWORK_POLICY,
            {"inputs": {"spec": {"pod_selector": {}, "policyTypes": ["Ingress", "Egress"]}}},
            "spec.pod_selector was not translated",
        ),
        (
            "fsn1-secrets-openbao-default-account",
            ACCOUNT_PATCH,
            {"inputs": {"automountServiceAccountToken": True}},
            "fsn1-secrets-openbao-namespace: pods that name no service account get a token",
        ),
    ],
)
def test_each_invariant_of_a_cluster_notices_its_bad_case(
    name: str,
    type: str,
    changes: dict[str, Any],
    found: str,
    committed: dict[str, Deployment],
    known_secrets: frozenset[str],
) -> None:
    assert any(
        found in problem
        for problem in problems(with_one_changed(committed["prod"], name, type, **changes), known_secrets)
    )


@pytest.mark.parametrize(
    ("name", "type", "found"),
    [
        (
            "fsn1-secrets-openbao-default-deny-network-policy",
            NETWORK_POLICY,
            "no policy that denies everything by default",
        ),
        ("fsn1-secrets-openbao-default-account", ACCOUNT_PATCH, "pods that name no service account get a token"),
    ],
)
def test_every_namespace_is_closed_and_its_account_without_a_token(
    name: str, type: str, found: str, committed: dict[str, Deployment]
) -> None:
    assert list(problems(without(committed["prod"], name, type))) == [f"fsn1-secrets-openbao-namespace: {found}"]


@pytest.mark.parametrize("stack", ["prod", "dr"])
def test_nothing_is_in_a_namespace_that_nobody_made(stack: str, committed: dict[str, Deployment]) -> None:
    """``default`` stays empty; what is not ours is kube-system alone."""
    objects = [each for each in committed[stack].resources if in_cluster(each)]
    made = {each.inputs["metadata"]["name"] for each in objects if each.type == NAMESPACE}
    assert {place(each) for each in objects} - made == {None, "kube-system"}


def whole(deployment: Deployment) -> dict[str, Any]:
    """Every resource by URN, as it is kept in the preview's JSON."""
    return {resource.urn: resource for resource in deployment.resources}


NEW_POOLS = {
    "cloud": {"kind": "cloud", "type": "cx43", "nodes": "7-8"},
    "robot": {"kind": "robot", "model": "GEX45", "vswitch_id": 4711, "nodes": "9"},
    "autoscaled": {"kind": "autoscaled", "type": "cx43", "min": 0, "max": 2},
}


@pytest.mark.parametrize("position", [0, 1, 3])
@pytest.mark.parametrize("kind", list(NEW_POOLS))
def test_inserting_a_pool_changes_no_existing_resource(
    kind: str, position: int, runner: Runner, committed: dict[str, Deployment], committed_machines: Deployment
) -> None:
    # Where a pool stands means nothing to what runs in the cluster: one position is enough for that.
    layers = position == 0
    existing = committed["prod"] if layers else committed_machines

    def insert(regions: Any) -> None:
        pools = list(regions["fsn1"]["pools"].items())
        pools.insert(position, ("inserted", NEW_POOLS[kind]))
        regions["fsn1"]["pools"] = dict(pools)

    before, after = whole(existing), whole(runner.regions(insert).run("prod", layers=layers))
    assert {urn: after.get(urn) for urn in before} == before
    assert len(after) > len(before)


def test_adding_a_machine_changes_no_other(runner: Runner, committed: dict[str, Deployment]) -> None:
    def add(regions: Any) -> None:
        regions["fsn1"]["pools"]["general"]["nodes"] = "1-2,4-5"

    before, after = whole(committed["prod"]), whole(runner.regions(add).run("prod"))
    assert {urn: after.get(urn) for urn in before} == before
    assert [after[urn].name for urn in after if urn not in before] == ["fsn1-general-5"]


def test_prod_and_dr_are_the_same_program(committed: dict[str, Deployment]) -> None:
    """The standby mirrors the primary, its GPU pool aside: only names, addresses and the stack's name differ."""

    def kinds(stack: str) -> list[tuple[str, str]]:
        region = {"prod": "fsn1", "dr": "nbg1"}[stack]
        return sorted(
            (resource.type, re.sub(rf"\b{stack}\b", "stack", resource.name.replace(region, "region")))
            for resource in committed[stack].resources
            if "gpu" not in resource.name and "vswitch" not in resource.name
        )

    assert kinds("prod") == kinds("dr")


def test_a_gpu_in_the_cloud_stands_where_it_is_drawn(runner: Runner) -> None:
    def change(regions: Any) -> None:
        regions["fsn1"]["pools"]["gpu"] = {"kind": "cloud", "type": "ccx33", "nodes": "3"}

    # The price list knows no GPU in the cloud, so nobody may be promised one.
    runner.edit("config/tenants.yaml", lambda tenants: tenants["ml"]["environments"]["production"]["quota"].pop("gpus"))
    gpu = runner.regions(change).run("prod", layers=False).named("fsn1-gpu-3", SERVER)
    assert gpu.inputs["networks"][0]["ip"] == "10.1.2.3"


def test_a_cloud_pool_with_gpus_is_labelled_and_brings_the_layer(
    runner: Runner, committed: dict[str, Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def agent_pool(name: str, args: Any, *others: Any, **named: Any) -> AgentPool:
        given[name] = args["node"]
        return AgentPool(name, args, *others, **named)

    def add(regions: Any) -> None:
        regions["nbg1"]["pools"]["cards"] = {"kind": "cloud", "type": "ccx33", "nodes": "5", "gpus": 1}

    monkeypatch.setattr(region, "AgentPool", agent_pool)
    deployment = runner.regions(add).run("dr")
    assert given["nbg1-cards"] == {
        "labels": {"nvidia.com/gpu": "present"},
        "taints": ["nvidia.com/gpu=present:NoSchedule"],
    }
    assert "nvidia.com/gpu" not in given["nbg1-general"]["labels"]
    charts = {each.name for each in deployment.by_type(RELEASE)} - {
        each.name for each in committed["dr"].by_type(RELEASE)
    }
    assert charts == {"nbg1-gpu-nvidia-device-plugin", "nbg1-gpu-dcgm-exporter"}


def test_the_vswitch_subnet_exists_only_with_a_robot_pool(runner: Runner, committed: dict[str, Deployment]) -> None:
    subnet = "hcloud:index/networkSubnet:NetworkSubnet"
    assert committed["prod"].named("fsn1-network-vswitch", subnet).inputs["vswitchId"] == 4711
    assert [resource for resource in committed["dr"].by_type(subnet) if "vswitch" in resource.name] == []


def test_placement_groups_take_ten_machines_each(runner: Runner) -> None:
    def change(regions: Any) -> None:
        regions["fsn1"]["pools"]["general"]["nodes"] = "1-11,25"

    groups = runner.regions(change).run("prod", layers=False).by_type("hcloud:index/placementGroup:PlacementGroup")
    assert sorted(group.inputs["name"] for group in groups) == [
        "fsn1-general-spread-1",
        "fsn1-general-spread-2",
        "fsn1-general-spread-3",
        "fsn1-server-spread-1",
    ]


def test_unavailable_types_are_warned_of_with_the_fallback(committed: dict[str, Deployment]) -> None:
    warnings = [entry.message for entry in committed["prod"].diagnostics if entry.severity == "warning"]
    assert any("fsn1.servers.type: cx33" in text and "fsn1.servers.type: cpx32" in text for text in warnings)
    assert any("pools.general.type: cx43" in text and "cpx42" in text for text in warnings)


def test_backups_beside_their_region_are_warned_of(committed: dict[str, Deployment], runner: Runner) -> None:
    def change(stack: Any) -> None:
        stack["config"]["hetzner-platform:stack"]["object_storage"]["location"] = "nbg1"

    def told(deployment: Deployment) -> list[str]:
        return [each.message for each in deployment.diagnostics if "object_storage.location" in each.message]

    runner.edit("Pulumi.shared.yaml", change)
    assert ["nbg1 is where nbg1 is" in each for each in told(runner.run("shared"))] == [True]
    assert told(committed["shared"]) == []


def test_a_tunnel_that_nothing_ends_is_warned_of(committed: dict[str, Deployment], runner: Runner) -> None:
    def change(stack: Any) -> None:
        stack["config"]["hetzner-platform:stack"]["cloudflare"]["origin"] = "tunnel"

    def told(deployment: Deployment) -> list[str]:
        return [
            each.message for each in deployment.diagnostics if "cloudflare.origin: tunnel leads nowhere" in each.message
        ]

    runner.edit("Pulumi.shared.yaml", change)
    assert len(told(runner.run("shared"))) == 1
    assert told(committed["shared"]) == []
