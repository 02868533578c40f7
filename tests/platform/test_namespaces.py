"""What each namespace of a region really takes and refuses: Pod Security, quota, limits, and accounts without tokens."""

from typing import Any

import pytest

from .cluster import RegionCluster
from .composition import Object
from .pods import BASELINE_REFUSES, RESTRICTED_REFUSES, on_host, plain, pod

# A quota that is not counted yet refuses every pod.
pytestmark = pytest.mark.usefixtures("counted")

LEVEL = "pod-security.kubernetes.io/enforce"
PRODUCTION, STAGING = "accounts-production", "accounts-staging"
VIOLATES = "violates PodSecurity"


def composed(cluster: RegionCluster) -> dict[str, Object]:
    """Its namespaces by name, as the API server has them."""
    names = {each["metadata"]["name"] for each in cluster.composition.objects() if each["kind"] == "Namespace"}
    return {
        each["metadata"]["name"]: each for each in cluster.items("v1", "Namespace") if each["metadata"]["name"] in names
    }


def of_level(cluster: RegionCluster, level: str) -> list[str]:
    """Namespaces of a level; those that say none have the API server's own, which is ``restricted``."""
    return [
        name
        for name, each in composed(cluster).items()
        if each["metadata"].get("labels", {}).get(LEVEL, "restricted") == level
    ]


def test_which_namespaces_take_more_than_restricted_pods(cluster: RegionCluster) -> None:
    privileged = {"longhorn-system", "linkerd-cni", *(["gpu"] if cluster.region == "fsn1" else [])}
    assert set(of_level(cluster, "privileged")) == privileged
    assert of_level(cluster, "baseline") == []
    assert len(of_level(cluster, "restricted")) == len(composed(cluster)) - len(privileged)


def test_restricted_namespaces_refuse_everything_else(cluster: RegionCluster) -> None:
    taken = [
        (name, case)
        for name in [*of_level(cluster, "restricted"), "default"]
        for case, made in RESTRICTED_REFUSES.items()
        if VIOLATES not in cluster.refusal(made(name))
    ]
    assert taken == []


def test_restricted_namespaces_take_restricted_pods(cluster: RegionCluster) -> None:
    refused = {name: cluster.refusal(pod(name)) for name in of_level(cluster, "restricted")}
    assert {name: why for name, why in refused.items() if why} == {}


def test_privileged_namespaces_take_what_they_are_for(cluster: RegionCluster) -> None:
    names = [*of_level(cluster, "privileged"), "kube-system"]
    refused = {(name, made.__name__): cluster.refusal(made(name)) for name in names for made in (on_host, plain, pod)}
    assert {name: why for name, why in refused.items() if why} == {}


def test_a_namespace_that_says_nothing_is_restricted(cluster: RegionCluster) -> None:
    """Pods of the level ``baseline`` are too much there as well: it is the API server's own default."""
    assert all(VIOLATES in cluster.refusal(RESTRICTED_REFUSES[case]("default")) for case in BASELINE_REFUSES)
    assert 'violates PodSecurity "restricted:latest"' in cluster.refusal(plain("default"))


def test_default_accounts_carry_no_token(cluster: RegionCluster) -> None:
    accounts = {name: cluster.get("v1", "ServiceAccount", "default", name) for name in composed(cluster)}
    assert [name for name, each in accounts.items() if each.get("automountServiceAccountToken") is not False] == []


def mounted(cluster: RegionCluster, namespace: str, **spec: Any) -> list[str]:
    """Volumes that the API server adds to a pod."""
    given = cluster.make(pod(namespace, **spec), dry=True)
    return [each["name"] for each in given["spec"].get("volumes", ())]


def test_a_pod_gets_no_token_from_the_api_server(cluster: RegionCluster) -> None:
    assert {name: found for name in of_level(cluster, "restricted") if (found := mounted(cluster, name))} == {}
    # The control: where nobody has said so, and where a pod asks.
    assert len(mounted(cluster, "kube-system")) == 1
    assert len(mounted(cluster, "openbao", automountServiceAccountToken=True)) == 1


QUOTA: dict[str, tuple[Object, str]] = {
    "more CPU than the quota": (
        {"container": {"resources": {"requests": {"cpu": "2001m"}, "limits": {"memory": "64Mi"}}}},
        "exceeded quota: quota",
    ),
    "more memory than the quota": (
        {"container": {"resources": {"limits": {"memory": "1537Mi"}}}},
        "maximum memory usage",
    ),
    "less memory than anything needs": (
        {"container": {"resources": {"requests": {"memory": "1Mi"}, "limits": {"memory": "1Mi"}}}},
        "minimum memory usage",
    ),
    "a GPU without a quota of them": (
        {"container": {"resources": {"limits": {"memory": "64Mi", "nvidia.com/gpu": 1}}}},
        "exceeded quota: quota",
    ),
    "a system's priority": ({"priorityClassName": "system-cluster-critical"}, "exceeded quota: priority"),
    "staging's priority in production": ({"priorityClassName": "tenant-staging"}, "exceeded quota: priority"),
}


@pytest.mark.parametrize("case", QUOTA)
def test_a_tenants_quota_and_limits_refuse(cluster: RegionCluster, case: str) -> None:
    changes, said = QUOTA[case]
    assert said in cluster.refusal(pod(PRODUCTION, **changes))


def test_a_tenants_services_open_no_other_way_in(cluster: RegionCluster) -> None:
    for kind in ("LoadBalancer", "NodePort"):
        spec = {"type": kind, "ports": [{"port": 80}], "selector": {"a": "b"}}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "open", "namespace": PRODUCTION},
            "spec": spec,
        }
        assert "exceeded quota: quota" in cluster.refusal(service)


def test_a_gpu_is_given_where_the_region_has_one(cluster: RegionCluster) -> None:
    wanted = pod("ml-production", container={"resources": {"limits": {"memory": "64Mi", "nvidia.com/gpu": 1}}})
    refused = cluster.refusal(wanted)
    assert ("exceeded quota: quota" in refused) is (cluster.region == "nbg1")
    assert (refused == "") is (cluster.region == "fsn1")


def test_every_tenants_namespace_has_its_quota_counted(cluster: RegionCluster) -> None:
    """A quota that nobody counts refuses everything, or nothing."""
    names = [
        name for name, each in composed(cluster).items() if "hetzner-platform/tenant" in each["metadata"]["labels"]
    ]
    counted = {
        name: {
            each["metadata"]["name"]
            for each in cluster.items("v1", "ResourceQuota", name)
            if each["status"].get("used")
        }
        for name in names
    }
    assert counted == {
        name: {"quota", "priority"}
        for name in (
            "accounts-production",
            "accounts-staging",
            "gateway-production",
            "gateway-staging",
            "ml-production",
        )
    }
