"""Writes what `gator verify` reads: templates and constraints as they are deployed, namespaces, one object for each case.

A case (tests/policy/cases): ``base`` names a base object (bases.yaml; a pod unless told), ``set`` and ``unset`` change it by
path (``spec/containers/0/image``, ``~1`` for a slash in a key), ``namespace`` moves it, ``as`` says who asks (else nobody does,
as in an audit), ``operation`` what is asked (CREATE unless told) and ``was`` what an UPDATE finds there, written like the case
itself (the same object unless told). ``container`` changes a container: a bad one is tried in every
list of containers and in every kind that makes pods, unless ``lists`` names fewer.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.policy import Rules, constraint_templates, constraints, kind_of, tenant_annotations

HERE = Path(__file__).resolve().parent
RULES = Rules("deny", ["registry.example.com/", "ghcr.io/example/"])
BASES = yaml.safe_load((HERE / "bases.yaml").read_text())
CASES: dict[str, dict[str, dict[str, Any]]] = {
    kind: each
    for path in sorted((HERE / "cases").glob("*.yaml"))
    for kind, each in yaml.safe_load(path.read_text()).items()
}
TEMPLATES = {kind_of(template): template for template in constraint_templates()}
CONSTRAINTS = {constraint["kind"]: constraint for constraint in constraints(RULES)}
LISTS = ("containers", "initContainers", "ephemeralContainers")
MAKERS = {
    "deployment": "spec/template/spec",
    "statefulset": "spec/template/spec",
    "daemonset": "spec/template/spec",
    "replicaset": "spec/template/spec",
    "replicationcontroller": "spec/template/spec",
    "job": "spec/template/spec",
    "cronjob": "spec/jobTemplate/spec/template/spec",
}


@dataclass(frozen=True)
class Case:
    """An object, and whether the constraint finds something."""

    name: str
    bad: bool
    object: dict[str, Any]
    asked_by: dict[str, Any] | None = None
    operation: str = "CREATE"
    says: str = ""
    was: dict[str, Any] | None = None


def namespaces() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for name, each in BASES["namespaces"].items():
        annotations = {"config.linkerd.io/default-inbound-policy": "deny"}
        if "facts" in each:
            annotations |= tenant_annotations(**each["facts"])
        labels = {"kubernetes.io/metadata.name": name, **each["labels"]}
        metadata = {"name": name, "labels": labels, "annotations": annotations}
        made.append({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    return made


def base(name: str) -> dict[str, Any]:
    # Parts of the bases are shared within them: a change of one place is to be seen at no other.
    return json.loads(json.dumps(BASES["objects"][name]))


def place(thing: Any, path: str, value: Any) -> None:
    """Set, or with ``...`` remove, what is at a path."""
    *way, last = [part.replace("~1", "/") for part in path.split("/")]
    for part in way:
        thing = thing[int(part)] if isinstance(thing, list) else thing.setdefault(part, {})
    if isinstance(thing, list):
        if last == "+":
            thing.append(value)
        else:
            thing[int(last)] = value
    elif value is ...:
        del thing[last]
    else:
        thing[last] = value


def changed(each: Mapping[str, Any]) -> dict[str, Any]:
    made = base(each.get("base", "pod"))
    if "namespace" in each:
        made["metadata"]["namespace"] = each["namespace"]
    for path in each.get("unset", ()):
        place(made, path, ...)
    for path, value in each.get("set", {}).items():
        place(made, path, value)
    return made


def cases(kind: str) -> list[Case]:
    """Every case of a kind of constraint."""
    made: list[Case] = []
    templated = False
    for word, bad in (("good", False), ("bad", True)):
        for name, each in CASES[kind].get(word, {}).items():
            made += _cases(name, bad, each or {})
            if bad and each and "container" in each and not templated:
                made += _templates(name, each)
                templated = True
    return made


def _cases(name: str, bad: bool, each: Mapping[str, Any]) -> Iterator[Case]:
    asked = {"username": "somebody", **each["as"]} if "as" in each else None
    was = changed({"base": each.get("base", "pod"), **each["was"]}) if "was" in each else None
    rest = (asked, each.get("operation", "CREATE"), each.get("says", ""), was)
    if "container" not in each:
        yield Case(name, bad, changed(each), *rest)
    else:
        for key in each.get("lists", LISTS):
            yield Case(f"{name} ({key})", bad, _contained(f"spec/{key}/0", each, changed(each)), *rest)


def _templates(name: str, each: Mapping[str, Any]) -> Iterator[Case]:
    """In whatever makes pods: told there, before there is a pod."""
    for maker, way in MAKERS.items():
        yield Case(
            f"{name} ({maker})", True, _contained(f"{way}/containers/0", each, base(maker)), says=each.get("says", "")
        )


def _contained(way: str, each: Mapping[str, Any], thing: dict[str, Any]) -> dict[str, Any]:
    for path, value in each["container"].items():
        place(thing, f"{way}/{path}", ... if value == "-" else value)
    return thing


def review(case: Case) -> dict[str, Any]:
    """The object as the API server would ask about it, or by itself."""
    if case.asked_by is None and case.operation == "CREATE":
        return case.object
    group, _, version = case.object["apiVersion"].rpartition("/")
    kind = {"group": group, "version": version, "kind": case.object["kind"]}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "kind": kind,
            "name": case.object["metadata"]["name"],
            "namespace": case.object["metadata"].get("namespace", ""),
            "operation": case.operation,
            "userInfo": case.asked_by or {"username": "somebody", "groups": ["system:authenticated"]},
            "object": case.object,
            **({"oldObject": case.was or case.object} if case.operation == "UPDATE" else {}),
        },
    }


def write(kind: str, directory: Path) -> None:
    """The suite of a kind, and all that it names."""
    (directory / "objects").mkdir()
    _dump(directory / "template.yaml", TEMPLATES[kind])
    _dump(directory / "constraint.yaml", CONSTRAINTS[kind])
    inventory: list[str] = []
    beside: Any = CASES[kind].get("beside", [])
    for number, thing in enumerate([*namespaces(), *map(changed, beside)]):
        inventory.append(f"inventory-{number}.yaml")
        _dump(directory / inventory[-1], thing)
    made: list[dict[str, Any]] = []
    for number, case in enumerate(cases(kind)):
        _dump(directory / f"objects/{number}.yaml", review(case))
        assertion: dict[str, Any] = {"violations": "yes" if case.bad else "no"}
        if case.says:
            assertion["message"] = case.says
        made.append(
            {"name": case.name, "object": f"objects/{number}.yaml", "inventory": inventory, "assertions": [assertion]}
        )
    suite = {
        "apiVersion": "test.gatekeeper.sh/v1alpha1",
        "kind": "Suite",
        "metadata": {"name": kind.lower()},
        "tests": [{"name": kind, "template": "template.yaml", "constraint": "constraint.yaml", "cases": made}],
    }
    _dump(directory / "suite.yaml", suite)


def _dump(path: Path, thing: Any) -> None:
    path.write_text(json.dumps(thing), encoding="utf-8")
