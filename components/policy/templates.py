"""ConstraintTemplates: one file for each kind, and the Rego modules that several of them share."""

import re
from pathlib import Path
from typing import Any, Final

from .data import HERE, read

Manifest = dict[str, Any]

_IMPORT: Final = re.compile(r"^import data\.lib\.([a-z]+)$", re.MULTILINE)
CREATED: Final = "jsonpath={.status.created}=true"
"""Said of a template once Gatekeeper has made the definition of its constraints."""


def constraint_templates() -> list[Manifest]:
    """All templates, by kind, with the shared modules that each imports."""
    return [_template(path) for path in sorted((HERE / "templates").glob("*.yaml"))]


def kind_of(template: Manifest) -> str:
    """The kind of a template's constraints."""
    return str(template["spec"]["crd"]["spec"]["names"]["kind"])


def _template(path: Path) -> Manifest:
    template: Manifest = read("templates", path.name)
    template["metadata"]["annotations"]["pulumi.com/waitFor"] = CREATED
    for target in template["spec"]["targets"]:
        source = target["code"][0]["source"]
        libraries = _needed(source["rego"])
        if libraries:
            source["libs"] = [_library(name) for name in libraries]
    return template


def _needed(rego: str) -> list[str]:
    """Names of shared modules that a module imports, and that these import in their turn."""
    found: set[str] = set()
    asked = _IMPORT.findall(rego)
    while asked:
        name = asked.pop()
        if name not in found:
            found.add(name)
            asked += _IMPORT.findall(_library(name))
    return sorted(found)


def _library(name: str) -> str:
    return (HERE / "rego" / f"{name}.rego").read_text(encoding="utf-8")
