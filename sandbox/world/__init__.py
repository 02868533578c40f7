"""What all emulated clouds share: time, faults, latencies, and the log of what clients asked."""

from .clock import Clock
from .faults import ActionFault, Fault, FaultError, Faults
from .latencies import Latencies
from .requests import Request, RequestLog
from .world import World

__all__ = ["ActionFault", "Clock", "Fault", "FaultError", "Faults", "Latencies", "Request", "RequestLog", "World"]
