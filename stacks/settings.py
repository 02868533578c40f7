"""Reads config/*.yaml and the stack's own configuration into models, collecting every problem on the way."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from components.problem import Problem

from .models import RELEASED, REPOSITORY, SAFE_ADDRESS, Access, Prices, Region, RegionalStack, SharedStack, Versions
from .platform_models import ADDRESS, EMAIL, REGISTRY, Platform
from .problems import ConfigProblem, ConfigurationError
from .tenant_models import TenantSettings, read_tenants

M = TypeVar("M", bound=BaseModel)

PROJECT = "hetzner-platform"
SHARED = "shared"
"""Name of the stack that owns what belongs to no region."""

REGIONS_FILE = "config/regions.yaml"
ACCESS_FILE = "config/access.yaml"
VERSIONS_FILE = "config/versions.yaml"
PRICES_FILE = "config/prices.yaml"
PLATFORM_FILE = "config/platform.yaml"


@dataclass(frozen=True)
class Settings:
    """Everything that all stacks share."""

    regions: Mapping[str, Region]
    access: Access
    versions: Versions
    prices: Prices
    platform: Platform
    tenants: TenantSettings = field(default_factory=TenantSettings)
    unreadable: frozenset[str] = frozenset()
    """Names of regions whose block is wrong: their problems are told already, and nothing else is to be said of them."""

    def names(self, region: str) -> bool:
        """Whether config/regions.yaml has a block of this name, right or wrong; nobody knows of a file without any."""
        return not self.regions or region in self.regions or region in self.unreadable


@dataclass(frozen=True)
class Sibling:
    """What another stack's file says of itself; None where it says nothing."""

    file: str
    stack: str
    region: str | None
    role: str | None


class Reader:
    """Reads files into models and remembers what was wrong; `finish` raises for all of it.

    Args:
        root: The project's directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[ConfigProblem] = []

    def add(self, file: str, problem: Problem) -> None:
        """Remember a problem."""
        self.problems.append(ConfigProblem(file, problem))

    def finish(self) -> None:
        """Raise for everything remembered, if anything is.

        Raises:
            ConfigurationError: there are problems.
        """
        if self.problems:
            raise ConfigurationError(self.problems)

    def document(self, file: str) -> object | None:
        """A YAML file's content; None with a problem remembered if it cannot be read."""
        path = self.root / file
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            self.add(
                file, Problem("(file)", None, f"cannot be read: {error.strerror}", "restore it from the repository")
            )
            return None
        except UnicodeDecodeError:
            self.add(file, Problem("(file)", None, "is not UTF-8 text", "save it as UTF-8"))
            return None
        return self.parse(file, text)

    def parse(self, file: str, text: str) -> object | None:
        """YAML text as plain data; None with a problem remembered if it is none."""
        loader = _UniqueKeyLoader(text)
        try:
            document: object = loader.get_single_data()
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
            reason = getattr(error, "problem", None) or str(error)
            self.add(file, Problem(f"({where})", None, f"is not valid YAML: {reason}", "mend the YAML there"))
            return None
        except ValueError as error:
            # A date such as 2026-13-01, for one.
            self.add(file, Problem("(file)", None, f"holds a value that is none: {error}", "mend that value"))
            return None
        finally:
            loader.dispose()
        for key, first, second in loader.repeated:
            self.add(
                file,
                Problem(
                    key, None, f"stands twice, in lines {first} and {second}", "keep one: YAML would drop the other"
                ),
            )
        return document

    def model(self, file: str, model: type[M], data: object, at: str = "") -> M | None:
        """``data`` as ``model``; None with every mistake remembered."""
        try:
            return TypeAdapter(model).validate_python(data)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=True):
                self.add(file, _explain(model, detail, data, at))
            return None

    def settings(self) -> Settings | None:
        """The files that all stacks share; None with problems remembered."""
        regions, unreadable = self._regions()
        access = self._file(ACCESS_FILE, Access)
        versions = self._file(VERSIONS_FILE, Versions)
        prices = self._file(PRICES_FILE, Prices)
        platform = self._file(PLATFORM_FILE, Platform)
        tenants = read_tenants(self)
        if access is None or versions is None or prices is None or platform is None:
            return None
        return Settings(regions, access, versions, prices, platform, tenants, unreadable)

    def _file(self, file: str, model: type[M]) -> M | None:
        before = len(self.problems)
        document = self.document(file)
        # What cannot be read has no content to complain of.
        return None if document is None and len(self.problems) > before else self.model(file, model, document)

    def _regions(self) -> tuple[dict[str, Region], frozenset[str]]:
        before = len(self.problems)
        document = self.document(REGIONS_FILE)
        if not isinstance(document, dict) or not document:
            if len(self.problems) == before:
                self.add(REGIONS_FILE, Problem("(file)", None, "holds no regions", "write them by name: fsn1: {...}"))
            return {}, frozenset()
        unreadable: set[str] = set()
        regions: dict[str, Region] = {}
        for name, data in cast("dict[object, object]", document).items():
            region = self.model(REGIONS_FILE, Region, data, str(name))
            if region is None:
                unreadable.add(str(name))
            else:
                regions[str(name)] = region
        return regions, frozenset(unreadable)

    def siblings(self) -> list[Sibling]:
        """What the project's stack files say of themselves: two stacks must not claim one region."""
        found: list[Sibling] = []
        for path in sorted(self.root.glob("Pulumi.*.yaml")):
            try:
                document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
                stack: Any = document["config"][f"{PROJECT}:stack"]
            except (OSError, yaml.YAMLError, KeyError, TypeError):
                continue
            if isinstance(stack, dict):
                block = cast("dict[str, Any]", stack)
                name = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
                found.append(Sibling(path.name, name, block.get("region"), block.get("role")))
        return found

    def stack(self, stack: str, text: str | None) -> SharedStack | RegionalStack | None:
        """The stack's own block (JSON, as Pulumi hands it over); None with problems remembered."""
        file = f"Pulumi.{stack}.yaml"
        if text is None:
            self.add(
                file,
                Problem(
                    f"{PROJECT}:stack",
                    None,
                    f"is missing: the stack {stack!r} does not say what it is",
                    "take Pulumi.prod.yaml as an example, or choose another stack with -s",
                ),
            )
            return None
        model = SharedStack if stack == SHARED else RegionalStack
        try:
            data: object = json.loads(text)
        except json.JSONDecodeError:
            data = text
        return self.model(file, model, data, f"{PROJECT}:stack")


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that notices keys which stand twice in a mapping; YAML's own would drop the first silently."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.repeated: list[tuple[str, int, int]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the safe loader does, remembering repeated keys."""
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if key.value in seen:
                    self.repeated.append((str(key.value), seen[key.value], line))
                seen.setdefault(key.value, line)
        return super().construct_mapping(node, deep)


_KINDS = ("cloud", "robot", "autoscaled")

_SENSITIVE = re.compile(r"secret|password|token|key", re.IGNORECASE)
"""Keys whose value may be a secret that landed in the wrong place: it is never shown."""

_MUST_BE = {
    "int_type": ("must be a whole number", "write it without quotes and fraction, such as 1"),
    "float_type": ("must be a number", "write it without quotes, such as 8.49"),
    "bool_type": ("must be true or false", "write true or false, without quotes"),
    "string_type": ("must be text", "write a text in quotes"),
    "list_type": ("must be a list", "write it as [first, second]"),
    "dict_type": ("must hold keys and values", "write it as {key: value}"),
    "model_type": ("must hold keys and values", "write it as {key: value}; see docs/configuration.md"),
    "too_short": ("is empty", "write at least one entry"),
}
"""What pydantic finds, in words for people who write YAML."""

_MUST_LOOK_LIKE = {
    RELEASED: ("is no pinned version", "write a released one, such as 1.19.6: no range, no channel"),
    ADDRESS: ("is no address", "write http://… or https://…, without a name or password in it"),
    SAFE_ADDRESS: ("is no address with TLS", "write https://…, without a name or password in it"),
    REGISTRY: (
        "is no prefix of images that ends with '/'",
        "write for example registry.example.com/ or registry.example.com/team/",
    ),
    EMAIL: ("is no mail address", "write for example platform@example.com"),
    REPOSITORY: ("is no repository of charts", "write https://… or oci://…, without a name or password in it"),
}
"""The same for texts of a form."""


def _explain(model: type[BaseModel], detail: ErrorDetails, data: object, at: str) -> Problem:
    """One of pydantic's findings in our words: the key as people write it, what is allowed, the closest known name."""
    location = _without_tags(detail["loc"], data)
    key = _join(at, location)
    value = None if detail["type"] == "missing" else _lookup(data, location)
    if detail["type"] in ("union_tag_not_found", "union_tag_invalid"):
        kind = cast("dict[str, object]", value).get("kind") if isinstance(value, dict) else None
        return Problem(f"{key}.kind", kind, f"must be one of {', '.join(_KINDS)}", "write for example kind: cloud")
    hidden = any(_SENSITIVE.search(str(part)) for part in location)
    shown = None if hidden or isinstance(value, dict | list) or "PRIVATE KEY" in str(value) else value
    if detail["loc"] and detail["loc"][-1] == "[key]":
        problem, remedy = _wording(detail, None, [], "")
        return Problem(key, None, f"the key {location[-1]!r} {problem}", remedy)
    return Problem(
        key,
        shown,
        *_wording(detail, shown, _known_keys(model, location[:-1], data), str(location[-1]) if location else ""),
    )


def _wording(detail: ErrorDetails, value: object, known: Sequence[str], name: str) -> tuple[str, str]:
    """What is wrong, and what to write instead."""
    match detail["type"]:
        case "extra_forbidden":
            close = difflib.get_close_matches(name, known, n=1)
            guess = f"did you mean {close[0]!r}? " if close else ""
            return "is an unknown key", f"{guess}known here: {', '.join(known)}"
        case "missing":
            return "is missing", "add it; see docs/configuration.md"
        case "string_type" if isinstance(value, int | float):
            return "must be text", f'put it in quotes: "{value}"'
        case "string_pattern_mismatch" if detail.get("ctx", {}).get("pattern") in _MUST_LOOK_LIKE:
            return _MUST_LOOK_LIKE[detail.get("ctx", {})["pattern"]]
        case "literal_error":
            return "is not allowed here", f"write {detail.get('ctx', {}).get('expected', '')}"
        case kind:
            message = f"{detail['msg'][0].lower()}{detail['msg'][1:]}".replace("input should", "must")
            remedy = "write a number in that range" if kind.endswith("than_equal") else "see docs/configuration.md"
            return _MUST_BE.get(kind, (message.replace("string should", "must"), remedy))


def _without_tags(location: tuple[int | str, ...], data: object) -> tuple[int | str, ...]:
    """The location without the tags that pydantic inserts for the kind of a pool, and for keys of mappings."""
    kept: list[int | str] = []
    current = data
    for part in location:
        if part == "[key]":
            continue
        if isinstance(current, dict):
            mapping = cast("dict[object, object]", current)
            if part not in mapping and part in _KINDS and mapping.get("kind") == part:
                continue
            current = mapping.get(part)
        elif isinstance(current, list) and isinstance(part, int):
            items = cast("list[object]", current)
            current = items[part] if part < len(items) else None
        kept.append(part)
    return tuple(kept)


def _lookup(data: object, location: Sequence[int | str]) -> object:
    current = data
    for part in location:
        if isinstance(current, dict):
            current = cast("dict[object, object]", current).get(part)
        elif isinstance(current, list) and isinstance(part, int):
            current = cast("list[object]", current)[part]
        else:
            return None
    return current


def _join(at: str, location: Sequence[int | str]) -> str:
    text = at
    for part in location:
        text += f"[{part}]" if isinstance(part, int) and not text.endswith(("generations", "types")) else f".{part}"
    return text.removeprefix(".") or "(file)"


def _known_keys(model: type[BaseModel], location: Sequence[int | str], data: object) -> list[str]:
    """Field names of the model at ``location``."""
    annotation: object = model
    for position, part in enumerate(location):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(part))
            annotation = field.annotation if isinstance(field, FieldInfo) else None
        else:
            arguments = get_args(annotation)
            annotation = arguments[-1] if arguments else None
        annotation = _narrow(annotation, _lookup(data, location[: position + 1]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return sorted(annotation.model_fields)
    return []


def _narrow(annotation: object, value: object) -> object:
    """The model behind Annotated, Optional and unions of pools of a kind."""
    while get_origin(annotation) not in (None, dict, list):
        options = get_args(annotation)
        if get_origin(annotation) in (Union, UnionType):
            kind = cast("dict[str, object]", value).get("kind") if isinstance(value, dict) else None
            matching = [option for option in options if _kind_of(option) == kind]
            annotation = (matching or [option for option in options if option is not type(None)])[0]
        else:
            annotation = options[0]
    return annotation


def _kind_of(option: object) -> object:
    if isinstance(option, type) and issubclass(option, BaseModel) and "kind" in option.model_fields:
        return get_args(option.model_fields["kind"].annotation)[0]
    return None
