"""What the object store's chart makes is accepted by a real API server, and its pods by the restricted level."""

from typing import Any

import pytest
from kubernetes import client, dynamic
from kubernetes.client.exceptions import ApiException

from tests.charts.test_object_store import PROVISIONED, pod_specs, render

NAMESPACE = "object-store"


@pytest.fixture(scope="module")
def restricted(core: client.CoreV1Api) -> str:
    """A namespace as the layer makes it."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.create_namespace({"metadata": {"name": NAMESPACE, "labels": labels}})
    return NAMESPACE


def accepted(kinds: dynamic.DynamicClient, manifest: dict[str, Any]) -> None:
    """Try it without keeping it; fields that Kubernetes does not know are refused."""
    kind = kinds.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
    path = f"{kind.path(namespace=NAMESPACE)}"
    query = [("dryRun", "All"), ("fieldValidation", "Strict")]
    kinds.request("post", path, body=manifest, query_params=query)


def pod(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": spec}


@pytest.mark.usefixtures("restricted")
def test_everything_that_the_chart_makes_is_accepted(kinds: dynamic.DynamicClient) -> None:
    manifests = render(*PROVISIONED)
    assert len(manifests) == 6
    for manifest in manifests:
        accepted(kinds, manifest)


@pytest.mark.usefixtures("restricted")
def test_its_pods_keep_the_restricted_level(kinds: dynamic.DynamicClient) -> None:
    for spec in pod_specs(render(*PROVISIONED)):
        claimed = [each["name"] for each in spec["containers"][0]["volumeMounts"] if each["name"].startswith("volume-")]
        volumes = [*spec["volumes"], *({"name": name, "emptyDir": {}} for name in claimed)]
        accepted(kinds, pod({**spec, "volumes": volumes}))


@pytest.mark.usefixtures("restricted")
@pytest.mark.parametrize("missing", ["seccompProfile", "runAsNonRoot"])
def test_a_pod_that_may_more_would_be_refused(kinds: dynamic.DynamicClient, missing: str) -> None:
    (job,) = (spec for spec in pod_specs(render(*PROVISIONED)) if spec.get("restartPolicy") == "Never")
    context = {key: value for key, value in job["securityContext"].items() if key != missing}
    with pytest.raises(ApiException, match="violates PodSecurity"):
        accepted(kinds, pod({**job, "securityContext": context}))


@pytest.mark.usefixtures("restricted")
def test_a_field_that_kubernetes_does_not_know_would_be_refused(kinds: dynamic.DynamicClient) -> None:
    (budget,) = (each for each in render() if each["kind"] == "PodDisruptionBudget")
    with pytest.raises(ApiException, match="unknown field"):
        accepted(kinds, {**budget, "spec": {**budget["spec"], "maxUnavailble": 1}})
