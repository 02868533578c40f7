"""Values of the upstream charts: those that never change are in ``charts/values``, the others are laid over them."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypedDict, cast

import yaml

from ..problem import Problem

CHARTS: Final = Path(__file__).resolve().parents[2] / "charts"
VALUES: Final = CHARTS / "values"

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C where PyYAML has it, as every preview reads a hundred files."""


class ChartPin(TypedDict):
    """Which release of a chart is installed."""

    repository: str
    """``https://…``, or ``oci://…`` without the chart's name."""
    version: str


def unpinned(charts: Mapping[str, object], names: Iterable[str]) -> list[Problem]:
    """A problem for each chart that a layer installs and nobody pinned.

    Args:
        charts: The pins, by the chart's name.
        names: What the layer installs.
    """
    return [
        Problem(f"charts.{name}", None, "is not pinned", "give its repository and version")
        for name in names
        if name not in charts
    ]


def read_yaml(path: Path) -> Any:
    """What a YAML file says; no tags but YAML's own."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506  both loaders are safe


def chart_values(chart: str) -> dict[str, Any]:
    """What ``charts/values/<chart>.yaml`` says; nothing for a chart that has no such file."""
    path = VALUES / f"{chart}.yaml"
    return cast("dict[str, Any]", read_yaml(path)) if path.exists() else {}


def own_values(chart: str) -> dict[str, Any]:
    """The values of a chart of ours, ``charts/<chart>/values.yaml``."""
    return cast("dict[str, Any]", read_yaml(CHARTS / chart / "values.yaml"))


def own_path(chart: str) -> str:
    """Where a chart of ours is, seen from the program's directory, which is the provider's as well.

    So every machine says the same, and another project that uses the components finds it too.
    """
    path = os.path.relpath(CHARTS / chart)
    return path if path.startswith("..") else f"./{path}"


def own_digest(chart: str) -> str:
    """Twelve characters that change with any file of a chart of ours."""
    digest = hashlib.sha256()
    for path in sorted(path for path in (CHARTS / chart).rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(CHARTS)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def merged(values: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """``overlay`` over ``values``, as Helm lays files over each other: mappings are joined, all else is replaced."""
    made = dict(values)
    for key, value in overlay.items():
        below = made.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            made[key] = merged(cast("Mapping[str, Any]", below), cast("Mapping[str, Any]", value))
        else:
            made[key] = value
    return made
