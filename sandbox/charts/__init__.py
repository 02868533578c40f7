"""Charts that stand in for upstream ones, which cannot be fetched without the internet."""

from .definitions import PARSER, Definition, definitions, read_definitions
from .stand_ins import ChartError, StandIn, objects, stand_in, write_chart
from .storage_classes import storage_classes

__all__ = [
    "PARSER",
    "ChartError",
    "Definition",
    "StandIn",
    "definitions",
    "objects",
    "read_definitions",
    "stand_in",
    "storage_classes",
    "write_chart",
]
