"""Hetzner's OpenAPI document: whether an answer has the shape that it promises, no field more and none less."""

import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import jsonschema

DOCUMENT: Final = Path(__file__).parents[4] / "shared" / "reference" / "hetzner-openapi.json"
"""Stands beside the checkout; the repository does not hold it."""

_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string", "pattern": "^[a-z0-9_]+$"},
                "message": {"type": "string", "minLength": 1},
                "details": {"type": ["object", "null"]},
            },
        }
    },
}
"""Of every refusal; ``invalid_input`` has more, see `refusal_problems`."""

_FIELDS: Final = {
    "type": "object",
    "required": ["fields"],
    "properties": {
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "messages"],
                "properties": {
                    "name": {"type": "string"},
                    "messages": {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
                },
            },
        }
    },
}

OPTIONAL: Final = {"vswitch_id", "http", "targets", "applied_to_resources", "server", "label_selector", "ip", "action"}
"""Fields that the document does not require, and that are absent where they do not apply."""


class OpenApi:
    """The document, and the validators that were needed so far."""

    def __init__(self, path: Path = DOCUMENT) -> None:
        self._path = path
        self._validators: dict[tuple[str, str, str], jsonschema.Draft202012Validator] = {}

    @cached_property
    def _paths(self) -> list[tuple[re.Pattern[str], str, dict[str, Any]]]:
        document = json.loads(self._path.read_text(encoding="utf-8"))
        assert "$ref" not in json.dumps(document["paths"]), "references are not resolved here"
        known = [
            (re.compile(re.sub(r"\{[a-z_]+\}", "[0-9]+", path)), path, operations)
            for path, operations in document["paths"].items()
        ]
        # A fixed path wins over one with a parameter.
        return sorted(known, key=lambda each: each[1].count("{"))

    def problems(self, method: str, path: str, status: int, content: Any) -> Iterator[str]:
        """What is wrong with an answer to a request for a path below ``/v1``."""
        if status >= 400:
            yield from refusal_problems(content)
            return
        found = next((each for each in self._paths if each[0].fullmatch(path)), None)
        operation = found[2].get(method.lower()) if found else None
        if found is None or operation is None:
            yield f"{method} {path} answers {status}, and is not in the document"
            return
        answer = operation["responses"].get(str(status))
        if answer is None:
            yield f"{method} {path} answers {status}; the document knows {', '.join(operation['responses'])}"
        elif "content" not in answer:
            if content is not None:
                yield f"{method} {path} answers {status} with a body"
        else:
            schema = answer["content"]["application/json"]["schema"]
            yield from self._invalid((method, found[1], str(status)), schema, content)

    def _invalid(self, key: tuple[str, str, str], schema: Any, content: Any) -> Iterator[str]:
        if key not in self._validators:
            self._validators[key] = jsonschema.Draft202012Validator(strict(schema))
        for error in self._validators[key].iter_errors(content):
            at = ".".join(map(str, error.absolute_path))
            yield f"{key[0]} {key[1]} {key[2]}: {at}: {error.message[:300]}"


def refusal_problems(content: Any) -> Iterator[str]:
    """What is wrong with the body of a refusal."""
    for error in jsonschema.Draft202012Validator(_ERROR).iter_errors(content):
        yield f"refusal: {error.message[:300]}"
        return
    if content["error"]["code"] in ("invalid_input", "uniqueness_error"):
        for error in jsonschema.Draft202012Validator(_FIELDS).iter_errors(content["error"]["details"]):
            yield f"refusal {content['error']['code']}: details: {error.message[:300]}"


def strict(schema: Any, *, part: bool = False) -> Any:
    """The schema in today's JSON Schema: null where it is allowed, no unknown field, and none left out.

    Args:
        schema: Of an OpenAPI 3.0 document.
        part: Whether it is one of several that hold for the same object.
    """
    if isinstance(schema, list):
        return [strict(each, part=part) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: value if key in ("enum", "default", "example") else strict(value, part=key == "allOf")
        for key, value in schema.items()
    }
    if "allOf" in made:
        made["unevaluatedProperties"] = False
    if made.get("nullable"):
        if "type" in made:
            made["type"] = [made["type"], "null"]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
    if isinstance(made.get("properties"), dict) and made.get("type") in ("object", ["object", "null"]):
        if not part:
            made.setdefault("additionalProperties", False)
        made["required"] = sorted({*made.get("required", ()), *(made["properties"].keys() - OPTIONAL)})
    return made
