"""Machines that boot: what runs on the servers and load balancers of the emulated clouds."""

from .k3s import Tools
from .room import MachineRoom

__all__ = ["MachineRoom", "Tools"]
