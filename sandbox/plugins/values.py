"""Property values as the engine exchanges them: plain Python, plus what is unknown and what is secret."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

from google.protobuf import struct_pb2

# The wire format of sdk/go/common/resource/properties.go; `pulumi.runtime.rpc` holds the same constants, but importing it
# costs a plugin half a second of processor time at every start.
SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"
RESOURCE_SIGNATURE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

MASKED_SECRET: Final = "[secret]"
MASKED_UNKNOWN: Final = "[unknown]"


class Unknown:
    """A value that is known only after the deployment. There is one: ``UNKNOWN``."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, repr=False)
class Secret:
    """A value that must not be shown or stored in plain."""

    value: "Value"

    def __repr__(self) -> str:
        return "Secret(…)"


Value: TypeAlias = "None | bool | int | float | str | list[Value] | dict[str, Value] | Unknown | Secret"
Properties: TypeAlias = dict[str, Value]


def decode(struct: struct_pb2.Struct) -> Properties:
    """A protobuf struct as Python values; whole numbers become ``int``, references to resources become their id."""
    return {key: _decode(value) for key, value in struct.fields.items()}


def _decode(value: struct_pb2.Value) -> Value:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value == UNKNOWN_TEXT else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case "struct_value":
            return _decode_struct(decode(value.struct_value))
        case _:
            return None


def _decode_struct(fields: Properties) -> Value:
    match fields.get(SIGNATURE_KEY):
        case None:
            return fields
        case str(signature) if signature == SECRET_SIGNATURE:
            return Secret(fields.get("value"))
        case str(signature) if signature == RESOURCE_SIGNATURE:
            # An id that is empty belongs to a resource that does not exist yet.
            return fields["urn"] if "id" not in fields else fields["id"] or UNKNOWN
        case str(signature) if signature == OUTPUT_SIGNATURE:
            inner = fields.get("value", UNKNOWN)
            return Secret(inner) if fields.get("secret") else inner
        case _:
            return fields  # assets and archives pass through as they came


def encode(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """The reverse of `decode`."""
    struct = struct_pb2.Struct()
    struct.update({key: _encode(value) for key, value in properties.items()})
    return struct


def _encode(value: Value) -> Any:
    if isinstance(value, Unknown):
        return UNKNOWN_TEXT
    if isinstance(value, Secret):
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": _encode(value.value)}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, dict):
        return {key: _encode(item) for key, item in value.items()}
    return value


def _mapped(value: Value, leaf: Callable[[Value], Value]) -> Value:
    if isinstance(value, list):
        return [_mapped(item, leaf) for item in value]
    if isinstance(value, dict):
        return {key: _mapped(item, leaf) for key, item in value.items()}
    return leaf(value)


def plain(properties: Mapping[str, Value]) -> Properties:
    """Without secrecy, as a plugin that accepts no secrets is given its inputs."""

    def leaf(value: Value) -> Value:
        return _mapped(value.value, leaf) if isinstance(value, Secret) else value

    return cast("Properties", _mapped(dict(properties), leaf))


def masked(value: Value) -> Any:
    """JSON to show to people: ``[secret]`` for what is secret, ``[unknown]`` for what is not known yet."""

    def leaf(inner: Value) -> Value:
        if isinstance(inner, Secret):
            return MASKED_SECRET
        return MASKED_UNKNOWN if isinstance(inner, Unknown) else inner

    return _mapped(value, leaf)


def without_nulls(properties: Mapping[str, Value]) -> Properties:
    """Properties that were given as null count as not given."""

    def prune(value: Value) -> Value:
        if isinstance(value, dict):
            return {key: prune(item) for key, item in value.items() if item is not None}
        if isinstance(value, list):
            return [prune(item) for item in value]
        return value

    return cast("Properties", prune(dict(properties)))


def contains(value: Value, kind: type[Unknown] | type[Secret]) -> bool:
    """Whether anything inside is unknown, or secret."""
    if isinstance(value, kind):
        return True
    if isinstance(value, Secret):
        return contains(value.value, kind)
    if isinstance(value, list):
        return any(contains(item, kind) for item in value)
    if isinstance(value, dict):
        return any(contains(item, kind) for item in value.values())
    return False


def annotate(outputs: Properties, inputs: Mapping[str, Value]) -> Properties:
    """``outputs`` with the secrecy of the inputs of the same name.

    The rule is the engine's (``annotateSecrets``): objects are compared key by key; anything else becomes secret as a
    whole when the input holds a secret, a list above all, since a provider may return it in another order.
    """
    annotated = dict(outputs)
    for key, given in inputs.items():
        if key not in annotated:
            continue
        out = annotated[key]
        if isinstance(out, dict) and isinstance(given, dict):
            annotated[key] = annotate(out, given)
        elif not isinstance(out, Secret) and contains(given, Secret):
            annotated[key] = Secret(out)
    return annotated
