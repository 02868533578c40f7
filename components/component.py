"""The base class of every component: checked arguments, one type token, children without the caller's options."""

import difflib
from collections.abc import Mapping
from typing import Any, cast

import pulumi

TYPE_PREFIX = "hetzner-platform:index:"


class ArgumentError(TypeError):
    """A component was given an argument that it does not know, or lacks one that it needs."""


def check_arguments(kind: str, name: str, args: Mapping[str, Any], accepted: type) -> None:
    """Refuse unknown and missing keys of ``args``; a ``TypedDict`` does neither at run time.

    Raises:
        ArgumentError: all unknown and missing keys at once, with the closest known name of each unknown one.
    """
    known: frozenset[str] = frozenset(accepted.__annotations__)
    required = cast("frozenset[str]", getattr(accepted, "__required_keys__", known))
    problems: list[str] = []
    for key in sorted(set(args) - known):
        close = difflib.get_close_matches(key, known, n=1)
        problems.append(f"unknown argument {key!r}" + (f", did you mean {close[0]!r}?" if close else ""))
    problems += [f"missing argument {key!r}" for key in sorted(required - set(args))]
    if problems:
        raise ArgumentError(f"{kind} {name!r}: {'; '.join(problems)}. Known arguments: {', '.join(sorted(known))}.")


class Component(pulumi.ComponentResource):
    """A ComponentResource of this package.

    Args:
        kind: Last part of the type token ``hetzner-platform:index:<kind>``.
        name: Pulumi name; children are named ``<name>-<role>``.
        args: The arguments as the caller gave them.
        accepted: The ``TypedDict`` that describes them.
        opts: The caller's options; they apply to the component alone.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        args: Mapping[str, Any],
        accepted: type,
        opts: pulumi.ResourceOptions | None,
    ) -> None:
        check_arguments(kind, name, args, accepted)
        super().__init__(f"{TYPE_PREFIX}{kind}", name, {}, opts)

    def child(self, **overrides: Any) -> pulumi.ResourceOptions:
        """Options of a child: this parent, ``overrides``, and nothing of the caller's.

        Aliases, dependencies and ignored changes of the caller would otherwise leak into every child.
        """
        return pulumi.ResourceOptions(parent=self, **overrides)

    def invoke(self) -> pulumi.InvokeOptions:
        """Options of a look-up, so that it uses this component's provider."""
        return pulumi.InvokeOptions(parent=self)


def as_id(resource: pulumi.CustomResource) -> pulumi.Output[int]:
    """The id of a Hetzner resource as the number that other resources expect."""
    return resource.id.apply(int)
