"""What charts run, and what their pods request: read from our values, so that it cannot differ from what is installed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, cast

import yaml

WORKLOADS: Final = Path(__file__).resolve().parents[2] / "charts" / "workloads.yaml"

Place = Literal["agents", "servers", "every", "storage", "gpu"]
"""Where pods run. ``every``: one on each machine. ``servers``: those with replicas run there, daemons on each of them."""

_MILLI: Final = {"m": 1.0, "": 1000.0}
_MEBI: Final = {
    "Ki": 1 / 1024,
    "Mi": 1.0,
    "Gi": 1024.0,
    "Ti": 1024.0**2,
    "k": 1e3 / 2**20,
    "M": 1e6 / 2**20,
    "G": 1e9 / 2**20,
    "T": 1e12 / 2**20,
    "": 1 / 2**20,
}
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)([a-zA-Z]*)")


class UnknownChartError(LookupError):
    """A chart does not say in charts/workloads.yaml what it runs."""


@dataclass(frozen=True)
class Workload:
    """Pods of one kind.

    Args:
        name: As the chart names it.
        kind: ``Deployment``, ``StatefulSet``, ``DaemonSet``, ``Job``.
        replicas: How many; 0 for a DaemonSet, whose number the machines decide.
        cpu: Millicores that each pod requests.
        memory: MiB that each pod requests.
        on: Where its pods run.
        apart: Whether two of its pods must not share a machine.
    """

    name: str
    kind: str
    replicas: int
    cpu: int
    memory: int
    on: Place = "agents"
    apart: bool = False


def millicores(quantity: object) -> int:
    """A CPU quantity of Kubernetes (``50m``, ``2``) in millicores.

    Raises:
        ValueError: it is none.
    """
    return round(_scaled(quantity, _MILLI))


def mebibytes(quantity: object) -> int:
    """A memory quantity of Kubernetes (``128Mi``, ``1Gi``) in MiB.

    Raises:
        ValueError: it is none.
    """
    return round(_scaled(quantity, _MEBI))


def _scaled(quantity: object, units: Mapping[str, float]) -> float:
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None or found[2] not in units:
        raise ValueError(f"{quantity!r} is no quantity")
    return float(found[1]) * units[found[2]]


def workloads(chart: str, values: Mapping[str, Any], listing: Path = WORKLOADS) -> list[Workload]:
    """What a chart runs with these values (static ones and ours together).

    An entry of the list: ``name``, ``kind``, ``replicas`` (a number, or a path into the values), ``requests`` (a list: paths
    to ``resources``, or figures that the chart fixes), ``on`` (see `Place`), ``when`` (a path that must hold something),
    ``apart`` (true where the chart's pods must not share a machine).
    What else stands there (``labels``, ``security``, ``hostNetwork``, ``nodeSelector``, ``tolerations``, ``service``,
    ``claims``) costs nothing: it is for the sandbox's stand-ins, and the list itself explains it.

    Raises:
        UnknownChartError: the chart is not in charts/workloads.yaml.
        ValueError: a path leads nowhere: the requests would be unknown.
    """
    every = listed(listing)
    if chart not in every:
        raise UnknownChartError(f"{listing.name} does not say what the chart {chart!r} runs: add it")
    return [_workload(chart, entry, values) for entry in every[chart] if _wanted(entry, values)]


def listed(listing: Path = WORKLOADS) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Everything that the list says, by chart. It is parsed once: a region installs some twenty charts."""
    return _parsed(listing, listing.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _parsed(listing: Path, changed: int) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    del changed
    # In C where PyYAML has it: this is the longest file that a preview reads.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(listing.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506  both are safe


def _wanted(entry: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return "when" not in entry or bool(_at(values, entry["when"]))


def _workload(chart: str, entry: Mapping[str, Any], values: Mapping[str, Any]) -> Workload:
    name = f"{chart}/{entry['name']}"
    replicas = entry.get("replicas", 0 if entry["kind"] == "DaemonSet" else 1)
    if isinstance(replicas, str):
        found = _at(values, replicas)
        if not isinstance(found, int):
            raise ValueError(f"{name}: our values hold no number of replicas at {replicas}")
        replicas = found
    cpu = memory = 0
    for source in cast("Sequence[str | Mapping[str, str]]", entry.get("requests", ())):
        requested = _requested(name, source, values)
        cpu += millicores(requested.get("cpu", 0))
        memory += mebibytes(requested.get("memory", 0))
    # YAML 1.1 reads the key `on` as the truth value.
    place = cast("Mapping[object, Any]", entry).get(True, entry.get("on", "agents"))
    apart = bool(entry.get("apart", False))
    return Workload(entry["name"], entry["kind"], int(replicas), cpu, memory, place, apart)


def _requested(name: str, source: str | Mapping[str, str], values: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(source, str):
        return source
    requests = _at(values, f"{source}.requests") or _linkerds(_at(values, source))
    if not isinstance(requests, Mapping):
        raise ValueError(f"{name}: our values hold no requests at {source}")
    return cast("Mapping[str, Any]", requests)


def _linkerds(resources: Any) -> dict[str, Any] | None:
    """Linkerd's charts turn it round: ``cpu: {request: 20m}``."""
    if not isinstance(resources, Mapping):
        return None
    turned = cast("Mapping[str, Any]", resources)
    found = {name: _at(turned, f"{name}.request") for name in ("cpu", "memory")}
    return {name: quantity for name, quantity in found.items() if quantity} or None


def _at(values: Mapping[str, Any], path: str) -> Any:
    value: Any = values
    for key in path.split("."):
        value = cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
    return value
