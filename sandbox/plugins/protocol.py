"""The engine's protocol, without the SDK around it.

The stubs are part of the package `pulumi`, whose import costs half a second of processor time; a plugin needs none of the
rest. So their parent packages are stood in for while the stubs are imported, and taken away again: a later
``import pulumi`` gets the real one.
"""

import importlib
import importlib.util
import sys
import types
from typing import TYPE_CHECKING, Any

_PARENTS = ("pulumi", "pulumi.runtime")

if TYPE_CHECKING:
    from pulumi.runtime.proto import (
        language_pb2,
        language_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
        status_pb2,
    )
else:

    def _load(name: str) -> Any:
        return importlib.import_module(f"pulumi.runtime.proto.{name}")

    _stand_ins = {}
    if "pulumi" not in sys.modules:
        _found = importlib.util.find_spec("pulumi")
        _path = _found.submodule_search_locations[0]
        for _name in _PARENTS:
            _stand_ins[_name] = types.ModuleType(_name)
            _stand_ins[_name].__path__ = ["/".join([_path, *_name.split(".")[1:]])]
        sys.modules.update(_stand_ins)
    try:
        plugin_pb2 = _load("plugin_pb2")
        provider_pb2 = _load("provider_pb2")
        provider_pb2_grpc = _load("provider_pb2_grpc")
        status_pb2 = _load("status_pb2")
        language_pb2 = _load("language_pb2")
        language_pb2_grpc = _load("language_pb2_grpc")
    finally:
        for _name in _stand_ins:
            del sys.modules[_name]

MESSAGE_LIMIT = 400 * 1024 * 1024
"""Bytes of a gRPC message; the engine's own limit."""

CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
]

__all__ = [
    "CHANNEL_OPTIONS",
    "language_pb2",
    "language_pb2_grpc",
    "plugin_pb2",
    "provider_pb2",
    "provider_pb2_grpc",
    "status_pb2",
]
