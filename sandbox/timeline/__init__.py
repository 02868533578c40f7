"""How long a deployment would take on Hetzner, computed from estimates in simulated time: nothing waits for it."""

from .latencies import LATENCIES
from .schedule import Edge, Schedule, ScheduleError, Task, schedule, until

__all__ = ["LATENCIES", "Edge", "Schedule", "ScheduleError", "Task", "schedule", "until"]
