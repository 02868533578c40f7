"""Services of load balancers: what they listen for, where they forward to, and how they find out what is healthy."""

import re
from collections.abc import Callable
from typing import Any, Final

from .errors import ApiError, invalid
from .fields import Field, check
from .kind import Body
from .project import Entry, Project


def _between(least: int, most: int, unit: str = "") -> Callable[[int], str | None]:
    return lambda number: None if least <= number <= most else f"must be {least} to {most}{unit}"


def length(least: int, most: int) -> Callable[[str], str | None]:
    """What is wrong with a text's length."""
    return lambda text: None if least <= len(text) <= most else f"must have {least} to {most} characters"


def _status_codes_problem(codes: list[str]) -> str | None:
    if len(codes) > _STATUS_CODES:
        return f"at most {_STATUS_CODES} status codes"
    bad = next((code for code in codes if _STATUS_CODE.fullmatch(code) is None), None)
    return None if bad is None else f"{bad[:20]!r} is no status code like 200 or 2??"


_STATUS_CODES: Final = 20
_STATUS_CODE: Final = re.compile(r"[1-5][0-9?]{2}")
_PORT: Final = Field(int, check=_between(1, 65535))
_HEALTH_CHECK: Final = {
    "protocol": Field(str, choices=("tcp", "http")),
    "port": _PORT,
    "interval": Field(int, check=_between(3, 60, " seconds")),
    "timeout": Field(int, check=_between(1, 60, " seconds")),
    "retries": Field(int, check=_between(1, 5)),
    "http": Field(dict),
}
_HEALTH_HTTP: Final = {
    "domain": Field(str, nullable=True, check=length(0, 128)),
    "path": Field(str, check=length(1, 256)),
    "response": Field(str, check=length(0, 256)),
    "status_codes": Field(list, items=str, check=_status_codes_problem),
    "tls": Field(bool),
}
_HTTP: Final = {
    "cookie_name": Field(str, check=length(1, 100)),
    "cookie_lifetime": Field(int, check=_between(30, 86_400, " seconds")),
    "timeout_idle": Field(int, check=_between(30, 300, " seconds")),
    "certificates": Field(list, items=int),
    "redirect_http": Field(bool),
    "sticky_sessions": Field(bool),
}
SERVICE: Final = {
    "protocol": Field(str, choices=("tcp", "http", "https")),
    "listen_port": _PORT,
    "destination_port": _PORT,
    "proxyprotocol": Field(bool),
    "health_check": Field(dict),
    "http": Field(dict),
}


def add_limited(entry: Entry, part: str, made: Entry) -> None:
    """Add a service or a target.

    Raises:
        ApiError: 422, the load balancer's type takes no more.
    """
    limit = entry["load_balancer_type"][f"max_{part}"]
    if len(entry[part]) >= limit:
        raise _beyond(entry["load_balancer_type"], part, limit)
    entry[part].append(made)


def _beyond(type: Entry, part: str, limit: int) -> ApiError:
    told = f"a {type['name']} takes {limit} {part}"
    return ApiError(422, "resource_limit_exceeded", told, {"limits": [{"name": f"load_balancer_{part}"}]})


def refuse_used_port(entry: Entry, port: int, status: int) -> None:
    """Services listen on different ports.

    Raises:
        ApiError: of this status, another one listens there.
    """
    if any(each["listen_port"] == port for each in entry["services"]):
        raise ApiError(status, "source_port_already_used", f"port {port} is used by another service")


def refuse_too_many_certificates(services: list[Entry], type: Entry) -> None:
    """A type takes so many certificates, counted once each.

    Raises:
        ApiError: 422.
    """
    used = {id for service in services for id in service.get("http", {}).get("certificates", [])}
    if len(used) > type["max_assigned_certificates"]:
        raise _beyond(type, "certificates", type["max_assigned_certificates"])


def merged(before: Entry, body: Body) -> Entry:
    """A service with what an update says of it; its parts keep what the update leaves out."""
    after = {**before, **body}
    for part in ("health_check", "http"):
        if part in before or part in body:
            after[part] = {**before.get(part, {}), **body.get(part, {})}
    if "http" in before["health_check"] and "http" in body.get("health_check", {}):
        after["health_check"]["http"] = _merged_http(before["health_check"]["http"], body["health_check"]["http"])
    if after["protocol"] != before["protocol"] and "http" not in body:
        after.pop("http", None)
    return after


def _merged_http(before: Entry, body: Any) -> Any:
    return before | body if isinstance(body, dict) else body  # pyright: ignore[reportUnknownVariableType]  JSON


def new_service(project: Project, body: Body, at: str = "") -> Entry:
    """A service with the defaults of its protocol; `at` is where it stands in the request.

    Raises:
        ApiError: 422, it is malformed; 404, there is no such certificate.
    """
    given = check(body, SERVICE, at)
    protocol = given.get("protocol")
    if protocol is None:
        raise invalid({f"{at}protocol": ["Missing data for required field."]})
    defaults = {"http": 80, "https": 443}
    port = given.get("listen_port") or defaults.get(protocol)
    destination = given.get("destination_port") or {"https": 80}.get(protocol, port)
    if port is None or destination is None:
        raise invalid({f"{at}listen_port": ["Missing data for required field."]})
    if protocol == "tcp" and given.get("http"):
        raise invalid({f"{at}http": ["is not for tcp services"]})
    service: Entry = {
        "protocol": protocol,
        "listen_port": port,
        "destination_port": destination,
        "proxyprotocol": given.get("proxyprotocol", False),
        "health_check": _health_check(given.get("health_check", {}), destination, at),
    }
    if protocol != "tcp":
        service["http"] = _http(project, protocol, given.get("http", {}), at)
    return service


def _health_check(given: Any, port: int, at: str) -> Entry:
    wanted = check(given, _HEALTH_CHECK, f"{at}health_check.")
    made: Entry = {"protocol": "tcp", "port": port, "interval": 15, "timeout": 10, "retries": 3, **wanted}
    if made["timeout"] >= made["interval"]:
        raise invalid({f"{at}health_check.timeout": ["must be less than the interval"]})
    if made["protocol"] == "tcp":
        made.pop("http", None)
        return made
    defaults: Entry = {"domain": "", "path": "/", "response": "", "status_codes": ["2??", "3??"], "tls": False}
    made["http"] = {**defaults, **check(made.get("http", {}), _HEALTH_HTTP, f"{at}health_check.http.")}
    return made


def _http(project: Project, protocol: str, body: Any, at: str) -> Entry:
    given = check(body, _HTTP, f"{at}http.")
    if protocol == "https" and not given.get("certificates"):
        raise invalid({f"{at}http.certificates": ["an https service needs a certificate"]})
    for name in ("certificates", "redirect_http"):
        if protocol == "http" and given.get(name):
            raise invalid({f"{at}http.{name}": ["is for https services only"]})
    for id in given.get("certificates", []):
        project.get("certificates", id, "certificate")
    defaults: Entry = {
        "cookie_name": "HCLBSTICKY",
        "cookie_lifetime": 300,
        "timeout_idle": 50,
        "sticky_sessions": False,
        "certificates": [],
        "redirect_http": False,
    }
    return {**defaults, **given}
