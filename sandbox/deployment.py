"""What a preview or a deployment consists of, whichever engine ran it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .plugins.values import Properties

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"
REFERENCE_TYPE = "pulumi:pulumi:StackReference"
STATE_FUNCTION = "pulumi:pulumi:readStackResourceOutputs"


@dataclass(frozen=True)
class Resource:
    """A resource as the program declares it.

    Args:
        urn: Its URN.
        type: Its type token, such as ``hcloud:index/server:Server``.
        name: Its logical name.
        parent: URN of its parent; empty for the stack.
        provider: URN of its provider without the id; empty for components, providers and the stack.
        protect: Whether the engine refuses to delete and replace it.
        custom: Whether a provider manages it; false for components and the stack.
        external: Whether it was only read, such as a stack reference.
        dependencies: URNs, sorted.
        inputs: JSON; secrets are ``[secret]``, what is not known yet is ``[unknown]``.
        ignore_changes: Properties whose changes are ignored.
        aliases: URNs that it had before.
        delete_before_replace: The option, None where it was not given; a preview by the real engine does not tell.
        replacement_trigger: The option; the real engine does not tell of it either.
        edges: URNs that a state has of it, as often as it has them: its provider's, its dependencies', once more those of each
            property, and the one that it is deleted with. Of in-process runs alone.
    """

    urn: str
    type: str
    name: str
    parent: str = ""
    provider: str = ""
    protect: bool = False
    custom: bool = True
    external: bool = False
    dependencies: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ignore_changes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    delete_before_replace: bool | None = field(default=None, compare=False)
    replacement_trigger: Any = field(default=None, compare=False)
    edges: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Diagnostic:
    """Something that an engine or a program said.

    ``severity`` is debug, info, warning or error.
    """

    severity: str
    message: str
    urn: str = ""

    def __str__(self) -> str:
        return f"{self.urn.rpartition('::')[2]}: {self.message}" if self.urn else self.message


@dataclass(frozen=True)
class State:
    """A resource that exists: what is needed to delete it again."""

    urn: str
    type: str
    id: str
    provider: str
    protect: bool
    retain_on_delete: bool
    outputs: Properties = field(repr=False)


@dataclass(frozen=True)
class Deployment:
    """The outcome of a run.

    Args:
        project: The project's name.
        stack: The stack's name.
        preview: Whether nothing was made.
        resources: Sorted by URN; the stack itself is among them.
        outputs: The stack's outputs as JSON, masked like a resource's inputs.
        diagnostics: What was said, in order.
        exports: The stack's outputs with their values, for stacks that refer to this one.
        states: What was made, in the order in which it was made; empty after a preview and for the real engine.
        operations: How many resources were created, updated, …, by the engine's names; empty in-process.
    """

    project: str
    stack: str
    preview: bool
    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any]
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)
    exports: Properties = field(default_factory=dict[str, Any], compare=False, repr=False)
    states: tuple[State, ...] = field(default=(), compare=False, repr=False)
    operations: Mapping[str, int] = field(default_factory=dict[str, int], compare=False)

    def by_type(self, type: str) -> list[Resource]:
        """The resources of a type, sorted by URN."""
        return [resource for resource in self.resources if resource.type == type]

    def named(self, name: str, type: str | None = None) -> Resource:
        """The only resource with this logical name (and type).

        Raises:
            LookupError: there is none, or several.
        """
        found = [entry for entry in self.resources if entry.name == name and type in (None, entry.type)]
        if len(found) != 1:
            raise LookupError(f"{len(found)} resources are named {name!r}" + (f" and of type {type}" if type else ""))
        return found[0]


class DeploymentFailed(Exception):  # noqa: N818 - it reads as what it tells
    """A run ended with errors. The message holds all of them, one a line.

    Args:
        errors: What went wrong.
        deployment: What there is in spite of it.
    """

    def __init__(self, errors: list[Diagnostic], deployment: Deployment | None = None) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors
        self.deployment = deployment
