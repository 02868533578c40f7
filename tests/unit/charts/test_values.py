"""Every value that we give a chart is one that the chart knows, at the version that is pinned.

Many charts pass over unknown keys without a word: a misspelt one would never be noticed.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import upstream

ROOT = Path(__file__).resolve().parents[3]
OURS = {path.stem: path for path in sorted((ROOT / "charts/values").glob("*.yaml"))}
FREE = ("env", "nodeSelector", "resources", "spec")
"""What is handed on as it is: the key is the chart's, its content Kubernetes' own."""

upstream.required()


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


class Upstream:
    """A chart as its authors released it."""

    def __init__(self, chart: str) -> None:
        directory, known = upstream.required(chart), upstream.index()[chart]
        self.version, self.repository = known["version"], known["repository"]
        files = [directory / "values.yaml", directory / "values-ha.yaml"]
        self._documents = [
            {**read(path), **self._dependencies(directory, read(path))} for path in files if path.exists()
        ]
        self._text = "".join(path.read_text(encoding="utf-8") for path in files if path.exists())

    @staticmethod
    def _dependencies(directory: Path, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values of its sub-charts, under their names in it."""
        found: dict[str, Any] = {}
        for dependency in read(directory / "Chart.yaml").get("dependencies") or ():
            path = directory / "dependencies" / dependency["name"] / "values.yaml"
            name = dependency.get("alias", dependency["name"])
            if path.exists():
                found[name] = {**read(path), **{k: v for k, v in (values.get(name) or {}).items() if k == "enabled"}}
        return found

    def unknown(self, ours: Mapping[str, Any]) -> list[str]:
        """Our keys that it does not have, such as ``webhook.replicas``."""
        found = [set(self._walk(ours, document, ())) for document in self._documents]
        return sorted(".".join(path) for path in set.intersection(*found))

    def _walk(self, ours: Mapping[str, Any], theirs: Any, at: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if not theirs or (at and at[-1] in FREE):
            return  # Left empty: it takes what it is given.
        for key, value in ours.items():
            known = isinstance(theirs, dict) and key in theirs
            if not known and not self._commented(key):
                yield (*at, key)
            elif known and isinstance(value, dict) and isinstance(theirs[key], dict):
                yield from self._walk(value, theirs[key], (*at, key))

    def _commented(self, key: str) -> bool:
        """Whether it stands in the file as a comment that shows how to set it."""
        return re.search(rf"^\s*# ?{re.escape(key)}:", self._text, re.MULTILINE) is not None


@pytest.mark.parametrize("chart", OURS)
def test_every_value_is_one_that_the_chart_knows(chart: str) -> None:
    assert Upstream(chart).unknown(read(OURS[chart])) == []


@pytest.mark.parametrize("chart", OURS)
def test_a_misspelt_value_is_found(chart: str) -> None:
    ours = read(OURS[chart])
    key = next(key for key in ours if key not in FREE)
    misspelt = {f"{name}x" if name == key else name: value for name, value in ours.items()}
    assert Upstream(chart).unknown(misspelt) == [f"{key}x"]


def test_a_misspelt_value_is_found_at_any_depth() -> None:
    values = {"webhook": {"podDisruptionBudget": {"enable": True}, "resources": {"requests": {"cpu": "10m"}}}}
    assert Upstream("cert-manager").unknown(values) == ["webhook.podDisruptionBudget.enable"]


@pytest.mark.parametrize("chart", read(ROOT / "config/versions.yaml")["charts"])
def test_the_pinned_version_is_the_one_that_was_looked_at(chart: str) -> None:
    pinned, theirs = read(ROOT / "config/versions.yaml")["charts"][chart], Upstream(chart)
    assert (pinned["version"], pinned["repository"]) == (theirs.version, theirs.repository)


def test_every_chart_with_values_has_a_version() -> None:
    assert set(OURS) <= set(read(ROOT / "config/versions.yaml")["charts"])
