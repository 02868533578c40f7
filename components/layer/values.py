"""Values of the upstream charts: those that never change are in ``charts/values``, the others are laid over them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypedDict, cast

import yaml

VALUES: Final = Path(__file__).resolve().parents[2] / "charts" / "values"


class ChartPin(TypedDict):
    """Which release of a chart is installed."""

    repository: str
    """``https://…``, or ``oci://…`` without the chart's name."""
    version: str


def chart_values(chart: str) -> dict[str, Any]:
    """What ``charts/values/<chart>.yaml`` says; nothing for a chart that has no such file."""
    path = VALUES / f"{chart}.yaml"
    return cast("dict[str, Any]", yaml.safe_load(path.read_text())) if path.exists() else {}


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
