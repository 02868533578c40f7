"""The one table of latencies, for the timeline and, if asked to, for the emulated clouds."""

from pathlib import Path
from typing import Final

LATENCIES: Final = Path(__file__).with_name("latencies.yaml")
"""A file that `sandbox.world.Latencies.read` takes."""
