"""A tenant's namespace on a real API server: it takes what the component makes and what the services' chart makes, and refuses
pods that are too large, of another priority, or of another Pod Security level.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from kubernetes import client, dynamic, watch
from kubernetes.client.exceptions import ApiException

from components.tenancy import Tenants, platform_flows
from sandbox.inprocess import run
from tests.charts.test_service import EXAMPLES, FULL, GPU, render
from tests.charts.test_service import pod as chart_pod
from tests.unit.tenancy.test_tenants import flows, tenant

NAMESPACE = "orders-production"
QUOTA = {"cpu": "1", "memory": "1Gi", "pods": 20, "storage": "10Gi", "gpus": 1}
SECONDS = 60


def manifests() -> list[dict[str, Any]]:
    """What the component makes of kinds that Kubernetes has by itself, namespaces first."""

    def program() -> None:
        given: Any = tenant(quota=QUOTA, flows=flows("databases", "internet"))
        Tenants("tenants", {"tenants": [given], "platform_flows": platform_flows(4180)})

    made = run(program, project="test", stack="test", skipped=frozenset({"kubernetes"})).resources
    found: list[dict[str, Any]] = []
    for resource in made:
        group, _, kind = resource.type.removeprefix("kubernetes:").partition(":")
        if resource.type.startswith("kubernetes:") and not kind.endswith("Patch") and "cilium" not in group:
            found.append({"apiVersion": group.removeprefix("core/"), "kind": kind, **resource.inputs})
    return sorted(found, key=lambda each: (each["kind"] != "Namespace", each["kind"]))


def ask(kinds: dynamic.DynamicClient, manifest: Mapping[str, Any], *, dry: bool = False) -> None:
    """Make it; fields that Kubernetes does not know are refused."""
    kind = kinds.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
    namespace = manifest["metadata"].get("namespace", NAMESPACE if dry else None)
    query = [("fieldValidation", "Strict"), *([("dryRun", "All")] if dry else [])]
    kinds.request("post", kind.path(namespace=namespace), body=dict(manifest), query_params=query)


@pytest.fixture(scope="module")
def made(core: client.CoreV1Api, kinds: dynamic.DynamicClient) -> str:
    """The namespace and everything in it, its quotas counted."""
    for manifest in manifests():
        ask(kinds, manifest)
    waiting = {"quota", "priority"}
    events = watch.Watch().stream(core.list_namespaced_resource_quota, NAMESPACE, timeout_seconds=SECONDS)
    for event in events:
        found: Any = event["object"]
        if found.status.hard:
            waiting.discard(found.metadata.name)
        if not waiting:
            break
    assert not waiting, f"not counted after {SECONDS} s: {waiting}"
    accounts = watch.Watch().stream(core.list_namespaced_service_account, NAMESPACE, timeout_seconds=SECONDS)
    assert any(event["object"].metadata.name == "default" for event in accounts)
    core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "api"}})
    return NAMESPACE


def pod(**changes: Any) -> dict[str, Any]:
    """A pod of the services' chart, changed."""
    spec: dict[str, Any] = {**chart_pod(EXAMPLES["minimal"])["spec"], **changes}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried", "namespace": NAMESPACE}, "spec": spec}


def container(**changes: Any) -> list[dict[str, Any]]:
    (found,) = chart_pod(EXAMPLES["minimal"])["spec"]["containers"]
    return [{**found, **changes}]


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("name", EXAMPLES)
def test_what_the_services_chart_makes_is_accepted(kinds: dynamic.DynamicClient, name: str) -> None:
    own = [each for each in render(EXAMPLES[name]) if "." not in each["apiVersion"] or ".k8s.io" in each["apiVersion"]]
    assert {each["kind"] for each in own} >= {
        "Deployment",
        "NetworkPolicy",
        "ServiceAccount",
        "PodDisruptionBudget",
    } - {"ServiceAccount"}
    for manifest in own:
        if manifest["kind"] != "ServiceAccount":
            ask(kinds, manifest, dry=True)


@pytest.mark.usefixtures("made")
def test_its_pods_keep_the_restricted_level_and_fit_the_quota(kinds: dynamic.DynamicClient) -> None:
    ask(kinds, pod(), dry=True)
    ask(kinds, {**pod(), "spec": chart_pod(FULL)["spec"]}, dry=True)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "the host's network": ({"hostNetwork": True}, "violates PodSecurity"),
    "root": ({"securityContext": {"runAsUser": 0, "runAsNonRoot": False}}, "violates PodSecurity"),
    "a privileged container": ({"containers": container(securityContext={"privileged": True})}, "violates PodSecurity"),
    "a system's priority": ({"priorityClassName": "system-cluster-critical"}, "exceeded quota: priority"),
    "staging's priority in production": ({"priorityClassName": "tenant-staging"}, "exceeded quota: priority"),
    "more CPU than the quota": (
        {"containers": container(resources={"requests": {"cpu": "1001m"}, "limits": {"memory": "64Mi"}})},
        "exceeded quota: quota",
    ),
    "more memory than the quota": (
        {"containers": container(resources={"limits": {"memory": "1025Mi"}})},
        "maximum memory usage per Container is 1Gi",
    ),
    "less memory than anything needs": (
        {"containers": container(resources={"requests": {"memory": "1Mi"}})},
        "minimum memory usage per Container is 8Mi",
    ),
    "more GPUs than the quota": (
        {"containers": container(resources={"limits": {"memory": "64Mi", "nvidia.com/gpu": 2}})},
        "exceeded quota: quota",
    ),
}


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("case", REFUSED)
def test_pods_that_may_or_want_too_much_are_refused(kinds: dynamic.DynamicClient, case: str) -> None:
    changes, said = REFUSED[case]
    with pytest.raises(ApiException, match=said):
        ask(kinds, pod(**changes), dry=True)


@pytest.mark.usefixtures("made")
def test_a_pod_that_says_nothing_gets_requests_and_a_limit(core: client.CoreV1Api) -> None:
    (bare,) = container()
    del bare["resources"]
    given = core.create_namespaced_pod(NAMESPACE, pod(containers=[bare]), dry_run="All")
    resources = given.spec.containers[0].resources
    assert resources.requests == {"cpu": "50m", "memory": "128Mi"}
    assert resources.limits == {"memory": "256Mi"}


@pytest.mark.usefixtures("made")
def test_a_pod_without_a_priority_is_taken(kinds: dynamic.DynamicClient) -> None:
    given = pod()
    del given["spec"]["priorityClassName"]
    ask(kinds, given, dry=True)


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_services_open_no_other_way_in(kinds: dynamic.DynamicClient, kind: str) -> None:
    spec = {"type": kind, "ports": [{"port": 80}], "selector": {"a": "b"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "open"}, "spec": spec}
    with pytest.raises(ApiException, match="exceeded quota: quota"):
        ask(kinds, service, dry=True)


@pytest.mark.usefixtures("made")
def test_a_gpu_of_the_quota_is_given(kinds: dynamic.DynamicClient) -> None:
    spec = {**chart_pod(GPU)["spec"]}
    # Made by the layer of GPUs.
    del spec["runtimeClassName"]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    ask(kinds, {**pod(), "spec": spec}, dry=True)
