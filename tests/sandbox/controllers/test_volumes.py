"""Claims get volumes in the emulated cloud as the CSI driver makes them, and lose them as their class says."""

import gzip
import json
from base64 import b64encode
from typing import Any

import pytest

from .conftest import NAMESPACES, Cluster, Object, container, pod, workload

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

APPS = "/apis/apps/v1/namespaces"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"
MOUNT = [{"name": "data", "mountPath": "/data"}]


def storage_class(name: str, driver: str, policy: str, mode: str = "WaitForFirstConsumer") -> Object:
    return {"metadata": {"name": name}, "provisioner": driver, "reclaimPolicy": policy, "volumeBindingMode": mode}


def claim(name: str, of: str, size: str = "3Gi") -> Object:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": of}
    return {"metadata": {"name": name}, "spec": asked}


def user(name: str, claimed: str, **spec: Any) -> Object:
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claimed}}]
    return pod(name, {"volumes": volumes, "containers": [container(volumeMounts=MOUNT)], **spec})


@pytest.fixture(scope="module")
def storing(cluster: Cluster) -> Cluster:
    """The cluster, with classes as the charts make them, and Helm's record of the driver's release."""
    for made in (
        storage_class("hcloud-volumes", "csi.hetzner.cloud", "Retain"),
        storage_class("deleted", "csi.hetzner.cloud", "Delete"),
        storage_class("longhorn", "driver.longhorn.io", "Delete", "Immediate"),
    ):
        cluster.ask("POST", CLASSES, made)
    release = {"config": {"controller": {"volumeExtraLabels": {"cluster": "fsn1"}}}}
    text = b64encode(b64encode(gzip.compress(json.dumps(release).encode()))).decode()
    labels = {"owner": "helm", "name": "hcloud-csi", "status": "deployed"}
    secret = {
        "metadata": {"name": "sh.helm.release.v1.hcloud-csi.v1", "labels": labels},
        "type": "helm.sh/release.v1",
        "data": {"release": text},
    }
    cluster.ask("POST", f"{NAMESPACES}/kube-system/secrets", secret)
    return cluster


def in_cloud(cluster: Cluster, namespace: str) -> list[Any]:
    return cluster.client.volumes.get_all(label_selector=f"pvc-namespace={namespace}")


def test_a_stateful_set_gets_volumes_in_the_cloud_labelled_and_attached(storing: Cluster) -> None:
    storing.namespace("stateful")
    made = workload("database", {"containers": [container(volumeMounts=MOUNT)]}, replicas=2, serviceName="database")
    made["spec"]["volumeClaimTemplates"] = [claim("data", "hcloud-volumes", "12Gi")]
    storing.ask("POST", f"{APPS}/stateful/statefulsets", made)
    path = f"{APPS}/stateful/statefulsets/database"
    storing.until(lambda: storing.ask("GET", path)["status"].get("readyReplicas") == 2)
    volumes = {each.labels["pvc-name"]: each for each in in_cloud(storing, "stateful")}
    assert sorted(volumes) == ["data-database-0", "data-database-1"]
    for name, volume in volumes.items():
        bound = storing.ask("GET", f"{NAMESPACES}/stateful/persistentvolumeclaims/{name}")
        assert bound["status"]["phase"] == "Bound"
        assert volume.name == bound["spec"]["volumeName"]
        assert volume.labels == {
            "managed-by": "csi-driver",
            "cluster": "fsn1",
            "pvc-name": name,
            "pvc-namespace": "stateful",
            "pv-name": volume.name,
        }
        assert (volume.size, volume.location.name) == (12, "fsn1")
        running = storing.ask("GET", f"{NAMESPACES}/stateful/pods/{name.removeprefix('data-')}")
        assert storing.client.servers.get_by_id(volume.server.id).name == running["spec"]["nodeName"]

    # Claims outlive their set: the data is theirs.
    storing.ask("DELETE", f"{path}?propagationPolicy=Foreground")
    storing.until(lambda: storing.items(f"{NAMESPACES}/stateful/pods") == [])
    storing.until(lambda: all(each.server is None for each in in_cloud(storing, "stateful")))
    assert len(in_cloud(storing, "stateful")) == 2


@pytest.mark.parametrize(("of", "phase", "left"), [("hcloud-volumes", "Released", 1), ("deleted", None, 0)])
def test_a_claim_that_goes_leaves_its_volume_or_takes_it_along(
    storing: Cluster, of: str, phase: str | None, left: int
) -> None:
    namespace = f"claim-{of}"
    place = storing.namespace(namespace)
    storing.ask("POST", f"{place}/persistentvolumeclaims", claim("data", of))
    storing.ask("POST", f"{place}/pods", user("app", "data"))
    storing.until_phase(f"{place}/pods/app", "Running")
    name = storing.ask("GET", f"{place}/persistentvolumeclaims/data")["spec"]["volumeName"]
    (volume,) = in_cloud(storing, namespace)
    # Hetzner's volumes begin at 10 GB.
    assert volume.size == 10
    storing.ask("DELETE", f"{place}/pods/app")
    storing.ask("DELETE", f"{place}/persistentvolumeclaims/data")
    if phase:
        storing.until_phase(f"{VOLUMES}/{name}", phase)
    else:
        storing.until_gone(f"{VOLUMES}/{name}")
    storing.until(lambda: len(in_cloud(storing, namespace)) == left)


def test_nothing_is_made_before_the_scheduler_has_chosen_a_machine(storing: Cluster) -> None:
    place = storing.namespace("unchosen")
    storing.ask("POST", f"{place}/persistentvolumeclaims", claim("data", "hcloud-volumes"))
    chosen = {"nodeSelector": {"never": "there"}}
    storing.ask("POST", f"{place}/pods", user("app", "data", **chosen))
    storing.until_condition(f"{place}/pods/app", "PodScheduled", "False")
    assert storing.ask("GET", f"{place}/persistentvolumeclaims/data")["status"]["phase"] == "Pending"
    assert in_cloud(storing, "unchosen") == []


def test_a_dedicated_machine_cannot_have_a_volume_of_the_cloud(storing: Cluster) -> None:
    place = storing.namespace("dedicated")
    storing.ask("POST", f"{place}/persistentvolumeclaims", claim("data", "hcloud-volumes"))
    there = {"nodeSelector": {"nvidia.com/gpu": "present"}, "tolerations": [{"operator": "Exists"}]}
    storing.ask("POST", f"{place}/pods", user("app", "data", **there))

    def told() -> bool:
        return any("is no machine of the cloud" in said for _, said in storing.events("dedicated", "data"))

    storing.until(told)
    assert in_cloud(storing, "dedicated") == []
    storing.ask("DELETE", f"{place}/pods/app")
    storing.ask("DELETE", f"{place}/persistentvolumeclaims/data")


def test_longhorns_volumes_are_not_in_the_cloud(storing: Cluster) -> None:
    place = storing.namespace("replicated")
    before = len(storing.client.volumes.get_all())
    storing.ask("POST", f"{place}/persistentvolumeclaims", claim("data", "longhorn"))
    storing.ask("POST", f"{place}/pods", user("app", "data"))
    storing.until_phase(f"{place}/pods/app", "Running")
    name = storing.ask("GET", f"{place}/persistentvolumeclaims/data")["spec"]["volumeName"]
    assert storing.ask("GET", f"{VOLUMES}/{name}")["spec"]["csi"]["driver"] == "driver.longhorn.io"
    assert len(storing.client.volumes.get_all()) == before
    storing.ask("DELETE", place)
    storing.until_gone(f"{VOLUMES}/{name}")


def test_a_class_of_nobodys_waits_for_ever(storing: Cluster) -> None:
    place = storing.namespace("nobodys")
    storing.ask("POST", CLASSES, storage_class("other", "driver.example.com", "Delete", "Immediate"))
    storing.ask("POST", f"{place}/persistentvolumeclaims", claim("data", "other"))
    storing.until(lambda: storing.events("nobodys", "data"))
    assert storing.ask("GET", f"{place}/persistentvolumeclaims/data")["status"]["phase"] == "Pending"
