"""The providers of a run: those that the program declares, and the default ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ..plugins.check import Failure
from ..plugins.package import Package, Surroundings
from ..plugins.packages import open_package
from ..plugins.values import Properties, Unknown, contains, plain

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
    inputs = package.parse_configuration(plain(given))
    failures = package.check_config(inputs)
    configured = not failures and not contains(inputs, Unknown)
    if configured:
        package.configure(inputs)
    return Provider(urn, package, configured), failures


def default_refused(name: str, config: Mapping[str, str]) -> bool:
    """Whether the stack's configuration forbids the default provider of a package."""
    text = config.get(DISABLED_KEY, "")
    return bool(text) and any(entry.strip() in ("*", name) for entry in json.loads(text))


def default_configuration(name: str, config: Mapping[str, str]) -> Properties:
    """What a default provider takes from the stack's configuration."""
    return {key.partition(":")[2]: value for key, value in config.items() if key.startswith(f"{name}:")}
