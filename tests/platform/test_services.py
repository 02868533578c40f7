"""Services of tenants, deployed by the services' chart with real Helm as what Argo CD deploys with."""

import pytest

from .cluster import RegionCluster
from .composition import Object
from .services import ACCOUNTS, GATEWAY, ROUTER, USERS, Services

PLACES = {"users": ACCOUNTS, "router": GATEWAY}


@pytest.fixture(scope="package", autouse=True)
def installed(services: Services) -> None:
    services.install()


def pods(cluster: RegionCluster, name: str) -> list[Object]:
    found = cluster.items("v1", "Pod", PLACES[name])
    return [each for each in found if each["metadata"]["labels"]["app.kubernetes.io/name"] == name]


@pytest.mark.parametrize("name", PLACES)
def test_its_pods_are_taken_scheduled_and_run(cluster: RegionCluster, name: str) -> None:
    """By Pod Security, quota, limits and admission policies; placed by the real scheduler on machines of the region."""
    cluster.until(
        lambda: {each["status"]["phase"] for each in pods(cluster, name)} == {"Running"},
        why=lambda: pods(cluster, name),
    )
    assert len(pods(cluster, name)) == 2
    agents = {each.name for each in cluster.composition.machines if each.labels["role"] == "agent"}
    assert {each["spec"]["nodeName"] for each in pods(cluster, name)} <= agents


@pytest.mark.parametrize("name", PLACES)
def test_its_pods_have_the_tenants_priority_and_no_token(cluster: RegionCluster, name: str) -> None:
    cluster.until(lambda: len(pods(cluster, name)) == 2)
    for each in pods(cluster, name):
        assert each["spec"]["priorityClassName"] == "tenant-production"
        assert not [
            volume for volume in each["spec"].get("volumes", ()) if volume["name"].startswith("kube-api-access")
        ]


def test_what_it_uses_is_counted_against_the_quota(cluster: RegionCluster) -> None:
    def used() -> bool:
        held = cluster.get("v1", "ResourceQuota", "quota", ACCOUNTS)
        return bool(held["status"]["used"].get("pods") == "2")

    cluster.until(used, why=lambda: cluster.get("v1", "ResourceQuota", "quota", ACCOUNTS)["status"])


def test_a_service_with_another_tenants_host_is_refused(services: Services) -> None:
    """By the API server, whatever Helm and the account may."""
    answer = services.helm(
        "upgrade", "users", ACCOUNTS, {**USERS, "route": {**USERS["route"], "hosts": ["api.example.com"]}}
    )
    assert answer.returncode != 0
    assert "tenant-hosts" in answer.stderr


def test_it_is_installed_in_its_own_namespace_alone(services: Services) -> None:
    answer = services.helm("install", "router", ACCOUNTS, ROUTER)
    assert answer.returncode != 0
    assert f"tenant and environment say namespace {GATEWAY}, but this goes to {ACCOUNTS}" in answer.stderr


def test_another_tenants_account_installs_nothing_there(services: Services) -> None:
    answer = services.helm("upgrade", "users", ACCOUNTS, USERS, account=GATEWAY)
    assert answer.returncode != 0
    assert "forbidden" in answer.stderr
