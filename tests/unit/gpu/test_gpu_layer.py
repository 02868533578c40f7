"""GPUs for pods: the RuntimeClass, sharing, and who may talk to whom."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from components.gpu import NAMESPACE, Gpu, device_plugin_values, flows, runtime_class
from components.gpu.objects import CHARTS, problems
from components.layer import chart_values, merged, policies, workloads
from sandbox import inprocess
from sandbox.deployment import Deployment, DeploymentFailed
from tests.waiting import before

PINS = {chart: {"repository": "https://charts.example.com", "version": "1.2.3"} for chart in CHARTS}
RELEASE = "kubernetes:helm.sh/v3:Release"
TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def run(**changes: Any) -> Deployment:
    return inprocess.run(
        lambda: Gpu("gpu", {"charts": PINS, **changes}) and None,  # type: ignore[typeddict-item]
        project="test",
        stack="test",
        skipped=frozenset({"kubernetes"}),
    )


def release(deployment: Deployment, chart: str) -> dict[str, Any]:
    return dict(deployment.named(f"gpu-{chart}", RELEASE).inputs["values"])


def test_objects_are_as_reviewed(golden: Callable[[str, str], None]) -> None:
    values = merged(chart_values("nvidia-device-plugin"), device_plugin_values(4))
    documents = [runtime_class(), *policies(NAMESPACE, flows()), values]
    golden("gpu/objects.yaml", yaml.safe_dump_all(documents, sort_keys=False))


def test_a_pod_that_names_the_runtime_lands_on_a_gpu_machine_and_tolerates_its_taint() -> None:
    assert runtime_class()["handler"] == "nvidia"
    assert runtime_class()["scheduling"] == {"nodeSelector": {"nvidia.com/gpu": "present"}, "tolerations": [TAINT]}


def test_everything_runs_on_gpu_machines_alone() -> None:
    plugin, exporter = chart_values("nvidia-device-plugin"), chart_values("dcgm-exporter")
    (term,) = plugin["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term == {"matchExpressions": [{"key": "nvidia.com/gpu", "operator": "In", "values": ["present"]}]}
    for values in (plugin["nfd"]["worker"], exporter):
        assert values["nodeSelector"] == {"nvidia.com/gpu": "present"}
    for values in (plugin, plugin["nfd"]["worker"], exporter):
        assert values["tolerations"] == [TAINT]
    placed = {workload.name: workload.on for chart in CHARTS for workload in workloads(chart, chart_values(chart))}
    assert {name for name, place in placed.items() if place != "gpu"} == {
        "nvidia-device-plugin-node-feature-discovery-master"
    }


def test_a_gpu_is_shared_by_as_many_pods_as_the_configuration_says() -> None:
    config = device_plugin_values(4)["config"]
    assert config["default"] == "default"
    assert yaml.safe_load(config["map"]["default"]) == {
        "version": "v1",
        "sharing": {
            "timeSlicing": {
                "failRequestsGreaterThanOne": True,
                "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
            }
        },
    }


def test_without_sharing_the_plugin_is_given_no_configuration() -> None:
    assert device_plugin_values(1) == {}


@pytest.mark.parametrize("time_slicing", [1, 4])
def test_every_computed_value_is_one_that_the_chart_knows(time_slicing: int) -> None:
    from tests.unit.charts.test_values import Upstream  # Here, since it skips where the charts' values are not.

    values = merged(chart_values("nvidia-device-plugin"), device_plugin_values(time_slicing))
    assert Upstream("nvidia-device-plugin").unknown(values) == []
    assert Upstream("nvidia-device-plugin").unknown({"config": {"defaults": "default"}}) == ["config.defaults"]


@pytest.mark.parametrize("time_slicing", [0, -1, 65, True, "4", 1.5])
def test_a_number_of_shares_that_makes_no_sense_is_refused(time_slicing: object) -> None:
    assert [problem.key for problem in problems(time_slicing, PINS)] == ["time_slicing"]


def test_a_chart_that_is_not_pinned_is_refused() -> None:
    with pytest.raises(DeploymentFailed, match=r"Gpu 'gpu':\n  - charts\.dcgm-exporter = None: is not pinned"):
        run(charts={"nvidia-device-plugin": PINS["nvidia-device-plugin"]})


def test_releases_come_after_their_namespace_its_policies_and_the_runtime() -> None:
    deployment = run(time_slicing=2)
    for chart in CHARTS:
        waits = before(deployment.resources, f"gpu-{chart}")
        assert {"gpu-gpu-namespace", "gpu-nvidia-runtime-class", "gpu-gpu-default-deny-network-policy"} <= waits
    assert "config" in release(deployment, "nvidia-device-plugin")


def test_prometheus_is_told_of_the_exporter_only_where_asked() -> None:
    assert release(run(), "dcgm-exporter")["serviceMonitor"]["enabled"] is False
    assert release(run(service_monitor=True), "dcgm-exporter")["serviceMonitor"]["enabled"] is True


def test_the_namespace_lets_device_plugins_in() -> None:
    labels = run().named("gpu-gpu-namespace").inputs["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "privileged"
