"""Creations and updates end when objects are ready, as their real controllers say; pods are played by a stand-in."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client

from sandbox.plugins.package import Package, PartiallyCreated, ProviderError, Target
from sandbox.plugins.packages.kubernetes import awaits

from .conftest import SECONDS, eventually
from .played import FAILS, PULLS, RUNS, SUCCEEDS, pods

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("node")]


def given(namespace: str, **annotations: str) -> dict[str, Any]:
    named = {f"pulumi.com/{name}": value for name, value in annotations.items()}
    return {"name": "it", "namespace": namespace, **({"annotations": named} if named else {})}


def workload(namespace: str, image: str = "one", **more: Any) -> dict[str, Any]:
    annotations = {name: more.pop(name) for name in ("timeoutSeconds", "skipAwait", "waitFor") if name in more}
    pod = {"metadata": {"labels": {"app": "it"}}, "spec": {"containers": [{"name": "it", "image": image}]}}
    spec = {"selector": {"matchLabels": {"app": "it"}}, "template": pod, **more}
    return {"metadata": given(namespace, **annotations), "spec": spec}


def job(namespace: str, **more: Any) -> dict[str, Any]:
    pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "it", "image": "one"}]}}
    return {"metadata": given(namespace), "spec": {"template": pod, **more}}


def make(package: Package, kind: str, inputs: dict[str, Any]) -> Any:
    target = Target(f"kubernetes:{kind}", "it")
    checked = package.check(target, inputs)
    assert checked.failures == []
    return package.create(target, checked.inputs, preview=False)


def images(core: client.CoreV1Api, namespace: str) -> set[str]:
    return {pod.spec.containers[0].image for pod in core.list_namespaced_pod(namespace).items}


def waiting(core: client.CoreV1Api, namespace: str) -> set[str]:
    """Why containers wait."""
    statuses = [each.status.container_statuses or [] for each in core.list_namespaced_pod(namespace).items]
    return {each.state.waiting.reason for several in statuses for each in several if each.state.waiting}


def is_seen(found: Any) -> bool:
    """Whether its controller has seen its latest version."""
    return (found.status.observed_generation or 0) >= found.metadata.generation


Over = Callable[[Callable[[], bool]], None]
DEPLOYMENT = Target("kubernetes:apps/v1:Deployment", "it")


def test_a_deployment_waits_for_its_pods_and_then_for_those_of_the_new_version(
    provider: Package, core: client.CoreV1Api, namespace: str
) -> None:
    old, new = workload(namespace, replicas=2), workload(namespace, "two", replicas=2)
    with pods(core, namespace, RUNS):
        made = make(provider, "apps/v1:Deployment", old)
        assert made.outputs["status"]["readyReplicas"] == 2
        told: Any = provider.update(DEPLOYMENT, made.id, old, new, made.outputs, preview=False)
        # The last old pod may still be on its way out when the new ones are ready.
        eventually(lambda: images(core, namespace) == {"two"})
    assert (told["status"]["readyReplicas"], told["status"]["updatedReplicas"]) == (2, 2)


def test_a_deployment_that_is_not_ready_in_time_is_recorded_and_told(
    provider: Package, core: client.CoreV1Api, api: client.ApiClient, namespace: str, over_when: Over
) -> None:
    apps = client.AppsV1Api(api)
    over_when(
        lambda: (
            waiting(core, namespace) == {"ImagePullBackOff"}
            and is_seen(apps.read_namespaced_deployment("it", namespace))
        )
    )
    with pods(core, namespace, PULLS), pytest.raises(PartiallyCreated) as failed:
        make(provider, "apps/v1:Deployment", workload(namespace, timeoutSeconds="2"))
    assert failed.value.id == f"{namespace}/it"
    message = str(failed.value)
    assert message.startswith(
        f"Deployment {namespace}/it was created, but is not ready: it did not become ready within 2 s"
    )
    assert "0 of 1 replicas are ready" in message
    assert "[ImagePullBackOff] no such image" in message
    # A refresh says the same, at once, and knows what was given.
    inputs = workload(namespace, timeoutSeconds="2")
    with pytest.raises(PartiallyCreated, match="0 of 1 replicas are ready") as read:
        provider.read(DEPLOYMENT, failed.value.id, inputs, failed.value.outputs)
    assert read.value.inputs == inputs


def test_the_programs_own_time_comes_before_the_annotations(provider: Package, namespace: str) -> None:
    target = Target(DEPLOYMENT.token, "it", timeout=1.0)
    with pytest.raises(PartiallyCreated, match="within 1 s"):
        provider.create(target, workload(namespace, timeoutSeconds="50"), preview=False)


def test_who_skips_waiting_does_not_wait(provider: Package, namespace: str) -> None:
    made = make(provider, "apps/v1:Deployment", workload(namespace, skipAwait="true"))
    assert "readyReplicas" not in made.outputs["status"]
    assert provider.read(DEPLOYMENT, made.id, workload(namespace, skipAwait="true"), made.outputs) is not None


def test_a_wait_ends_when_the_object_is_deleted(
    provider: Package, core: client.CoreV1Api, api: client.ApiClient, namespace: str
) -> None:
    failures: list[ProviderError] = []

    def create() -> None:
        try:
            make(provider, "apps/v1:Deployment", workload(namespace))
        except ProviderError as error:
            failures.append(error)

    creating = threading.Thread(target=create)
    creating.start()
    eventually(lambda: bool(core.list_namespaced_pod(namespace).items))
    client.AppsV1Api(api).delete_namespaced_deployment("it", namespace, propagation_policy="Background")
    creating.join(timeout=SECONDS)
    assert [str(each).rpartition(": ")[2] for each in failures] == ["it was deleted meanwhile"]


def test_a_stateful_set_waits_for_each_of_its_pods(
    provider: Package, core: client.CoreV1Api, api: client.ApiClient, namespace: str, over_when: Over
) -> None:
    target = Target("kubernetes:apps/v1:StatefulSet", "it")
    old, new = (
        workload(namespace, replicas=2, serviceName="it"),
        workload(namespace, "two", replicas=2, serviceName="it"),
    )
    with pods(core, namespace, RUNS):
        made = make(provider, "apps/v1:StatefulSet", old)
        assert made.outputs["status"]["readyReplicas"] == 2
        told: Any = provider.update(target, made.id, old, new, made.outputs, preview=False)
    assert (
        told["status"]["currentRevision"]
        == told["status"]["updateRevision"]
        != made.outputs["status"]["updateRevision"]
    )
    more = workload(namespace, "two", replicas=3, serviceName="it", timeoutSeconds="1")
    over_when(lambda: is_seen(client.AppsV1Api(api).read_namespaced_stateful_set("it", namespace)))
    with pytest.raises(PartiallyCreated, match="2 of 3 replicas are ready"):
        provider.update(target, made.id, new, more, told, preview=False)


def test_a_daemon_set_waits_for_every_node(
    provider: Package, core: client.CoreV1Api, api: client.ApiClient, namespace: str, over_when: Over
) -> None:
    apps = client.AppsV1Api(api)
    over_when(lambda: apps.read_namespaced_daemon_set("it", namespace).status.desired_number_scheduled == 1)
    with pytest.raises(PartiallyCreated, match="numberAvailable is 0 of 1"):
        make(provider, "apps/v1:DaemonSet", workload(namespace, timeoutSeconds="2"))
    with pods(core, namespace, RUNS):
        target = Target("kubernetes:apps/v1:DaemonSet", "it")
        told: Any = provider.update(target, f"{namespace}/it", {}, workload(namespace), {}, preview=False)
    assert told["status"]["numberReady"] == 1


def test_a_job_waits_until_it_succeeds(provider: Package, core: client.CoreV1Api, namespace: str) -> None:
    with pods(core, namespace, SUCCEEDS):
        made = make(provider, "batch/v1:Job", job(namespace))
    assert made.outputs["status"]["succeeded"] == 1


def test_a_job_that_failed_is_not_waited_for(provider: Package, core: client.CoreV1Api, namespace: str) -> None:
    with pods(core, namespace, FAILS), pytest.raises(PartiallyCreated, match=r"is not ready: \[BackoffLimitExceeded\]"):
        make(provider, "batch/v1:Job", job(namespace, backoffLimit=0))


def test_a_pod_waits_until_it_is_ready(provider: Package, core: client.CoreV1Api, namespace: str) -> None:
    spec = {"containers": [{"name": "it", "image": "one"}]}
    with pods(core, namespace, RUNS):
        made = make(provider, "core/v1:Pod", {"metadata": given(namespace), "spec": spec})
    assert made.outputs["status"]["phase"] == "Running"
    late = given(namespace, timeoutSeconds="1") | {"name": "late"}
    with pytest.raises(PartiallyCreated, match="it is not PodScheduled"):
        make(provider, "core/v1:Pod", {"metadata": late, "spec": spec})


def test_a_service_waits_for_ready_pods_and_for_its_load_balancer(
    provider: Package, core: client.CoreV1Api, namespace: str
) -> None:
    spec = {"selector": {"app": "it"}, "ports": [{"port": 80}]}
    with pods(core, namespace, RUNS):
        make(provider, "apps/v1:Deployment", workload(namespace))
        made = make(provider, "core/v1:Service", {"metadata": given(namespace), "spec": spec})
    assert made.outputs["spec"]["clusterIP"].startswith("10.43.")
    balanced = given(namespace, timeoutSeconds="1") | {"name": "balanced"}
    with pytest.raises(PartiallyCreated, match="it was given no address by a load balancer"):
        make(provider, "core/v1:Service", {"metadata": balanced, "spec": spec | {"type": "LoadBalancer"}})
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}
    core.patch_namespaced_service_status("balanced", namespace, status)
    target = Target("kubernetes:core/v1:Service", "balanced")
    inputs = {"metadata": balanced, "spec": spec | {"type": "LoadBalancer"}}
    assert provider.read(target, f"{namespace}/balanced", inputs, {}) is not None


def test_a_service_whose_pods_are_not_ready_waits(
    provider: Package, core: client.CoreV1Api, namespace: str, over_when: Over
) -> None:
    make(provider, "apps/v1:Deployment", workload(namespace, skipAwait="true"))
    unready = RUNS | {"conditions": [{"type": "Ready", "status": "False"}]}
    spec = {"selector": {"app": "it"}, "ports": [{"port": 80}]}
    with pods(core, namespace, unready):
        over_when(lambda: are_not_ready(core, namespace))
        metadata = given(namespace, timeoutSeconds="3")
        with pytest.raises(PartiallyCreated, match="some of the Pods that it selects are not ready"):
            make(provider, "core/v1:Service", {"metadata": metadata, "spec": spec})


def are_not_ready(core: client.CoreV1Api, namespace: str) -> bool:
    """Whether the Service's endpoints are known, and none of them is ready."""
    found = core.list_namespaced_endpoints(namespace).items
    return any(subset.not_ready_addresses for each in found for subset in each.subsets or [])


@pytest.mark.parametrize("spec", [{"clusterIP": "None", "selector": {"app": "none"}}, {"ports": [{"port": 80}]}])
def test_services_that_balance_nothing_are_ready(provider: Package, namespace: str, spec: dict[str, Any]) -> None:
    assert make(provider, "core/v1:Service", {"metadata": given(namespace), "spec": spec}).id == f"{namespace}/it"


def test_a_claim_waits_until_it_is_bound_unless_its_class_binds_later(
    provider: Package, core: client.CoreV1Api, api: client.ApiClient, namespace: str
) -> None:
    for name, mode in (("now", "Immediate"), ("later", "WaitForFirstConsumer")):
        body = {
            "metadata": {"name": f"{namespace}-{name}"},
            "provisioner": "example.com/none",
            "volumeBindingMode": mode,
        }
        client.StorageV1Api(api).create_storage_class(body)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    later = {"metadata": given(namespace), "spec": spec | {"storageClassName": f"{namespace}-later"}}
    assert make(provider, "core/v1:PersistentVolumeClaim", later).id == f"{namespace}/it"
    now = {
        "metadata": given(namespace, timeoutSeconds="1") | {"name": "now"},
        "spec": spec | {"storageClassName": f"{namespace}-now"},
    }
    with pytest.raises(PartiallyCreated, match="it is Pending"):
        make(provider, "core/v1:PersistentVolumeClaim", now)


def test_an_ingress_waits_for_an_address(provider: Package, namespace: str) -> None:
    backend = {"service": {"name": "it", "port": {"number": 80}}}
    with pytest.raises(PartiallyCreated, match="it was given no address"):
        make(
            provider,
            "networking.k8s.io/v1:Ingress",
            {"metadata": given(namespace, timeoutSeconds="1"), "spec": {"defaultBackend": backend}},
        )


def test_a_quota_and_the_token_of_an_account_wait_for_their_controllers(
    provider: Package, core: client.CoreV1Api, namespace: str
) -> None:
    quota = make(provider, "core/v1:ResourceQuota", {"metadata": given(namespace), "spec": {"hard": {"pods": "3"}}})
    assert quota.outputs["status"]["hard"] == {"pods": "3"}
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "robot"}})
    metadata = {"name": "it", "namespace": namespace, "annotations": {"kubernetes.io/service-account.name": "robot"}}
    token = make(provider, "core/v1:Secret", {"metadata": metadata, "type": "kubernetes.io/service-account-token"})
    assert "token" in token.outputs["data"]


@pytest.mark.parametrize(
    "expression", ["condition=Available=True", '["jsonpath={.status.replicas}=1", "condition=Available"]']
)
def test_a_program_can_say_what_to_wait_for(
    provider: Package, core: client.CoreV1Api, namespace: str, expression: str
) -> None:
    with pods(core, namespace, RUNS):
        made = make(provider, "apps/v1:Deployment", workload(namespace, waitFor=expression))
    assert made.outputs["status"]["availableReplicas"] == 1


def test_what_a_program_waits_for_in_vain_is_told(provider: Package, namespace: str) -> None:
    data = {"metadata": given(namespace, waitFor="condition=Never", timeoutSeconds="1")}
    with pytest.raises(PartiallyCreated, match="condition=Never does not hold"):
        make(provider, "core/v1:ConfigMap", data)
    odd = {"metadata": given(namespace, waitFor="jsonpath={.a[*].b}") | {"name": "odd"}}
    with pytest.raises(ProviderError, match=r"waitFor: .* is not understood here"):
        make(provider, "core/v1:ConfigMap", odd)


def test_a_server_that_restarts_does_not_end_the_wait(
    provider: Package, core: client.CoreV1Api, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster: Any = provider._reach()  # type: ignore[attr-defined]
    send: Callable[..., Any] = cluster._send
    refused: list[str] = []

    def sometimes(method: str, *arguments: Any) -> Any:
        if method == "GET" and "deployments/it" in arguments[0] and len(refused) < 3:
            refused.append(method)
            raise awaits.UnreachableError("connection refused")
        return send(method, *arguments)

    monkeypatch.setattr(cluster, "_send", sometimes)
    with pods(core, namespace, RUNS):
        assert make(provider, "apps/v1:Deployment", workload(namespace)).id == f"{namespace}/it"
    assert len(refused) == 3
