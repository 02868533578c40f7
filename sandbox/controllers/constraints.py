"""A stand-in for Gatekeeper: it makes the kinds of constraints that templates define. It refuses nothing: that is gator's part."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from ..machines.watching import DEFINITION, Key, Kind, Object, Watching, each_of, key_of, part_of
from .stand_in import MADE_BY, StandIn, owner

TEMPLATE: Final = Kind("templates.gatekeeper.sh/v1", "constrainttemplates", namespaced=False, defined=True)

_GROUP: Final = "constraints.gatekeeper.sh"
_ANYTHING: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


class Constraints(StandIn):
    """Templates become definitions, and say whether they have."""

    name: ClassVar = "gatekeeper"

    def __init__(self, watching: Watching, say: Callable[[str], None]) -> None:
        super().__init__(watching, say)
        self._templates = self.responsible_for(TEMPLATE)
        # A definition that somebody has deleted is made again.
        self._definitions = self.depends_on(DEFINITION, self._of_definition)

    def _of_definition(self, definition: Object) -> list[tuple[Kind, Key]]:
        name, _, group = definition["metadata"]["name"].partition(".")
        return [(TEMPLATE, ("", name))] if group == _GROUP and self._templates.get("", name) else []

    async def look(self, kind: Kind, object: Object) -> None:
        """Make the definition of a template's constraints, or say what is wrong with the template."""
        if problem := _problem(object):
            told = [{"id": self.name, "observedGeneration": _generation(object), "errors": [problem]}]
            await self.report(kind, object, {"created": False, "byPod": told})
            return
        wanted = definition(object)
        before = self._definitions.get("", wanted["metadata"]["name"])
        version = part_of(wanted["metadata"], "annotations")
        if before is None or not version.items() <= part_of(before["metadata"], "annotations").items():
            await self.apply(DEFINITION, wanted)
        told = [{"id": self.name, "observedGeneration": _generation(object)}]
        await self.report(kind, object, {"created": True, "byPod": told})


def definition(template: Object) -> Object:
    """The definition of a template's constraints, as Gatekeeper writes it."""
    crd = template["spec"]["crd"]["spec"]
    kind: str = crd["names"]["kind"]
    parameters = part_of(part_of(crd, "validation"), "openAPIV3Schema") or _ANYTHING
    if part_of(crd, "validation").get("legacySchema"):
        parameters = {"x-kubernetes-preserve-unknown-fields": True, **parameters}
    spec: dict[str, Any] = {
        "type": "object",
        "properties": {
            "enforcementAction": {"type": "string"},
            "match": _ANYTHING,
            "parameters": parameters,
            "scopedEnforcementActions": {"type": "array", "items": _ANYTHING},
        },
    }
    schema = {"type": "object", "properties": {"metadata": {"type": "object"}, "spec": spec, "status": _ANYTHING}}
    version: dict[str, Any] = {
        "name": "v1beta1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": DEFINITION.version,
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.lower()}.{_GROUP}",
            "labels": {"gatekeeper.sh/constraint": "yes", MADE_BY: Constraints.name},
            "annotations": {"sandbox/generation": str(_generation(template))},
            "ownerReferences": [owner(TEMPLATE.version, "ConstraintTemplate", template)],
        },
        "spec": {
            "group": _GROUP,
            "scope": "Cluster",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": kind.lower(),
                "singular": kind.lower(),
                "categories": ["constraint", "constraints"],
            },
            "versions": [version],
        },
    }


def _problem(template: Object) -> dict[str, str] | None:
    """What Gatekeeper would refuse without reading any Rego."""
    kind: str = part_of(part_of(part_of(template["spec"], "crd"), "spec"), "names").get("kind") or ""
    name = key_of(template)[1]
    if not kind:
        return {"code": "create_error", "message": f"{name}: spec.crd.spec.names.kind is missing"}
    if name != kind.lower():
        message = (
            f"the ConstraintTemplate's name {name!r} is not equal to the lowercase of CRD's Kind: {kind.lower()!r}"
        )
        return {"code": "create_error", "message": message}
    if not each_of(template["spec"], "targets"):
        return {"code": "create_error", "message": f"{name}: spec.targets is empty"}
    return None


def _generation(object: Object) -> int:
    return object["metadata"].get("generation", 1)
