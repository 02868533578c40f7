"""What the clouds hold, short enough for a page."""

from typing import TYPE_CHECKING, Any, Final

from ..hetzner import Project

if TYPE_CHECKING:
    from ..clouds import Clouds

_COUNTED_MINUTES: Final = 10
_NEWEST_ACTIONS: Final = 20

Entry = dict[str, Any]


def overview(clouds: "Clouds") -> Entry:
    """Projects with their objects, health of targets, requests a minute, and the faults in force."""
    return {
        "now": clouds.world.clock.now().isoformat(timespec="seconds"),
        "projects": {project.name: _project(clouds, project) for project in clouds.hetzner.projects},
        "requests_per_minute": _per_minute(clouds),
        "faults": [rule.shown() for rule in clouds.world.faults.rules],
    }


def _project(clouds: "Clouds", project: Project) -> Entry:
    def shown(kind: str) -> list[Entry]:
        return [clouds.hetzner.kinds[kind].show(project, entry) for entry in project.all(kind)]

    unfinished = [action for action in project.actions.all.values() if action["status"] != "success"]
    return {
        "servers": [_server(entry) for entry in shown("servers")],
        "load_balancers": [_balancer(entry) for entry in shown("load_balancers")],
        "networks": [
            {
                "id": entry["id"],
                "name": entry["name"],
                "range": entry["ip_range"],
                "subnets": [subnet["ip_range"] for subnet in entry["subnets"]],
            }
            for entry in shown("networks")
        ],
        "actions": [
            {key: action[key] for key in ("id", "command", "status")}
            | {"error": (action["error"] or {}).get("message", "")}
            for action in unfinished[-_NEWEST_ACTIONS:]
        ],
        "counts": {kind: len(entries) for kind, entries in project.kinds.items() if entries},
    }


def _server(entry: Entry) -> Entry:
    return {
        "id": entry["id"],
        "name": entry["name"],
        "status": entry["status"],
        "type": entry["server_type"]["name"],
        "location": entry["location"]["name"],
        "public": (entry["public_net"]["ipv4"] or {}).get("ip"),
        "private": [net["ip"] for net in entry["private_net"]],
    }


def _balancer(entry: Entry) -> Entry:
    targets = [inner for target in entry["targets"] for inner in target.get("targets", [target])]
    return {
        "id": entry["id"],
        "name": entry["name"],
        "public": entry["public_net"]["ipv4"]["ip"],
        "private": [net["ip"] for net in entry["private_net"]],
        "health": [
            {"target": _target(target), "port": health["listen_port"], "status": health["status"]}
            for target in targets
            for health in target["health_status"]
        ],
    }


def _target(target: Entry) -> str:
    return str(target["server"]["id"] if "server" in target else target["ip"]["ip"])


def _per_minute(clouds: "Clouds") -> list[int]:
    """Requests in each of the last minutes, oldest first."""
    now = clouds.world.clock.seconds()
    counts = [0] * _COUNTED_MINUTES
    for request in clouds.world.requests.entries():
        minutes_ago = int((now - request.at) // 60)
        if minutes_ago < _COUNTED_MINUTES:
            counts[_COUNTED_MINUTES - 1 - minutes_ago] += 1
    return counts
