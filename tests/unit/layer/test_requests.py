"""What charts request is read from our values: figures, units, and what is unknown is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.layer import UnknownChartError, Workload, mebibytes, merged, millicores, workloads


@pytest.mark.parametrize(
    ("quantity", "figure"), [("50m", 50), ("2", 2000), (2, 2000), ("0.5", 500), ("1.25", 1250), (0, 0)]
)
def test_cores_are_millicores(quantity: object, figure: int) -> None:
    assert millicores(quantity) == figure


@pytest.mark.parametrize(
    ("quantity", "figure"),
    [("128Mi", 128), ("1Gi", 1024), ("2048Ki", 2), ("1G", 954), ("1M", 1), (2**20, 1), ("0.5Gi", 512)],
)
def test_memory_is_mebibytes(quantity: object, figure: int) -> None:
    assert mebibytes(quantity) == figure


@pytest.mark.parametrize("quantity", ["", "much", "1Gi", "-1", "1 m", "1e3", None])
def test_what_is_no_quantity_of_cores_is_refused(quantity: object) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        millicores(quantity)


@pytest.mark.parametrize("quantity", ["", "much", "1m", "1gi", "-1Mi", "1 Gi", True])
def test_what_is_no_quantity_of_memory_is_refused(quantity: object) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        mebibytes(quantity)


VALUES: dict[str, Any] = {
    "replicas": 3,
    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    "sidecar": {"enabled": False, "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}},
}


def listing(directory: Path, *entries: dict[str, Any]) -> Path:
    path = directory / "workloads.yaml"
    path.write_text(yaml.safe_dump({"chart": list(entries)}))
    return path


def test_replicas_and_requests_are_paths_into_the_values(tmp_path: Path) -> None:
    entry = {"name": "app", "kind": "Deployment", "replicas": "replicas", "requests": ["resources", {"cpu": "5m"}]}
    assert workloads("chart", VALUES, listing(tmp_path, entry)) == [Workload("app", "Deployment", 3, 105, 64)]


def test_what_is_switched_off_requests_nothing(tmp_path: Path) -> None:
    entry = {"name": "side", "kind": "Deployment", "requests": ["sidecar.resources"], "when": "sidecar.enabled"}
    assert workloads("chart", VALUES, listing(tmp_path, entry)) == []
    on = merged(VALUES, {"sidecar": {"enabled": True}})
    assert workloads("chart", on, listing(tmp_path, entry)) == [Workload("side", "Deployment", 1, 10, 16)]


def test_machines_decide_how_many_daemons_there_are(tmp_path: Path) -> None:
    entry = {"name": "agent", "kind": "DaemonSet", "requests": ["resources"], "on": "every"}
    assert workloads("chart", VALUES, listing(tmp_path, entry)) == [Workload("agent", "DaemonSet", 0, 100, 64, "every")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"requests": ["nothing.resources"]}, "our values hold no requests at nothing.resources"),
        ({"replicas": "nothing"}, "our values hold no number of replicas at nothing"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_since_the_requests_would_be_unknown(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=f"chart/app: {said}"):
        workloads("chart", VALUES, listing(tmp_path, {"name": "app", "kind": "Deployment", **changes}))


def test_a_chart_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownChartError, match="does not say what the chart 'other' runs: add it"):
        workloads("other", VALUES, listing(tmp_path))


def test_values_are_laid_over_each_other_as_helm_does() -> None:
    below = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}
    assert merged(below, {"a": {"c": [3]}, "d": None}) == {"a": {"b": 1, "c": [3]}, "d": None}
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}
