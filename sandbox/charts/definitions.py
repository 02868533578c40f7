"""Definitions of custom resources that charts bring: permissive ones of ours, or the real ones where there are any."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import yaml

LIST: Final = Path(__file__).with_name("definitions.yaml")

PARSER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Definitions are megabytes, for which the C parser, where there is one, is ten times as fast."""

_TAKES_EVERYTHING: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True)
class Definition:
    """A kind that a chart defines.

    Args:
        chart: Which one.
        group, kind, plural: Its names.
        namespaced: Whether its objects live in namespaces.
        versions: The served ones.
        storage: The stored one.
        status: Whether ``status`` is written apart.
        kept: Whether Helm leaves it when the release goes.
        when: Path into the values that must hold something; empty for none.
        unless: Path into the values that must not be false; empty for none.
    """

    chart: str
    group: str
    kind: str
    plural: str
    namespaced: bool
    versions: tuple[str, ...]
    storage: str
    status: bool
    kept: bool
    when: str
    unless: str

    @property
    def name(self) -> str:
        """``<plural>.<group>``."""
        return f"{self.plural}.{self.group}"

    def is_wanted(self, values: Mapping[str, Any]) -> bool:
        """Whether the chart brings it with these values."""
        return not (self.when and not at(values, self.when)) and not (self.unless and at(values, self.unless) is False)

    def manifest(self) -> dict[str, Any]:
        """Its object, with a schema that takes everything."""
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": self.name,
                # Groups of Kubernetes' own must tell who approved them.
                **(
                    {"annotations": {"api-approved.kubernetes.io": "unapproved, stands in for a release's own"}}
                    if self.group.endswith(".k8s.io")
                    else {}
                ),
            },
            "spec": {
                "group": self.group,
                "scope": "Namespaced" if self.namespaced else "Cluster",
                "names": {"kind": self.kind, "plural": self.plural, "singular": self.kind.lower()},
                "versions": [
                    {
                        "name": version,
                        "served": True,
                        "storage": version == self.storage,
                        "schema": {"openAPIV3Schema": _TAKES_EVERYTHING},
                        **({"subresources": {"status": {}}} if self.status else {}),
                    }
                    for version in self.versions
                ],
            },
        }


@cache
def read_definitions() -> tuple[Definition, ...]:
    """Everything on the list."""
    listed: dict[str, dict[str, Any]] = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    return tuple(made for chart, entry in listed.items() for part in _parts(entry) for made in _read(chart, part))


def _parts(entry: dict[str, Any]) -> list[dict[str, Any]]:
    also = cast("list[dict[str, Any]]", entry.get("also", []))
    return [entry, *({**part, "kept": entry.get("kept", False)} for part in also)]


def _read(chart: str, part: Mapping[str, Any]) -> Iterator[Definition]:
    for group, kinds in cast("dict[str, list[dict[str, Any]]]", part["groups"]).items():
        for each in kinds:
            yield Definition(
                chart,
                group,
                each["kind"],
                each["plural"],
                each.get("scope", "Namespaced") == "Namespaced",
                tuple(each["versions"]),
                each.get("storage", each["versions"][-1]),
                each.get("status", True),
                bool(part.get("kept", False)),
                part.get("when", ""),
                part.get("unless", ""),
            )


def definitions(chart: str, values: Mapping[str, Any], real: Path | None = None) -> tuple[list[Any], list[Any]]:
    """Objects of the kinds that a chart brings with these values: those that go with a release, and those that Helm keeps.

    Args:
        chart: Its name.
        values: Of the release.
        real: Directory with ``<chart>/crds/<plural>.<group>.yaml``: a kind that is there is taken as it is there, and the
            chart's other kinds with it.
    """
    wanted = [each for each in read_definitions() if each.chart == chart and each.is_wanted(values)]
    found = _real(chart, real) if real and wanted else {}
    going: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for each in wanted:
        (kept if each.kept else going)[each.name] = found.pop(each.name, None) or each.manifest()
    (kept if any(each.kept for each in wanted) else going).update(found)
    return list(going.values()), list(kept.values())


def _real(chart: str, directory: Path) -> dict[str, Any]:
    files = sorted((directory / chart / "crds").glob("*.yaml"))
    found: dict[str, Any] = {}
    for path in files:
        manifest: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=PARSER)  # noqa: S506  it is a safe one
        found[manifest["metadata"]["name"]] = manifest
    return found


def at(values: Mapping[str, Any], path: str) -> Any:
    """The value at a path with dots; None when there is none."""
    value: Any = values
    for key in path.split("."):
        value = cast("Mapping[str, Any]", value).get(key) if isinstance(value, Mapping) else None
    return value
