"""A copy of the committed configuration, edited: what the program says of it before anything is created."""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from sandbox.scratch import dummies
from stacks.models import RegionalStack, SharedStack
from stacks.problems import ConfigurationError
from stacks.program import configuration
from stacks.settings import PROJECT, Settings

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

ROOT = Path(__file__).resolve().parents[3]

REGIONS = "config/regions.yaml"
ACCESS = "config/access.yaml"
VERSIONS = "config/versions.yaml"
PRICES = "config/prices.yaml"
PLATFORM = "config/platform.yaml"
TENANTS = "config/tenants.yaml"
SHARED, PROD, DR = "Pulumi.shared.yaml", "Pulumi.prod.yaml", "Pulumi.dr.yaml"

GONE = object()
"""As a value: the key is taken out."""

Path_ = tuple[str | int, ...]

Said = tuple[str, str, object, str, str]
"""File, key, value, what is wrong, what to write instead."""


class Edited:
    """Copies of config/ and of the stacks' files below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        shutil.copytree(ROOT / "config", directory / "config")
        for path in ROOT.glob("Pulumi.*.yaml"):
            shutil.copy(path, directory)
        self.secrets: dict[str, str] = {}
        self.plain: set[str] = set()
        self.without: set[str] = set()

    def write(self, file: str, text: str) -> "Edited":
        """Replace a file."""
        (self.directory / file).write_text(text, encoding="utf-8")
        return self

    def text(self, file: str) -> str:
        """A file as it stands."""
        return (self.directory / file).read_text(encoding="utf-8")

    def put(self, file: str, path: Path_, value: object) -> "Edited":
        """Set the value at ``path`` (in a stack's file: below its own block), or take it out."""
        document = yaml.load(self.text(file), LOADER)
        place: Any = document["config"][f"{PROJECT}:stack"] if file.startswith("Pulumi.") else document
        for step in path[:-1]:
            place = place[step]
        if value is GONE:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        return self.write(file, yaml.safe_dump(document, sort_keys=False))

    def read(self, stack: str) -> tuple[SharedStack | RegionalStack, Settings]:
        """The stack's configuration, as the program reads it."""
        made = dummies(self.directory, stack)
        given = {key: value for key, value in made.items() if key not in self.without} | self.secrets
        try:
            block = yaml.load(self.text(f"Pulumi.{stack}.yaml"), LOADER)["config"].get(f"{PROJECT}:stack")
        except (OSError, yaml.YAMLError):
            block = None
        text = None if block is None else json.dumps(block)
        return configuration(self.directory, stack, text, given.get, lambda key: key not in self.plain)

    def refused(self, stack: str = "prod") -> ConfigurationError:
        """The error that the program gives."""
        try:
            self.read(stack)
        except ConfigurationError as error:
            return error
        raise AssertionError("the configuration was accepted")

    def said(self, stack: str = "prod") -> list[Said]:
        """Every problem that it names, in order."""
        return [
            (each.file, each.problem.key, each.problem.value, each.problem.problem, each.problem.remedy)
            for each in self.refused(stack).problems
        ]
