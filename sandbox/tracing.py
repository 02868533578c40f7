"""Spares runs what the SDK tells of where each resource was declared: nothing in a sandbox asks for it."""

# The SDK's own internals, which it does not type.
# pyright: reportPrivateUsage=false

import pulumi.runtime.resource as registration
from pulumi.runtime.proto import source_pb2


def without_stack_traces() -> None:
    """From now on resources of this process are declared nowhere in particular.

    The SDK walks the whole stack for each of them, and some thirty frames of it stand in the state for each: a third of
    a region's state, which the engine writes anew twice for every resource.
    """
    registration._get_stack_trace = source_pb2.StackTrace
