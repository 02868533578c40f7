"""The definitions of the Prometheus operator and metrics-server."""

from typing import Any

import pytest

from components.layer import chart_values
from components.metrics import Metrics
from components.metrics.metrics import CHARTS
from sandbox import inprocess
from sandbox.deployment import Deployment, DeploymentFailed

PINS = {chart: {"repository": "https://charts.example.com", "version": "1.2.3"} for chart in CHARTS}


def run(charts: Any = PINS) -> Deployment:
    return inprocess.run(
        lambda: Metrics("metrics", {"charts": charts}) and None,
        project="test",
        stack="test",
        skipped=frozenset({"kubernetes"}),
    )


def test_both_are_in_the_systems_namespace_and_awaited() -> None:
    releases = run().by_type("kubernetes:helm.sh/v3:Release")
    assert [release.name for release in releases] == ["metrics-metrics-server", "metrics-prometheus-operator-crds"]
    assert {release.inputs["namespace"] for release in releases} == {"kube-system"}
    assert {release.inputs["skipAwait"] for release in releases} == {False}


def test_kubelets_certificates_are_verified() -> None:
    """k3s signs them with the CA that pods are given; the chart's flag for skipping this must stay out."""
    assert "kubelet-insecure-tls" not in str(chart_values("metrics-server"))


def test_one_metrics_server_may_go() -> None:
    values = chart_values("metrics-server")
    assert values["replicas"] == 2
    assert values["podDisruptionBudget"] == {"enabled": True, "minAvailable": 1}


def test_a_chart_that_is_not_pinned_is_refused() -> None:
    with pytest.raises(DeploymentFailed, match=r"Metrics 'metrics':\n  - charts\.metrics-server = None: is not pinned"):
        run({"prometheus-operator-crds": PINS["prometheus-operator-crds"]})
