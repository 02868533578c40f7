"""What a provider does, apart from how it is asked: the same code serves the engine over gRPC and the in-process monitor.

Values are plain: whoever asks takes secrecy away before and puts it back after, as the engine does for a plugin that
accepts no secrets.
"""

import datetime
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from .check import Failure, check_inputs
from .schema import SchemaError, schema_of, sdk_version
from .values import Properties, Value, without_nulls

EVERYTHING: Final = "*"
"""In ``Kind.replace_on``: a change of any property replaces."""


class ProviderError(Exception):
    """A provider refused to do something; the message is for the person who runs the program."""


@dataclass(frozen=True)
class Surroundings:
    """What a package may use besides its inputs.

    Args:
        now: The clock, for validity periods.
        skipped: Packages whose resources are checked, and made nowhere.
        real_charts: Whether Helm fetches upstream's charts, which stand-ins are made for otherwise.
        definitions: Directory of real definitions for the stand-ins (see `sandbox.charts.definitions`).
    """

    now: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)
    skipped: frozenset[str] = frozenset()
    real_charts: bool = False
    definitions: Path | None = None


@dataclass(frozen=True)
class Kind:
    """How one type of resource behaves.

    Args:
        replace_on: Properties whose change replaces the resource; `EVERYTHING` for all, a name after ``!`` for all but it.
        delete_before_replace: Whether the provider deletes first, always.
        named_once: Whether it deletes first when the name was given and stays the same (the bridge's rule).
        exactly_one: Groups of properties of which one must be given.
    """

    replace_on: frozenset[str] = frozenset()
    delete_before_replace: bool = False
    named_once: bool = False
    exactly_one: tuple[tuple[str, ...], ...] = ()

    def replaces(self, changed: str) -> bool:
        """Whether a change of this property replaces the resource."""
        if EVERYTHING in self.replace_on:
            return f"!{changed}" not in self.replace_on
        return changed in self.replace_on


def kind(
    *replace_on: str, first_delete: bool = False, named: bool = False, one_of: tuple[tuple[str, ...], ...] = ()
) -> Kind:
    """A `Kind`, shorter to write in tables."""
    return Kind(frozenset(replace_on), delete_before_replace=first_delete, named_once=named, exactly_one=one_of)


@dataclass(frozen=True)
class Change:
    """What stands between an old and a new set of inputs."""

    changed: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    delete_before_replace: bool = False


@dataclass(frozen=True)
class Created:
    """A resource that was made."""

    id: str
    outputs: Properties


@dataclass(frozen=True)
class Read:
    """A resource as the cloud tells it: its outputs, and the inputs that would make it so.

    ``id`` is told when it is another one than was asked for, as after some imports.
    """

    outputs: Properties
    inputs: Properties
    id: str | None = None


class PartiallyCreated(ProviderError):  # noqa: N818  what it tells is not only an error
    """A resource was made, and something after that failed: it is recorded, and tried again as an update.

    Args:
        id: Its id.
        outputs: What is known of it.
        reason: What failed.
        inputs: The inputs that would make it so, where they were read.
    """

    def __init__(self, id: str, outputs: Properties, reason: str, inputs: Properties | None = None) -> None:
        super().__init__(reason)
        self.id, self.outputs, self.inputs = id, outputs, inputs


@dataclass(frozen=True)
class Target:
    """The resource that a request is about.

    Args:
        token: Its type.
        name: Its logical name, for the names that the provider invents.
        seed: Randomness from the engine for that, empty when there is none.
        timeout: Seconds that the program allows (``customTimeouts``), 0 when it says nothing.
    """

    token: str
    name: str
    seed: bytes = b""
    timeout: float = 0.0


@dataclass(frozen=True)
class Checked:
    """Inputs as they are stored, and what is wrong with them."""

    inputs: Properties
    failures: list[Failure] = field(default_factory=list[Failure])


class Package:
    """A provider. Subclasses name themselves and fill in what their resources and functions do."""

    name: ClassVar[str]
    kinds: ClassVar[Mapping[str, Kind]] = {}
    autonamed: ClassVar[bool] = False
    """Whether resources with an optional ``name`` get ``<logical name>-<7 hex digits>`` when none is given."""

    def __init__(self, surroundings: Surroundings | None = None) -> None:
        self.surroundings = surroundings or Surroundings()

    # -- the provider's own configuration

    def parse_configuration(self, inputs: Properties) -> Properties:
        """SDKs send all configuration but strings as JSON text; ``version`` and the like are the engine's own."""
        shape = schema_of(f"pulumi:providers:{self.name}").inputs
        parsed: Properties = {}
        for key, value in inputs.items():
            if key in ("version", "pluginDownloadURL") or key.startswith("__"):
                continue
            wanted = shape[key].type.kind if key in shape else "string"
            parsed[key] = (
                _parse(value) if isinstance(value, str) and wanted not in ("string", "any", "union") else value
            )
        return parsed

    def check_config(self, inputs: Properties) -> list[Failure]:
        """What is wrong with the provider's configuration, parsed."""
        return check_inputs(schema_of(f"pulumi:providers:{self.name}"), inputs)

    def diff_config(self, old: Properties, new: Properties) -> Change:
        """What changes in the provider's configuration; a replaced provider replaces all of its resources."""
        return Change(tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name))))

    def configure(self, inputs: Properties) -> None:
        """Take the checked configuration over.

        Raises:
            ProviderError: something outside of the inputs is missing.
        """
        del inputs

    # -- resources

    def kind_of(self, token: str) -> Kind:
        """How resources of this type behave."""
        return self.kinds.get(token, Kind())

    def check(self, target: Target, given: Properties, old: Properties | None = None) -> Checked:
        """Check inputs against the SDK's types and this provider's rules, and fill in what the provider invents."""
        inputs = without_nulls(given)
        try:
            schema = schema_of(target.token)
        except SchemaError as error:
            return Checked(inputs, [Failure("", str(error))])
        failures = check_inputs(schema, inputs)
        for group in self.kind_of(target.token).exactly_one:
            if sum(name in inputs for name in group) != 1:
                failures.append(Failure(group[0], f"give exactly one of {', '.join(group)}"))
        if self.autonamed and "name" in schema.inputs and not schema.inputs["name"].required and "name" not in inputs:
            inputs["name"] = autoname(target, (old or {}).get("name"))
        if not failures:
            failures += self.check_more(target, inputs)
        return Checked(inputs, failures)

    def check_more(self, target: Target, inputs: Properties) -> list[Failure]:
        """Rules beyond types; called when the types are right."""
        del target, inputs
        return []

    def diff(self, target: Target, old: Properties, new: Properties, outputs: Properties) -> Change:
        """What changes, and whether that replaces the resource. ``outputs`` is the state as it was last seen."""
        del outputs
        behaviour = self.kind_of(target.token)
        changed = tuple(
            name for name in sorted({*old, *new}) if not name.startswith("__") and old.get(name) != new.get(name)
        )
        replaces = tuple(name for name in changed if behaviour.replaces(name))
        keeps_name = "name" in new and old.get("name") == new["name"] and not _invented(target, new["name"])
        delete_first = behaviour.delete_before_replace or (behaviour.named_once and keeps_name)
        return Change(changed, replaces, bool(replaces) and delete_first)

    def create(self, target: Target, inputs: Properties, *, preview: bool) -> Created:
        """Make a resource. In a preview nothing is made, and what is computed stays unknown by being left out."""
        return Created("", dict(inputs)) if preview else self.make(target, inputs)

    def make(self, target: Target, inputs: Properties) -> Created:
        """Make a resource for good."""
        raise NotImplementedError(target.token)

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        """The resource as it is now; None when it is gone. At an import inputs and outputs are empty."""
        del target, id
        return Read(outputs or dict(inputs), dict(inputs))

    def update(
        self, target: Target, id: str, old: Properties, new: Properties, outputs: Properties, *, preview: bool
    ) -> Properties:
        """Change a resource in place; returns its outputs."""
        del target, id, preview
        kept = {name: value for name, value in outputs.items() if name not in old or name in new}
        return kept | new

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        """Remove a resource."""
        del target, id, outputs

    def cancel(self) -> None:
        """The engine wants an end: what waits stops waiting."""

    # -- functions

    def invoke(self, token: str, given: Properties) -> Properties:
        """Call a function (a look-up).

        Raises:
            ProviderError: unknown function, bad arguments, or nothing was found.
        """
        arguments = without_nulls(given)
        try:
            failures = check_inputs(schema_of(token), arguments)
        except SchemaError as error:
            raise ProviderError(str(error)) from error
        if failures:
            raise ProviderError(f"{token}: {'; '.join(map(str, failures))}")
        try:
            return self.call(token, arguments)
        except ValueError as error:
            raise ProviderError(f"{token}: {error}") from error

    def call(self, token: str, arguments: Properties) -> Properties:
        """Call a function whose arguments are right."""
        raise ProviderError(f"the sandbox's {self.name} plugin does not know the function {token}")

    @classmethod
    def version(cls) -> str:
        """The version of the SDK that the plugin answers for."""
        return sdk_version(cls.name)


def autoname(target: Target, old: Value) -> str:
    """The old name when it was invented, else ``<logical name>-<7 hex digits>``."""
    if isinstance(old, str) and _invented(target, old):
        return old
    import hashlib  # noqa: PLC0415 - only nameless resources need it

    digest = hashlib.sha256(target.token.encode() + b"\0" + target.name.encode() + b"\0" + target.seed).hexdigest()
    return f"{target.name}-{digest[:7]}"


def _parse(content: str) -> Value:
    try:
        parsed: Value = json.loads(content)
    except ValueError:
        return content
    return parsed


def _invented(target: Target, name: Value) -> bool:
    return isinstance(name, str) and re.fullmatch(re.escape(target.name) + "-[0-9a-f]{7}", name) is not None


def text(value: Value) -> str:
    """A checked string input."""
    if not isinstance(value, str):
        raise ProviderError(f"expected a string, got {type(value).__name__}")
    return value
