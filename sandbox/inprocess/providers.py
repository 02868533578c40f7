"""The providers of a run: those that the program declares, and the default ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ..plugins.check import Failure
from ..plugins.package import Package, Surroundings
from ..plugins.packages import open_package
from ..plugins.schema import schema_of
from ..plugins.values import Properties, Unknown, Value, contains, plain

DISABLED_KEY = "pulumi:disable-default-providers"


@dataclass(frozen=True)
class Provider:
    """A provider of the run.

    ``configured`` is false while its configuration holds unknown values, as in the first preview of a cluster.
    """

    urn: str
    package: Package
    configured: bool


def open_provider(urn: str, name: str, given: Properties, surroundings: Surroundings) -> tuple[Provider, list[Failure]]:
    """Check a provider's configuration, and configure it when it is right and known.

    Raises:
        ProviderError: there is no such plugin, or it lacks what it needs.
    """
    package = open_package(name, surroundings)
    inputs = parse_configuration(name, plain(given))
    failures = package.check_config(inputs)
    configured = not failures and not contains(inputs, Unknown)
    if configured:
        package.configure(inputs)
    return Provider(urn, package, configured), failures


def parse_configuration(name: str, inputs: Properties) -> Properties:
    """SDKs send all configuration but strings as JSON text; ``version`` and the like are the engine's own."""
    shape = schema_of(f"pulumi:providers:{name}").inputs
    parsed: Properties = {}
    for key, value in inputs.items():
        if key in ("version", "pluginDownloadURL") or key.startswith("__"):
            continue
        wanted = shape[key].type.kind if key in shape else "string"
        parsed[key] = _parse(value) if isinstance(value, str) and wanted not in ("string", "any", "union") else value
    return parsed


def _parse(text: str) -> Value:
    try:
        parsed: Value = json.loads(text)
    except ValueError:
        return text
    return parsed


def default_refused(name: str, config: Mapping[str, str]) -> bool:
    """Whether the stack's configuration forbids the default provider of a package."""
    text = config.get(DISABLED_KEY, "")
    return bool(text) and any(entry.strip() in ("*", name) for entry in json.loads(text))


def default_configuration(name: str, config: Mapping[str, str]) -> Properties:
    """What a default provider takes from the stack's configuration."""
    return {key.partition(":")[2]: value for key, value in config.items() if key.startswith(f"{name}:")}
