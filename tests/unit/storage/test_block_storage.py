"""Volumes for pods: what Longhorn and hcloud-csi are told, and what would only be noticed when a backup is needed."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from components.layer import chart_values, mebibytes, millicores, policies, workloads
from components.layer.requests import listed
from components.problem import ProblemsError
from components.storage import CLOUD_VOLUMES, BlockStorage
from components.storage.block_storage import (
    LONGHORN,
    backup_target,
    check_backup,
    longhorn_flows,
    longhorn_values,
    recurring_jobs,
)
from tests import upstream
from tests.golden_files import compare
from tests.unit.edge.recording import Recording, record
from tests.waiting import before

ROOT = Path(__file__).resolve().parents[3]
PIN = {"repository": "https://charts.example.com", "version": "1.0.0"}
BACKUP: Any = {
    "bucket": "p-volumes",
    "region": "hel1",
    "endpoint": "https://hel1.example.com",
    "access_key": "AKBACKUP",
    "secret_key": "the secret of backups",
}
KEPT_FOR_THE_KUBELET = 500
"""Millicores: components/cluster/k3s.py."""


def deployed(**changes: Any) -> Recording:
    def program() -> dict[str, Any]:
        arguments: Any = {
            "cluster": "fsn1",
            "location": "fsn1",
            "token_secret": "hcloud",
            "charts": yaml.safe_load((ROOT / "config/versions.yaml").read_text())["charts"],
            "backup": BACKUP,
            **changes,
        }
        made = BlockStorage("storage", arguments)
        return {"class": made.cloud_class, "workloads": [each.name for each in made.workloads]}

    return record(program)


@pytest.fixture(scope="module")
def layer() -> Recording:
    return deployed()


def values(recording: Recording, chart: str) -> dict[str, Any]:
    return recording.of("Release")[f"storage-{chart}"].inputs["values"]


def test_cloud_volumes_are_made_where_the_cluster_is_and_say_whose_they_are(layer: Recording) -> None:
    controller = values(layer, "hcloud-csi")["controller"]
    assert controller["hcloudVolumeDefaultLocation"] == "fsn1"
    assert controller["volumeExtraLabels"] == {"cluster": "fsn1"}
    assert controller["hcloudToken"] == {"existingSecret": {"name": "hcloud", "key": "token"}}
    assert layer.of("Release")["storage-hcloud-csi"].inputs["namespace"] == "kube-system"


def test_there_is_one_default_class_and_claims_that_go_leave_their_volumes(layer: Recording) -> None:
    (cloud,) = values(layer, "hcloud-csi")["storageClasses"]
    assert cloud == {"name": CLOUD_VOLUMES, "defaultStorageClass": False, "reclaimPolicy": "Retain"}
    assert layer.exports["class"] == CLOUD_VOLUMES
    longhorn = values(layer, "longhorn")["persistence"]
    assert (longhorn["defaultClass"], longhorn["reclaimPolicy"]) == (True, "Retain")
    assert longhorn["volumeBindingMode"] == "WaitForFirstConsumer"


def test_a_volume_has_two_replicas_whichever_way_it_is_made(layer: Recording) -> None:
    longhorn = values(layer, "longhorn")
    assert longhorn["persistence"]["defaultClassReplicaCount"] == 2, "of the class"
    assert json.loads(longhorn["defaultSettings"]["defaultReplicaCount"]) == {"v1": "2"}, "of a volume without a class"


def test_pods_that_attach_cloud_volumes_are_in_the_hosts_network(layer: Recording) -> None:
    """They ask the metadata address, which pods cannot reach."""
    assert values(layer, "hcloud-csi")["node"]["hostNetwork"] is True
    (node,) = (each for each in listed()["hcloud-csi"] if each["name"] == "hcloud-csi-node")
    assert node["hostNetwork"] is True, "charts/workloads.yaml says otherwise"


def test_disks_are_on_labelled_agents_but_every_agent_can_mount(layer: Recording) -> None:
    longhorn = values(layer, "longhorn")
    assert longhorn["defaultSettings"]["createDefaultDiskLabeledNodes"] is True
    assert "nodeSelector" not in longhorn["longhornManager"]
    gpu = {"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"}
    assert longhorn["longhornManager"]["tolerations"] == [gpu]
    assert longhorn["defaultSettings"]["taintToleration"] == "nvidia.com/gpu=present:NoSchedule"


def test_both_clusters_use_one_backup_target(layer: Recording) -> None:
    other = deployed(cluster="nbg1", location="nbg1")
    target = values(layer, "longhorn")["defaultBackupStore"]
    assert target == values(other, "longhorn")["defaultBackupStore"]
    assert target["backupTarget"] == "s3://p-volumes@hel1/"
    assert target["backupTargetCredentialSecret"] == "longhorn-backup"


def test_the_keys_of_backups_are_in_a_secret_alone(layer: Recording) -> None:
    secret = layer.of("Secret")["storage-longhorn-system-longhorn-backup-secret"]
    assert secret.inputs["stringData"] == "[secret]"
    others = [resource.inputs for name, resource in layer.resources.items() if not name.startswith("Secret/")]
    assert "the secret of backups" not in json.dumps(others)
    assert "[secret]" not in json.dumps(others), "nor as a secret elsewhere"


@pytest.mark.parametrize(("protection", "flag"), [(True, False), (False, True)])
def test_longhorn_can_be_uninstalled_only_without_protection(protection: bool, flag: bool) -> None:
    recording = deployed(protection=protection)
    assert values(recording, "longhorn")["defaultSettings"]["deletingConfirmationFlag"] is flag
    assert recording.of("Namespace")["storage-longhorn-system-namespace"].protect is protection


def test_protection_is_on_unless_told(layer: Recording) -> None:
    assert values(layer, "longhorn")["defaultSettings"]["deletingConfirmationFlag"] is False
    assert layer.of("Namespace")["storage-longhorn-system-namespace"].protect


def test_jobs_come_after_longhorn_and_go_before_it(layer: Recording) -> None:
    jobs = layer.of("RecurringJob")
    assert len(jobs) == 3
    assert all("storage-longhorn" in before(layer.resources.values(), name) for name in jobs)


def test_every_volume_is_backed_up_hourly_whether_it_has_a_group_or_not() -> None:
    (group,) = json.loads(chart_values("longhorn")["persistence"]["recurringJobSelector"]["jobList"])
    assert group == {"name": "critical", "isGroup": True}
    for job in recurring_jobs():
        assert {group["name"], "default"} <= set(job["spec"]["groups"])
    (backup,) = (job["spec"] for job in recurring_jobs() if job["spec"]["task"] == "backup")
    assert (backup["cron"].split()[1:], backup["retain"]) == (["*"] * 4, 48)


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as an API server with strict validation means it: what it does not name is refused."""
    made = copy.deepcopy(schema)

    def close(part: Any) -> None:
        if isinstance(part, dict):
            if "properties" in part and "additionalProperties" not in part:
                part["additionalProperties"] = False
            for each in part.values():
                close(each)

    close(made)
    return made


@pytest.fixture(scope="module")
def job_schema() -> dict[str, Any]:
    return strict(upstream.versions("longhorn/recurringjobs.longhorn.io")["v1beta2"])


def accepts(schema: dict[str, Any], manifest: dict[str, Any]) -> bool:
    manifest = {**manifest, "metadata": {}}
    return jsonschema.Draft202012Validator(schema).is_valid(manifest)


def test_jobs_are_what_longhorn_defines(job_schema: dict[str, Any]) -> None:
    assert all(accepts(job_schema, job) for job in recurring_jobs())


@pytest.mark.parametrize("changes", [{"task": "backups"}, {"retain": "48"}, {"group": ["default"]}])
def test_a_wrong_job_would_be_found(job_schema: dict[str, Any], changes: dict[str, Any]) -> None:
    (job, *_) = recurring_jobs()
    assert not accepts(job_schema, {**job, "spec": {**job["spec"], **changes}})


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"endpoint": "http://hel1.example.com"}, "backup.endpoint"),
        ({"endpoint": "https://hel1.example.com/"}, "backup.endpoint"),
        ({"endpoint": "hel1.example.com"}, "backup.endpoint"),
        ({"bucket": "P"}, "backup.bucket"),
        ({"region": ""}, "backup.region"),
    ],
)
def test_a_target_that_no_backup_would_reach_is_refused(changes: dict[str, Any], key: str) -> None:
    assert [problem.key for problem in check_backup({**BACKUP, **changes})] == [key]
    with pytest.raises(ProblemsError):
        deployed(backup={**BACKUP, **changes})


@pytest.mark.parametrize("chart", ["hcloud-csi", "longhorn"])
def test_a_chart_that_is_not_pinned_is_refused(chart: str) -> None:
    pins = {"hcloud-csi": PIN, "longhorn": PIN}
    with pytest.raises(ProblemsError, match=rf"charts\.{chart} = None: is not pinned"):
        deployed(charts={name: pin for name, pin in pins.items() if name != chart})


def test_only_machines_the_api_server_and_prometheus_come_in(request: pytest.FixtureRequest) -> None:
    text = yaml.safe_dump_all(policies(LONGHORN, longhorn_flows()), sort_keys=False)
    compare("storage/longhorn-policies.yaml", text, update=request.config.getoption("--update-golden"))


def test_the_manifests_of_jobs_and_values_are_as_reviewed(request: pytest.FixtureRequest) -> None:
    text = yaml.safe_dump_all(
        [*recurring_jobs(), longhorn_values(backup_target(BACKUP["bucket"], BACKUP["region"]), protection=True)],
        sort_keys=False,
    )
    compare("storage/longhorn.yaml", text, update=request.config.getoption("--update-golden"))


def components() -> dict[str, dict[str, str]]:
    """What Longhorn is told that its own pods request."""
    told = json.loads(chart_values("longhorn")["defaultSettings"]["systemManagedCSIComponentsResourceLimits"])
    return {name: each["requests"] for name, each in told.items()}


@pytest.mark.parametrize(
    ("workload", "parts"),
    [
        ("csi-attacher", ["csi-attacher"]),
        ("csi-provisioner", ["csi-provisioner"]),
        ("csi-resizer", ["csi-resizer"]),
        ("csi-snapshotter", ["csi-snapshotter"]),
        ("longhorn-csi-plugin", ["longhorn-csi-plugin", "node-driver-registrar", "longhorn-liveness-probe"]),
    ],
)
def test_pods_that_longhorn_makes_are_counted_as_it_is_told(workload: str, parts: list[str]) -> None:
    (counted,) = (each for each in workloads("longhorn", chart_values("longhorn")) if each.name == workload)
    told = [components()[part] for part in parts]
    assert counted.cpu == sum(millicores(each["cpu"]) for each in told)
    assert counted.memory == sum(mebibytes(each["memory"]) for each in told)


def test_an_instance_manager_is_counted_with_its_part_of_a_committed_agent() -> None:
    percent = int(json.loads(chart_values("longhorn")["defaultSettings"]["guaranteedInstanceManagerCPU"])["v1"])
    general = yaml.safe_load((ROOT / "config/regions.yaml").read_text())["fsn1"]["pools"]["general"]
    cores = yaml.safe_load((ROOT / "config/prices.yaml").read_text())["server_types"][general["type"]]["cores"]
    (counted,) = (each for each in workloads("longhorn", chart_values("longhorn")) if each.name == "instance-manager")
    assert counted.cpu == percent * (cores * 1000 - KEPT_FOR_THE_KUBELET) // 100


def test_daemons_run_where_volumes_may_be_mounted() -> None:
    places = {
        each.name: each.on for chart in ("hcloud-csi", "longhorn") for each in workloads(chart, chart_values(chart))
    }
    assert places["hcloud-csi-node"] == "every"
    assert (places["longhorn-manager"], places["longhorn-manager-gpu"]) == ("agents", "gpu")
