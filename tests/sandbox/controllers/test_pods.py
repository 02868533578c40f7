"""Pods of the sandbox: placed by a real scheduler, made by the real controller manager, run in name only."""

from base64 import b64encode
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from .conftest import NAMESPACES, Cluster, Object, container, pod, workload

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

APPS = "/apis/apps/v1/namespaces"
AGENTS = {"fsn1-general-1", "fsn1-general-2"}
GPU = "fsn1-gpu-2"
SERVER = "fsn1-server-1"


def nodes_of(cluster: Cluster, namespace: str, count: int) -> list[str]:
    """Where the pods of a namespace run, once so many do."""

    def look() -> list[str]:
        found = cluster.items(f"{NAMESPACES}/{namespace}/pods")
        running = [each["spec"]["nodeName"] for each in found if each["status"]["phase"] == "Running"]
        return running if len(running) == count else []

    return cluster.until(look)


def test_a_node_offers_its_machines_size_less_what_is_kept_back(cluster: Cluster) -> None:
    status = cluster.ask("GET", f"/api/v1/nodes/{SERVER}")["status"]
    # cx33: 4 cores, 8 GB, 80 GB; 250m and 512Mi for Kubernetes, 250m and 300Mi for the system, 100Mi against eviction.
    memory = int(8 * 0.96 * 2**20)
    assert status["capacity"]["cpu"] == "4"
    assert status["capacity"]["memory"] == f"{memory}Ki"
    assert status["allocatable"]["cpu"] == "3500m"
    assert status["allocatable"]["memory"] == f"{memory - (512 + 300 + 100) * 1024}Ki"
    assert status["allocatable"]["pods"] == "110"
    agent = cluster.ask("GET", "/api/v1/nodes/fsn1-general-1")["status"]
    assert agent["allocatable"]["cpu"] == "7500m"


def test_names_are_resolved_as_k3s_does_it(cluster: Cluster) -> None:
    cluster.until_condition(f"{APPS}/kube-system/deployments/coredns", "Available")
    service = cluster.ask("GET", f"{NAMESPACES}/kube-system/services/kube-dns")
    assert service["spec"]["clusterIP"] == "10.43.0.10"
    # One pod of one may be missing, so a Deployment is available before it has any.
    pods = cluster.until(lambda: cluster.items(f"{NAMESPACES}/kube-system/pods?labelSelector=k8s-app%3Dkube-dns"))
    assert [each["spec"]["containers"][0]["resources"]["requests"] for each in pods] == [
        {"cpu": "100m", "memory": "70Mi"}
    ]


def test_a_deployment_becomes_available_and_its_service_has_addresses(cluster: Cluster) -> None:
    place = cluster.namespace("available")
    cluster.ask("POST", f"{APPS}/available/deployments", workload("web", replicas=3))
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    cluster.ask("POST", f"{place}/services", service)
    cluster.until_condition(f"{APPS}/available/deployments/web", "Available")
    # Servers and GPU machines are tainted.
    assert set(nodes_of(cluster, "available", 3)) <= AGENTS
    pods = cluster.items(f"{place}/pods")
    ranges = {node["metadata"]["name"]: ip_network(node["spec"]["podCIDR"]) for node in cluster.items("/api/v1/nodes")}
    assert all(ip_address(each["status"]["podIP"]) in ranges[each["spec"]["nodeName"]] for each in pods)
    addresses = {each["status"]["podIP"] for each in pods}
    assert len(addresses) == 3

    def reached() -> set[str]:
        slices = cluster.items("/apis/discovery.k8s.io/v1/namespaces/available/endpointslices")
        return {
            address
            for each in slices
            for endpoint in each["endpoints"] or []
            if endpoint["conditions"]["ready"]
            for address in endpoint["addresses"]
        }

    cluster.until(lambda: reached() == addresses)
    cluster.ask("DELETE", f"{APPS}/available/deployments/web?propagationPolicy=Background")
    cluster.until(lambda: cluster.items(f"{place}/pods") == [])


def test_a_pod_that_fits_nowhere_stays_pending_and_the_scheduler_says_why(cluster: Cluster) -> None:
    place = cluster.namespace("large")
    asked = container(resources={"requests": {"memory": "100Gi"}})
    cluster.ask("POST", f"{place}/pods", pod("large", {"containers": [asked]}))
    said = cluster.until_condition(f"{place}/pods/large", "PodScheduled", "False")
    assert said["reason"] == "Unschedulable"
    assert "2 Insufficient memory" in said["message"]
    assert "untolerated taint" in said["message"]
    assert cluster.ask("GET", f"{place}/pods/large")["status"]["phase"] == "Pending"


def test_requests_fill_a_machine_and_no_more(cluster: Cluster) -> None:
    cluster.namespace("full")
    asked = container(resources={"requests": {"cpu": "7"}})
    cluster.ask("POST", f"{APPS}/full/deployments", workload("big", {"containers": [asked]}, replicas=3))
    assert set(nodes_of(cluster, "full", 2)) == AGENTS
    waiting = cluster.items(f"{NAMESPACES}/full/pods?fieldSelector=status.phase%3DPending")
    assert len(waiting) == 1
    cluster.ask("DELETE", f"{APPS}/full/deployments/big?propagationPolicy=Foreground")
    cluster.until_gone(f"{APPS}/full/deployments/big")


def test_node_selectors_hold(cluster: Cluster) -> None:
    place = cluster.namespace("selected")
    cluster.ask("POST", f"{place}/pods", pod("chosen", {"nodeSelector": {"kubernetes.io/hostname": "fsn1-general-2"}}))
    cluster.ask("POST", f"{place}/pods", pod("nowhere", {"nodeSelector": {"kubernetes.io/hostname": "other"}}))
    assert cluster.until_phase(f"{place}/pods/chosen", "Running")["spec"]["nodeName"] == "fsn1-general-2"
    said = cluster.until_condition(f"{place}/pods/nowhere", "PodScheduled", "False")
    assert "didn't match Pod's node affinity/selector" in said["message"]


def test_daemons_run_where_they_tolerate_to(cluster: Cluster) -> None:
    cluster.namespace("daemons")
    everywhere = {"tolerations": [{"operator": "Exists"}], "hostNetwork": True}
    cluster.ask("POST", f"{APPS}/daemons/daemonsets", workload("everywhere", everywhere))
    assert sorted(nodes_of(cluster, "daemons", 4)) == sorted([*AGENTS, GPU, SERVER])
    pods = cluster.items(f"{NAMESPACES}/daemons/pods")
    assert all(each["status"]["podIP"] == each["status"]["hostIP"] for each in pods)
    daemons = cluster.ask("GET", f"{APPS}/daemons/daemonsets/everywhere")["status"]
    assert daemons["desiredNumberScheduled"] == 4


def test_a_cordoned_machine_gets_no_pods(cluster: Cluster) -> None:
    cluster.namespace("cordoned")
    cluster.merge("/api/v1/nodes/fsn1-general-1", {"spec": {"unschedulable": True}})
    try:
        cluster.ask("POST", f"{APPS}/cordoned/deployments", workload("web", replicas=3))
        assert set(nodes_of(cluster, "cordoned", 3)) == {"fsn1-general-2"}
    finally:
        cluster.merge("/api/v1/nodes/fsn1-general-1", {"spec": {"unschedulable": None}})


# -- what a pod refers to

KEY_REFERENCE = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "late", "key": "password"}}}


@pytest.mark.parametrize(
    ("name", "spec", "reason", "message"),
    [
        (
            "volume",
            {"volumes": [{"name": "v", "secret": {"secretName": "late"}}]},
            "ContainerCreating",
            'secret "late" not found',
        ),
        (
            "projected",
            {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "late"}}]}}]},
            "ContainerCreating",
            'secret "late" not found',
        ),
        (
            "variables",
            {"containers": [container(envFrom=[{"secretRef": {"name": "late"}}])]},
            "CreateContainerConfigError",
            'secret "late" not found',
        ),
        (
            "variable",
            {"containers": [container(env=[KEY_REFERENCE])]},
            "CreateContainerConfigError",
            'secret "late" not found',
        ),
    ],
)
def test_a_pod_waits_for_a_secret_that_is_missing_and_starts_when_it_comes(
    cluster: Cluster, name: str, spec: Object, reason: str, message: str
) -> None:
    place = cluster.namespace(f"late-{name}")
    cluster.ask("POST", f"{place}/pods", pod("waiting", spec))

    def waits() -> Any:
        found = cluster.ask("GET", f"{place}/pods/waiting")["status"].get("containerStatuses")
        return found and found[0]["state"].get("waiting")

    assert cluster.until(waits) == {"reason": reason, "message": message}
    assert cluster.ask("GET", f"{place}/pods/waiting")["status"]["phase"] == "Pending"
    assert message in {said for _, said in cluster.until(lambda: cluster.events(f"late-{name}", "waiting"))}
    cluster.secret(f"late-{name}", "late", password="labelled-dummy")
    state = cluster.until_phase(f"{place}/pods/waiting", "Running")["status"]["containerStatuses"][0]["state"]
    assert list(state) == ["running"]


def test_a_key_that_a_secret_lacks_keeps_a_pod_waiting(cluster: Cluster) -> None:
    place = cluster.namespace("other-key")
    cluster.secret("other-key", "late", user="somebody")
    cluster.ask("POST", f"{place}/pods", pod("waiting", {"containers": [container(env=[KEY_REFERENCE])]}))
    said = {("Failed", "couldn't find key password in Secret other-key/late")}
    cluster.until(lambda: said <= cluster.events("other-key", "waiting"))
    password = b64encode(b"labelled-dummy").decode()
    cluster.merge(f"{place}/secrets/late", {"data": {"password": password}})
    cluster.until_phase(f"{place}/pods/waiting", "Running")


def test_what_is_optional_is_not_waited_for(cluster: Cluster) -> None:
    place = cluster.namespace("optional")
    volume = {"name": "v", "configMap": {"name": "never", "optional": True}}
    cluster.ask("POST", f"{place}/pods", pod("content", {"volumes": [volume]}))
    cluster.until_phase(f"{place}/pods/content", "Running")


def test_an_account_that_is_not_there_is_refused(cluster: Cluster) -> None:
    place = cluster.namespace("accounts")
    assert 'serviceaccount "nobody" not found' in cluster.refusal(
        f"{place}/pods", pod("x", {"serviceAccountName": "nobody"})
    )


# -- Jobs, and what the controller manager keeps


def test_a_job_completes(cluster: Cluster) -> None:
    cluster.namespace("jobs")
    template = {"spec": {"restartPolicy": "Never", "containers": [container()]}}
    job = {"metadata": {"name": "once"}, "spec": {"completions": 2, "parallelism": 2, "template": template}}
    cluster.ask("POST", "/apis/batch/v1/namespaces/jobs/jobs", job)
    cluster.until_condition("/apis/batch/v1/namespaces/jobs/jobs/once", "Complete")
    assert cluster.ask("GET", "/apis/batch/v1/namespaces/jobs/jobs/once")["status"]["succeeded"] == 2
    cluster.ask("DELETE", "/apis/batch/v1/namespaces/jobs/jobs/once?propagationPolicy=Background")
    cluster.until(lambda: cluster.items(f"{NAMESPACES}/jobs/pods") == [])


def test_every_namespace_gets_the_root_of_the_api(cluster: Cluster) -> None:
    place = cluster.namespace("fresh")
    found = cluster.until(lambda: cluster.find(f"{place}/configmaps/kube-root-ca.crt"))
    assert "BEGIN CERTIFICATE" in found["data"]["ca.crt"]
    cluster.ask("DELETE", place)
    cluster.until_gone(place)


def test_a_quota_refuses_what_is_above_it(cluster: Cluster) -> None:
    place = cluster.namespace("quota")
    quota = {"metadata": {"name": "quota"}, "spec": {"hard": {"pods": "1", "requests.cpu": "1"}}}
    cluster.ask("POST", f"{place}/resourcequotas", quota)
    cluster.until(lambda: cluster.ask("GET", f"{place}/resourcequotas/quota").get("status", {}).get("hard"))
    asked = container(resources={"requests": {"cpu": "2"}})
    assert "exceeded quota: quota, requested: requests.cpu=2" in cluster.refusal(
        f"{place}/pods", pod("large", {"containers": [asked]})
    )
    asked = container(resources={"requests": {"cpu": "100m"}})
    cluster.ask("POST", f"{place}/pods", pod("small", {"containers": [asked]}))
    assert "requested: pods=1, used: pods=1" in cluster.refusal(f"{place}/pods", pod("more", {"containers": [asked]}))
    cluster.until_phase(f"{place}/pods/small", "Running")


def test_limits_refuse_what_is_above_them_and_give_requests(cluster: Cluster) -> None:
    place = cluster.namespace("limits")
    item = {"type": "Container", "max": {"memory": "1Gi"}, "defaultRequest": {"memory": "64Mi"}}
    cluster.ask("POST", f"{place}/limitranges", {"metadata": {"name": "limits"}, "spec": {"limits": [item]}})
    asked = container(resources={"limits": {"memory": "2Gi"}})
    said = cluster.refusal(f"{place}/pods", pod("large", {"containers": [asked]}))
    assert "maximum memory usage per Container is 1Gi" in said
    made = cluster.ask("POST", f"{place}/pods", pod("small"))
    assert made["spec"]["containers"][0]["resources"]["requests"]["memory"] == "64Mi"


@pytest.mark.parametrize("level", ["restricted", ""], ids=["its own level", "the clusters level"])
def test_pod_security_refuses_by_the_namespaces_level(cluster: Cluster, level: str) -> None:
    place = cluster.namespace(f"restricted{level[:1]}", security=level)
    said = cluster.refusal(f"{place}/pods", pod("bad", {"hostNetwork": True}))
    assert 'violates PodSecurity "restricted:latest"' in said
    assert "host namespaces" in said
    security = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    cluster.ask("POST", f"{place}/pods", pod("good", {"containers": [container(securityContext=security)]}))
    cluster.until_phase(f"{place}/pods/good", "Running")


# -- GPUs


def test_a_gpu_is_offered_while_its_device_plugin_runs(cluster: Cluster) -> None:
    place = cluster.namespace("gpu")
    node = f"/api/v1/nodes/{GPU}"
    asked = container(resources={"limits": {"nvidia.com/gpu": "1"}})
    tolerant = {"tolerations": [{"operator": "Exists"}]}
    cluster.ask("POST", f"{place}/pods", pod("model", {"containers": [asked], **tolerant}))
    said = cluster.until_condition(f"{place}/pods/model", "PodScheduled", "False")
    assert "4 Insufficient nvidia.com/gpu" in said["message"]
    plugin = workload("plugin", {"nodeSelector": {"nvidia.com/gpu": "present"}, **tolerant})
    label = {"app.kubernetes.io/name": "nvidia-device-plugin"}
    plugin["spec"]["template"]["metadata"]["labels"].update(label)
    cluster.ask("POST", f"{APPS}/gpu/daemonsets", plugin)
    assert cluster.until_phase(f"{place}/pods/model", "Running")["spec"]["nodeName"] == GPU
    assert cluster.ask("GET", node)["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    cluster.ask("DELETE", f"{place}/pods/model")
    cluster.ask("DELETE", f"{APPS}/gpu/daemonsets/plugin?propagationPolicy=Background")
    cluster.until(lambda: cluster.ask("GET", node)["status"]["allocatable"]["nvidia.com/gpu"] == "0")
