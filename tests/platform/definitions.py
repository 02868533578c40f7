"""Definitions of the kinds that the platform uses: the real ones of the pinned releases where they are, permissive ones otherwise."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from sandbox.charts import PARSER, Definition, read_definitions
from sandbox.controllers.constraints import definition as constraint_definition
from tests.upstream import UPSTREAM

Object = dict[str, Any]

CHARTS = {
    "cert-manager.io": "cert-manager",
    "cilium.io": "cilium",
    "config.gatekeeper.sh": "gatekeeper",
    "external-secrets.io": "external-secrets",
    "gateway.networking.k8s.io": "linkerd-crds",
    "keda.sh": "keda",
    "longhorn.io": "longhorn",
    "monitoring.coreos.com": "prometheus-operator-crds",
    "policy.linkerd.io": "linkerd-crds",
    "templates.gatekeeper.sh": "gatekeeper",
    "traefik.io": "traefik",
    "trust.cert-manager.io": "trust-manager",
}
"""Whose definition it is, by group."""

OTHERS = (
    ("traefik.io", "IngressRoute"),
    ("traefik.io", "IngressRouteTCP"),
    ("traefik.io", "IngressRouteUDP"),
    ("traefik.io", "ServersTransport"),
    ("traefik.io", "TLSOption"),
    ("traefik.io", "TLSStore"),
    ("traefik.io", "TraefikService"),
    ("external-secrets.io", "ExternalSecret"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("keda.sh", "ScaledObject"),
    ("monitoring.coreos.com", "ServiceMonitor"),
    ("policy.linkerd.io", "HTTPRoute"),
    ("policy.linkerd.io", "MeshTLSAuthentication"),
)
"""Kinds of which no object is the platform's own: those of tenants, and those that nobody may make."""

SCALED_OBJECT = Definition(
    "keda", "keda.sh", "ScaledObject", "scaledobjects", True, ("v1alpha1",), "v1alpha1", True, False, "", ""
)
"""KEDA is not installed with what is here: the sandbox knows nothing of its kinds."""


@dataclass(frozen=True)
class Made:
    """A definition, and whether it is the real one."""

    manifest: Object
    real: bool

    @property
    def kind(self) -> str:
        return str(self.manifest["spec"]["names"]["kind"])

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def places(self) -> list[str]:
        """``<group>/<version>/<plural>`` of all versions that are served."""
        spec = self.manifest["spec"]
        served = [each["name"] for each in spec["versions"] if each["served"]]
        return [f"{spec['group']}/{version}/{spec['names']['plural']}" for version in served]


def custom_kinds(objects: Iterable[Object]) -> set[tuple[str, str]]:
    """Groups and kinds that somebody must define; those of constraints are Gatekeeper's to make."""
    found = {(each["apiVersion"].partition("/")[0], each["kind"]) for each in objects if "/" in each["apiVersion"]}
    return {(group, kind) for group, kind in found if group in CHARTS}


def definitions(objects: Iterable[Object]) -> list[Made]:
    """Of all kinds of these objects, of tenants' kinds, and of the constraints that the templates among them define."""
    given = list(objects)
    kinds = sorted(custom_kinds(given) | set(OTHERS))
    return [*(_definition(group, kind) for group, kind in kinds), *_constraints(given)]


def permissive(made: Iterable[Made]) -> list[str]:
    """Why some take everything; a line each, for who reads the tests' output."""
    return [f"{each.name} takes everything: its real definition is not at {UPSTREAM}" for each in made if not each.real]


def _definition(group: str, kind: str) -> Made:
    known = next(each for each in (*read_definitions(), SCALED_OBJECT) if (each.group, each.kind) == (group, kind))
    chart = CHARTS[group]
    path = UPSTREAM / chart / "crds" / f"{known.name}.yaml"
    schema = UPSTREAM / chart / "schemas" / f"{kind.lower()}_v2.json"
    if path.is_file():
        manifest: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=PARSER)
        # A webhook that converts is not there.
        manifest["spec"].pop("conversion", None)
        return Made(manifest, real=True)
    manifest = known.manifest()
    if schema.is_file():
        for version in manifest["spec"]["versions"]:
            version["schema"] = {"openAPIV3Schema": _structural(json.loads(schema.read_text(encoding="utf-8")))}
    return Made(manifest, real=schema.is_file())


def _structural(schema: Any) -> Any:
    """As a definition says it: that there are no other properties goes without saying there, and must not be said."""
    if isinstance(schema, list):
        return [_structural(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = schema.get("additionalProperties") is False and "type" in schema
    return {key: _structural(value) for key, value in schema.items() if not (closed and key == "additionalProperties")}


def _constraints(objects: Iterable[Object]) -> Iterator[Made]:
    """As Gatekeeper makes them: parameters by the template's own schema."""
    for each in objects:
        if each["kind"] == "ConstraintTemplate":
            placed = {**each, "metadata": {**each["metadata"], "uid": "none"}}
            manifest = constraint_definition(placed)
            del manifest["metadata"]["ownerReferences"]
            yield Made(manifest, real=True)
