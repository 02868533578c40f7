"""What the three stacks register: golden graph, addresses, and the invariants that hold for every resource."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.deployment import PROVIDER_PREFIX, REFERENCE_TYPE, STACK_TYPE, Deployment, Resource
from sandbox.scratch import SANDBOX_INPUTS, STACKS, dummy

from .conftest import Runner

PROTECTED = {
    "hcloud:index/network:Network",
    "hcloud:index/primaryIp:PrimaryIp",
    "minio:index/s3Bucket:S3Bucket",
}
"""Protected by type, beside the control plane's servers, its keys and tokens, and its marker."""

SERVER = "hcloud:index/server:Server"


def managed(deployment: Deployment) -> list[Resource]:
    """What a provider manages."""
    return [
        resource
        for resource in deployment.resources
        if resource.custom and not resource.type.startswith(PROVIDER_PREFIX) and resource.type != REFERENCE_TYPE
    ]


def shape(deployment: Deployment) -> list[dict[str, Any]]:
    """The graph as it is kept."""
    return [
        {
            "urn": resource.urn,
            "parent": resource.parent.rpartition("::")[2],
            "provider": resource.provider.rpartition("::")[2],
            "protect": resource.protect,
            "ignore_changes": list(resource.ignore_changes),
            "dependencies": [urn.rpartition("::")[2] for urn in resource.dependencies],
            "inputs": {
                key: value
                for key, value in resource.inputs.items()
                if not resource.type.startswith(PROVIDER_PREFIX) or key not in SANDBOX_INPUTS
            },
        }
        for resource in deployment.resources
    ]


@pytest.mark.parametrize("stack", STACKS)
def test_graph_is_as_reviewed(stack: str, committed: dict[str, Deployment], golden: Any) -> None:
    """A change of the graph shows in the golden file's difference, where a reviewer reads it."""
    golden(f"graph/{stack}.json", json.dumps(shape(committed[stack]), indent=1, sort_keys=True) + "\n")


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


def problems(deployment: Deployment) -> Iterator[str]:
    """Every broken invariant of a graph."""
    names: set[tuple[str, str]] = set()
    secrets = {dummy(key) for key in ("hcloud:token", "cloudflare:apiToken", "minio:minioPassword")}
    for resource in managed(deployment):
        text = json.dumps(resource.inputs)
        if not resource.provider:
            yield f"{resource.name}: no explicit provider"
        if not resource.parent or resource.parent.rpartition("::")[0].endswith(STACK_TYPE):
            yield f"{resource.name}: its parent is not a component"
        if "Calling __str__" in text or "Output[" in text:
            yield f"{resource.name}: an Output was formatted as text"
        if "PRIVATE KEY" in text or any(secret in text for secret in secrets):
            yield f"{resource.name}: a secret in plain inputs"
        if any("_" in path for path in resource.ignore_changes):
            yield f"{resource.name}: an ignored path in snake case matches nothing"
        physical = resource.inputs.get("name")
        if isinstance(physical, str) and resource.type.startswith("hcloud:"):
            if len(physical) > 63 or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", physical):
                yield f"{resource.name}: {physical!r} is no name for Hetzner"
            if (resource.type, physical) in names:
                yield f"{resource.name}: {physical!r} is taken"
            names.add((resource.type, physical))
        stateful = resource.type in PROTECTED or (resource.type == SERVER and "-server-" in resource.name)
        if stateful and not resource.protect:
            yield f"{resource.name}: not protected"
        if stateful and "deleteProtection" in resource.inputs and resource.inputs["deleteProtection"] is not True:
            yield f"{resource.name}: not protected in the cloud"
        if resource.type == SERVER:
            yield from server_problems(resource)
        yield from snake_case(resource.name, resource.inputs)


def server_problems(resource: Resource) -> Iterator[str]:
    """Broken invariants of a cloud server."""
    if resource.inputs["userData"] not in ("[secret]", "[unknown]"):
        yield f"{resource.name}: user_data is not secret"
    if set(resource.ignore_changes) != {"userData", "image", "location", "sshKeys", "labels.config"}:
        yield f"{resource.name}: a change would replace the running machine"
    if resource.inputs["networks"][0].get("aliasIps") != []:
        yield f"{resource.name}: without alias_ips there is a difference at every run"
    if "cluster" not in resource.inputs["labels"]:
        yield f"{resource.name}: no cluster label"
    if not resource.inputs["firewallIds"]:
        yield f"{resource.name}: no firewall"


def snake_case(name: str, inputs: Any, path: str = "") -> Iterator[str]:
    """Keys of nested inputs that the SDK did not translate: it does not know them."""
    free = ("labels", "keepers", "config", "stringData", "outputs", "zone", "settings")
    if isinstance(inputs, dict):
        for key, value in inputs.items():
            if path.split(".", maxsplit=1)[0] not in free and "_" in key and not path.startswith(("value", "rules")):
                yield f"{name}: {path}.{key} was not translated"
            yield from snake_case(name, value, f"{path}.{key}".lstrip("."))
    elif isinstance(inputs, list):
        for value in inputs:
            yield from snake_case(name, value, path)


@pytest.mark.parametrize("stack", STACKS)
def test_invariants_hold(stack: str, committed: dict[str, Deployment]) -> None:
    assert list(problems(committed[stack])) == []


def spoiled(deployment: Deployment, **changes: Any) -> Deployment:
    """The deployment with one server changed for the worse."""
    from dataclasses import replace

    victim = next(resource for resource in deployment.by_type(SERVER) if "-server-1" in resource.name)
    changed = replace(victim, **{k: v for k, v in changes.items() if k != "inputs"})
    if "inputs" in changes:
        changed = replace(changed, inputs={**victim.inputs, **changes["inputs"]})
    return replace(deployment, resources=tuple(changed if r is victim else r for r in deployment.resources))


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
    kind: str, position: int, runner: Runner, committed: dict[str, Deployment]
) -> None:
    def insert(regions: Any) -> None:
        pools = list(regions["fsn1"]["pools"].items())
        pools.insert(position, ("inserted", NEW_POOLS[kind]))
        regions["fsn1"]["pools"] = dict(pools)

    before, after = whole(committed["prod"]), whole(runner.regions(insert).run("prod"))
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
            (resource.type, resource.name.replace(region, "region").replace(stack, "stack"))
            for resource in committed[stack].resources
            if "gpu" not in resource.name and "vswitch" not in resource.name
        )

    assert kinds("prod") == kinds("dr")


def test_a_gpu_in_the_cloud_stands_where_it_is_drawn(runner: Runner) -> None:
    def change(regions: Any) -> None:
        regions["fsn1"]["pools"]["gpu"] = {"kind": "cloud", "type": "ccx33", "nodes": "3"}

    gpu = runner.regions(change).run("prod").named("fsn1-gpu-3", SERVER)
    assert gpu.inputs["networks"][0]["ip"] == "10.1.2.3"


def test_the_vswitch_subnet_exists_only_with_a_robot_pool(runner: Runner, committed: dict[str, Deployment]) -> None:
    subnet = "hcloud:index/networkSubnet:NetworkSubnet"
    assert committed["prod"].named("fsn1-network-vswitch", subnet).inputs["vswitchId"] == 4711
    assert [resource for resource in committed["dr"].by_type(subnet) if "vswitch" in resource.name] == []


def test_placement_groups_take_ten_machines_each(runner: Runner) -> None:
    def change(regions: Any) -> None:
        regions["fsn1"]["pools"]["general"]["nodes"] = "1-11,25"

    groups = runner.regions(change).run("prod").by_type("hcloud:index/placementGroup:PlacementGroup")
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
