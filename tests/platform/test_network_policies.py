"""What is held against the table of connections is what an API server has: the policies of the table's region, read back."""

from typing import Any

import pytest

from tests.network.platform import KINDS, TENANTS, made

from .cluster import RegionCluster
from .composition import Object
from .conftest import Filled

VERSIONS = {"NetworkPolicy": "networking.k8s.io/v1"}
CILIUM = "cilium.io/v2"
Key = tuple[str, str, str]


def key(policy: Any) -> Key:
    metadata = policy["metadata"]
    return policy["kind"], metadata.get("namespace", ""), metadata["name"]


def is_of_table(namespace: str) -> bool:
    """Whether it is one of the tenants that only the table has."""
    return namespace.rpartition("-")[0] in TENANTS


@pytest.fixture(scope="module")
def region(regions: dict[str, Filled]) -> RegionCluster:
    """The one that the table is about."""
    return regions["fsn1"].cluster


@pytest.fixture(scope="module")
def held(region: RegionCluster) -> dict[Key, Object]:
    """All policies of the API server, once the table's tenants have theirs too."""
    for name, labels in made().namespaces.items():
        if is_of_table(name):
            region.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}})
    for each in made().policies:
        if is_of_table(each["metadata"].get("namespace", "")):
            region.make(each)
    found = [{**each, "kind": kind} for kind in KINDS for each in region.items(VERSIONS.get(kind, CILIUM), kind)]
    # Those of services come with them.
    return {key(each): each for each in found if "helm.sh/chart" not in each["metadata"].get("labels", {})}


def test_the_api_server_has_the_policies_of_the_table_and_no_others(held: dict[Key, Object]) -> None:
    assert held.keys() == {key(each) for each in made().policies}
    assert len(held) > 80


def test_each_says_what_the_table_is_held_against(held: dict[Key, Object]) -> None:
    """All of it: what the API server adds is only that TCP is meant where a port says nothing."""
    different = [name for each in made().policies if held[name := key(each)]["spec"] != each["spec"]]
    assert different == []


def test_another_policy_would_be_noticed(held: dict[Key, Object], region: RegionCluster) -> None:
    namespace = "orders-production"
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    metadata = {"name": "everything", "namespace": namespace}
    open_one = {"apiVersion": VERSIONS["NetworkPolicy"], "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    region.make(open_one)
    try:
        there = {
            ("NetworkPolicy", namespace, each["metadata"]["name"])
            for each in region.items(VERSIONS["NetworkPolicy"], "NetworkPolicy", namespace)
        }
        assert there - held.keys() == {("NetworkPolicy", namespace, "everything")}
    finally:
        region.ask("DELETE", region.path(VERSIONS["NetworkPolicy"], "NetworkPolicy", namespace, "everything"))
