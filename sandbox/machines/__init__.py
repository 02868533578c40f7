"""Machines that boot: what runs on the servers and load balancers of the emulated clouds."""

from .room import MachineRoom
from .tools import Tools

__all__ = ["MachineRoom", "Tools"]
