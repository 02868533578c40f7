"""Machines that boot: what runs on the servers and load balancers of the emulated clouds."""

from .room import Attendant, MachineRoom
from .tools import PROGRAMS, Tools

__all__ = ["PROGRAMS", "Attendant", "MachineRoom", "Tools"]
