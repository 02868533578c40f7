"""config/tenants.yaml: what is refused, and with which words."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.problem import Problem
from stacks.settings import Reader
from stacks.tenant_checks import RESERVED, Offer, check_hosts, check_quotas, check_tenants
from stacks.tenant_models import TenantSettings, read_tenants

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ["https://git.example.com/*"]
APIS = ["k8s-fsn1", "k8s-nbg1"]
ORDERS: Mapping[str, Any] = {
    "owner": "team-orders",
    "groups": {"admin": ["leads"], "developer": ["orders"]},
    "repositories": ["https://git.example.com/orders/api.git"],
    "reaches": ["databases"],
    "environments": {
        "production": {
            "hosts": ["orders.example.com"],
            "quota": {"cpu": 2, "memory": "4Gi", "storage": "10Gi", "gpus": {"fsn1": 1}},
            "buckets": {"uploads": {}},
        }
    },
}
QUOTA = ("orders", "environments", "production", "quota")


GPUS = {"fsn1": 1, "nbg1": 0}


def read(directory: Path, tenants: object) -> tuple[TenantSettings, list[Problem]]:
    (directory / "config").mkdir(exist_ok=True)
    (directory / "config/tenants.yaml").write_text(yaml.safe_dump(tenants, sort_keys=False))
    reader = Reader(directory)
    settings = read_tenants(reader)
    return settings, [each.problem for each in reader.problems]


def edited(path: tuple[Any, ...], value: object, base: Mapping[str, Any] = ORDERS) -> dict[str, Any]:
    document: Any = {"orders": copy.deepcopy(dict(base))}
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


def said(directory: Path, tenants: object) -> list[tuple[str, str]]:
    settings, problems = read(directory, tenants)
    found = [
        *problems,
        *check_tenants(settings, SOURCES, GPUS),
        *check_hosts(settings, "example.com", ["@", "*"], APIS),
    ]
    return [(each.key, each.problem) for each in found]


def test_the_example_is_accepted(tmp_path: Path) -> None:
    assert said(tmp_path, {"orders": dict(ORDERS)}) == []


def test_the_committed_tenants_are_accepted_and_fit_the_machines_with_one_agent_lost() -> None:
    reader = Reader(ROOT)
    settings = read_tenants(reader)
    assert reader.problems == []
    assert {*settings.tenants} == {"accounts", "gateway", "ml"}
    platform = yaml.safe_load((ROOT / "config/platform.yaml").read_text())
    assert list(check_tenants(settings, platform["source_repositories"], GPUS)) == []
    assert list(check_hosts(settings, "example.com", ["@", "*"], APIS)) == []
    left = Offer(cpu=7000, memory=6144)
    assert list(check_quotas(settings, "fsn1", left)) == []


def test_nothing_is_a_platform_without_tenants(tmp_path: Path) -> None:
    settings, problems = read(tmp_path, None)
    assert (settings.tenants, problems) == ({}, [])


def test_a_list_of_tenants_is_refused(tmp_path: Path) -> None:
    _, problems = read(tmp_path, [dict(ORDERS)])
    assert [each.problem for each in problems] == ["holds no tenants"]


REFUSED: dict[str, tuple[tuple[Any, ...], object, str, str]] = {
    "an unknown key": (("orders", "onwer"), "x", "orders.onwer", "is an unknown key"),
    "no environment": (("orders", "environments"), {}, "orders.environments", "is empty"),
    "another environment": (
        ("orders", "environments", "test"),
        {"quota": {"cpu": 1, "memory": "1Gi"}},
        "orders.environments.test",
        "is not allowed here",
    ),
    "an unknown reach": (("orders", "reaches"), ["database"], "orders.reaches[0]", "is not allowed here"),
    "a reach twice": (("orders", "reaches"), ["databases", "databases"], "orders.reaches[1]", "stands there twice"),
    "no repositories": (("orders", "repositories"), [], "orders.repositories", "is empty"),
    "a source elsewhere": (
        ("orders", "repositories"),
        ["https://git.example.org/orders.git"],
        "orders.repositories[0]",
        "is outside the sources",
    ),
    "a source that leads out": (
        ("orders", "repositories"),
        ["https://git.example.com/../evil.git"],
        "orders.repositories[0]",
        "is outside the sources",
    ),
    "a source that names another host": (
        ("orders", "repositories"),
        ["https://git.example.com@git.example.org/a.git"],
        "orders.repositories[0]",
        "is outside the sources",
    ),
    "an owner that is no label": (("orders", "owner"), "Team Orders", "orders.owner", "is no label"),
    "a group of Kubernetes": (
        ("orders", "groups"),
        {"admin": ["system:authenticated"]},
        "orders.groups.admin[0]",
        "is one of Kubernetes' own or the platform's groups",
    ),
    "an empty group": (("orders", "groups"), {"viewer": [""]}, "orders.groups.viewer[0]", "is no group's name"),
    "CPU in words": ((*QUOTA, "cpu"), "many", "orders.environments.production.quota.cpu", "is no quantity"),
    "CPU as a fraction": ((*QUOTA, "cpu"), 0.5, "orders.environments.production.quota.cpu", "must be text"),
    "no CPU": ((*QUOTA, "cpu"), 0, "orders.environments.production.quota.cpu", "is nothing"),
    "truth as CPU": ((*QUOTA, "cpu"), True, "orders.environments.production.quota.cpu", "must be text"),
    "memory in words": ((*QUOTA, "memory"), "4 GB", "orders.environments.production.quota.memory", "is no quantity"),
    "storage below nothing": (
        (*QUOTA, "storage"),
        "-1Gi",
        "orders.environments.production.quota.storage",
        "is no quantity",
    ),
    "no pods": ((*QUOTA, "pods"), 0, "orders.environments.production.quota.pods", "greater than or equal to 1"),
    "GPUs where there are none": (
        (*QUOTA, "gpus"),
        {"nbg1": 1},
        "orders.environments.production.quota.gpus.nbg1",
        "the region nbg1 has no machine with a GPU",
    ),
    "GPUs of no region": (
        (*QUOTA, "gpus"),
        {"hel1": 1},
        "orders.environments.production.quota.gpus.hel1",
        "is no region",
    ),
    "a public bucket": (
        ("orders", "environments", "production", "buckets"),
        {"site": {"public": True}},
        "orders.environments.production.buckets.site.public",
        "would show everybody what is in it",
    ),
    "a bucket in capitals": (
        ("orders", "environments", "production", "buckets"),
        {"Uploads": {}},
        "orders.environments.production.buckets.Uploads",
        "is no bucket's name",
    ),
    "a bucket whose name is too long": (
        ("orders", "environments", "production", "buckets"),
        {"u" * 50: {}},
        f"orders.environments.production.buckets.{'u' * 50}",
        "a bucket's name has at most 63",
    ),
    "a host outside the zone": (
        ("orders", "environments", "production", "hosts"),
        ["orders.example.org"],
        "orders.environments.production.hosts[0]",
        "is outside the zone example.com",
    ),
    "a host two labels below": (
        ("orders", "environments", "production", "hosts"),
        ["api.orders.example.com"],
        "orders.environments.production.hosts[0]",
        "is two labels below the zone",
    ),
    "a host twice": (
        ("orders", "environments", "production", "hosts"),
        ["orders.example.com", "orders.example.com"],
        "orders.environments.production.hosts[1]",
        "stands there twice",
    ),
    "a wildcard": (
        ("orders", "environments", "production", "hosts"),
        ["*.example.com"],
        "orders.environments.production.hosts[0]",
        "is no host name",
    ),
    "a host that closes a rule": (
        ("orders", "environments", "production", "hosts"),
        ["a`) || Host(`b.example.com"],
        "orders.environments.production.hosts[0]",
        "is no host name",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_named_by_its_key(tmp_path: Path, case: str) -> None:
    path, value, key, problem = REFUSED[case]
    found = said(tmp_path, edited(path, value))
    assert any(at == key and problem in what for at, what in found), found


@pytest.mark.parametrize("name", [*sorted(RESERVED), "kube-system", "kube-anything"])
def test_names_of_the_platform_are_not_a_tenants(tmp_path: Path, name: str) -> None:
    assert (name, "is a name of the platform's own") in said(tmp_path, {name: dict(ORDERS)})


@pytest.mark.parametrize("name", ["Orders", "orders_1", "-orders", "o" * 53, "1orders"])
def test_names_that_make_no_namespace_are_refused(tmp_path: Path, name: str) -> None:
    assert [key for key, _ in said(tmp_path, {name: dict(ORDERS)}) if key == name] == [name]


def test_the_longest_name_is_taken(tmp_path: Path) -> None:
    document = {"o" * 52: dict(edited(("orders", "environments", "production", "buckets"), {})["orders"])}
    assert said(tmp_path, document) == []


def test_a_host_belongs_to_one_tenant(tmp_path: Path) -> None:
    found = said(tmp_path, {"orders": dict(ORDERS), "billing": dict(ORDERS)})
    assert found == [("billing.environments.production.hosts[0]", "is a host of orders.environments.production too")]


@pytest.mark.parametrize(
    ("covered", "refused"), [(["@", "*"], False), (["orders"], False), (["@"], True), (["shop"], True)]
)
def test_a_host_is_one_that_leads_to_the_platform(tmp_path: Path, covered: list[str], refused: bool) -> None:
    settings, _ = read(tmp_path, {"orders": dict(ORDERS)})
    found = [each.problem for each in check_hosts(settings, "example.com", covered, APIS)]
    assert ["leads nowhere" in each for each in found] == [True] * refused


@pytest.mark.parametrize(("host", "refused"), [("k8s-nbg1", True), ("k8s-hel1", False), ("k8s-nbg1-docs", False)])
def test_the_name_of_a_kubernetes_api_is_no_tenants(tmp_path: Path, host: str, refused: bool) -> None:
    document = edited(("orders", "environments", "production", "hosts"), [f"{host}.example.com"])
    told = [("orders.environments.production.hosts[0]", "is the name of a region's Kubernetes API")]
    assert said(tmp_path, document) == told * refused


def test_a_quota_above_the_machines_is_refused(tmp_path: Path) -> None:
    settings, _ = read(tmp_path, {"orders": dict(ORDERS), "billing": dict(ORDERS)})
    found = list(check_quotas(settings, "fsn1", Offer(1999, 4095)))
    assert [each.key for each in found][:2] == [".".join((*QUOTA, "cpu")), ".".join((*QUOTA, "memory"))]
    assert list(check_quotas(settings, "fsn1", Offer(2000, 4096))) == []


def test_everything_is_told_at_once(tmp_path: Path) -> None:
    document = edited((*QUOTA, "cpu"), "many")
    document["orders"]["owner"] = "Team Orders"
    document["orders"]["reaches"] = ["databases", "databases"]
    assert {key for key, _ in said(tmp_path, document)} == {
        ".".join((*QUOTA, "cpu")),
        "orders.owner",
        "orders.reaches[1]",
    }


def test_more_gpus_than_the_region_has_are_refused(tmp_path: Path) -> None:
    settings, _ = read(tmp_path, edited((*QUOTA, "gpus"), {"fsn1": 2}))
    found = list(check_tenants(settings, SOURCES, {"fsn1": 1, "nbg1": 0}))
    assert [(each.key, each.problem) for each in found] == [
        (".".join((*QUOTA, "gpus", "fsn1")), "is above what fsn1 has for all tenants together, 1")
    ]
    assert list(check_tenants(settings, SOURCES, {"fsn1": 2, "nbg1": 0})) == []
