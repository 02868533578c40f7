"""Makes schemas from the generated SDKs: their classes say what a provider takes and returns.

This is the only module of the plugins that imports an SDK.
"""

# The SDK's own internals, which it does not type.
# pyright: reportPrivateUsage=false, reportUnknownArgumentType=false

import collections.abc
import enum
import importlib
import inspect
import re
import types
import typing
from typing import Any

import pulumi
from pulumi import _types as sdk_types
from pulumi.runtime import rpc

from .schema import Property, Schema, SchemaError, Shape, Type, package_of

_SCALARS: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


def inspect_token(token: str) -> Schema:
    """The schema of a resource, a function or a provider, from the SDK's own types.

    Raises:
        SchemaError: the SDK knows no such token.
    """
    package = package_of(token)
    try:
        importlib.import_module(f"pulumi_{package}")
    except ImportError as error:
        raise SchemaError(f"the Python package pulumi_{package} is not installed") from error
    resource = _resource_class(package, token)
    if resource is not None:
        return _resource_schema(token, resource)
    return _function_schema(package, token)


def _resource_class(package: str, token: str) -> type | None:
    if token.startswith("pulumi:providers:"):
        return typing.cast(type, getattr(importlib.import_module(f"pulumi_{package}"), "Provider"))  # noqa: B009
    module_name = token.split(":")[1]
    for module in rpc._RESOURCE_MODULES.get(f"{package}:{module_name}", ()):
        info: dict[str, Any] = module.mod_info  # type: ignore[attr-defined]
        if token in info["classes"]:
            return typing.cast(type, getattr(importlib.import_module(info["fqn"]), info["classes"][token]))
    return None


def _resource_schema(token: str, resource: type) -> Schema:
    shapes: dict[str, Shape] = {}
    inputs = _shape(_arguments_class(resource), shapes)
    outputs: Shape = {}
    if not token.startswith("pulumi:providers:"):
        known = sdk_types.resource_types(resource)
        outputs = {name: Property(_type(hint, shapes)) for name, hint in known.items() if name not in ("id", "urn")}
    return Schema(token, inputs, outputs, shapes)


def _arguments_class(resource: type) -> type:
    """``XInitArgs`` where ``XArgs`` is taken by a nested type of the same name, else ``XArgs``."""
    module = inspect.getmodule(resource)
    for name in (f"{resource.__name__}InitArgs", f"{resource.__name__}Args"):
        found = getattr(module, name, None)
        if found is not None and found.__module__ == resource.__module__:
            return typing.cast(type, found)
    raise SchemaError(f"the SDK declares no arguments for {resource.__name__}")


def _function_schema(package: str, token: str) -> Schema:
    name = token.rsplit(":", maxsplit=1)[-1]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    function = getattr(importlib.import_module(f"pulumi_{package}"), snake, None)
    if function is None:
        raise SchemaError(f"the SDK pulumi_{package} knows no resource and no function {token}")
    shapes: dict[str, Shape] = {}
    hints = typing.get_type_hints(function)
    result = hints.pop("return")
    hints.pop("opts", None)
    # The result repeats the arguments, so its names tell how an argument is spelt on the wire.
    spelt = dict(_names(result))
    inputs = {spelt.get(key, _camel(key)): Property(_type(hint, shapes)) for key, hint in hints.items()}
    outputs = {key: Property(_type(hint, shapes)) for key, hint in sdk_types.output_type_types(result).items()}
    return Schema(token, inputs, outputs, shapes)


def _names(result: type) -> list[tuple[str, str]]:
    return [(python_name, pulumi_name) for python_name, pulumi_name, _ in sdk_types._py_properties(result)]


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _shape(arguments: type, shapes: dict[str, Shape]) -> Shape:
    """The properties of an arguments class; it may be the class of a nested input, or of a nested output."""
    parameters = inspect.signature(arguments.__init__).parameters
    if sdk_types.is_input_type(arguments):
        names = sdk_types.input_type_py_to_pulumi_names(arguments)
        hints = sdk_types.input_type_types(arguments)
    else:
        names = dict(_names(arguments))
        hints = sdk_types.output_type_types(arguments)
    return {
        pulumi_name: Property(
            _type(hints[pulumi_name], shapes),
            required=parameters[python_name].default is inspect.Parameter.empty if python_name in parameters else False,
        )
        for python_name, pulumi_name in names.items()
        if pulumi_name in hints
    }


def _type(hint: Any, shapes: dict[str, Shape]) -> Type:
    origin = typing.get_origin(hint)
    if hint in _SCALARS:
        return Type(_SCALARS[hint])
    if origin in (typing.Union, types.UnionType):
        return _union([arg for arg in typing.get_args(hint) if not _is_wrapper(arg)], shapes)
    if origin is typing.Literal:
        return Type(_SCALARS[type(typing.get_args(hint)[0])])
    if origin in (list, collections.abc.Sequence):
        return Type("list", (_type(typing.get_args(hint)[0], shapes),))
    if origin in (dict, collections.abc.Mapping):
        return Type("map", (_type(typing.get_args(hint)[1], shapes),))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return Type(_SCALARS[type(next(iter(hint)).value)])
    if sdk_types.is_input_type(hint) or sdk_types.is_output_type(hint):
        name = f"{hint.__module__}.{hint.__name__}"
        if name not in shapes:
            shapes[name] = {}  # a shape may refer to itself, as the JSON schema of a custom resource definition does
            shapes[name] = _shape(hint, shapes)
        return Type("object", ref=name)
    return Type("any")


def _is_wrapper(hint: Any) -> bool:
    """Whether it says only that a value may come later, or may be left out."""
    return (
        hint is type(None)
        or hint is pulumi.Output
        or typing.get_origin(hint) in (collections.abc.Awaitable, pulumi.Output)
    )


def _union(alternatives: list[Any], shapes: dict[str, Shape]) -> Type:
    # A nested object is offered as its class, as a TypedDict of the same fields, and as its output: the class says all.
    classes = [hint for hint in alternatives if sdk_types.is_input_type(hint)]
    described = [_type(hint, shapes) for hint in (classes or [hint for hint in alternatives if not _is_mapping(hint)])]
    described = described or [_type(hint, shapes) for hint in alternatives]
    distinct = tuple(dict.fromkeys(described))
    return distinct[0] if len(distinct) == 1 else Type("union", distinct)


def _is_mapping(hint: Any) -> bool:
    return typing.is_typeddict(hint) or typing.get_origin(hint) in (dict, collections.abc.Mapping)
