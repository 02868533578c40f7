"""What the clouds hold, short enough for a page."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..clouds import Clouds

_COUNTED_MINUTES = 10


def overview(clouds: "Clouds") -> dict[str, Any]:
    """Projects with their objects, machines' states, requests a minute, and the faults in force."""
    return {
        "now": clouds.world.clock.now().isoformat(timespec="seconds"),
        "projects": {project.name: _project(project.dump()) for project in clouds.hetzner.projects},
        "cloudflare": {kind: len(objects) for kind, objects in clouds.cloudflare.counts().items()},
        "requests_per_minute": _per_minute(clouds),
        "faults": [rule.shown() for rule in clouds.world.faults.rules],
    }


def _project(content: dict[str, Any]) -> dict[str, Any]:
    return {kind: objects for kind, objects in content.items() if objects}


def _per_minute(clouds: "Clouds") -> list[int]:
    """Requests in each of the last minutes, oldest first."""
    now = clouds.world.clock.seconds()
    counts = [0] * _COUNTED_MINUTES
    for request in clouds.world.requests.entries():
        minutes_ago = int((now - request.at) // 60)
        if minutes_ago < _COUNTED_MINUTES:
            counts[_COUNTED_MINUTES - 1 - minutes_ago] += 1
    return counts
