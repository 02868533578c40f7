"""HTTP: who asks, which object is meant, and how answers and refusals look."""

import json
import logging
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from .errors import ApiError, invalid, not_found
from .fields import check
from .kind import Answer, Kind
from .limits import REQUESTS_AN_HOUR
from .lists import Filter, Query, links, one_of, order_of, paged, select
from .project import Entry, Project

if TYPE_CHECKING:
    from .cloud import HetznerCloud

BODY_LIMIT: Final = 1024 * 1024
"""Bytes of a request's body."""

_IDS_A_CALL: Final = 25
_ACTION_FILTERS: Final = {
    "id": Filter(lambda entry: entry["id"], check=lambda text: text.isascii() and text.isdigit()),
    "status": one_of("status", "running", "success", "error"),
}
_ACTION_ORDERS: Final = {name: order_of(name) for name in ("id", "command", "status", "started", "finished")}
_LOG: Final = logging.getLogger(__name__)


def application(cloud: "HetznerCloud") -> web.Application:
    """Serves ``/v1``."""

    async def handle(request: web.Request) -> web.Response:
        project: Project | None = None
        try:
            project, token = _project(cloud, request)
            _admit(project, token, request)
            return await _handle(cloud, project, request)
        except ApiError as error:
            return _refusal(project, error)
        except web.HTTPRequestEntityTooLarge:
            too_large = ApiError(413, "json_error", f"the body is larger than {BODY_LIMIT} bytes")
            return _refusal(project, too_large)
        except Exception:
            _LOG.exception("%s %s", request.method, request.path)
            return _refusal(project, ApiError(500, "server_error", "an error of the emulator: see its log"))

    application = web.Application(middlewares=cloud.world.middlewares("hetzner"), client_max_size=BODY_LIMIT)
    application.router.add_route("*", "/{path:.*}", handle)
    return application


def _project(cloud: "HetznerCloud", request: web.Request) -> tuple[Project, str]:
    """Whose token it is, and the token.

    Raises:
        ApiError: 401, nobody's.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    project = cloud.project(token) if scheme.lower() == "bearer" else None
    if project is None:
        raise ApiError(401, "unauthorized", "unable to authenticate")
    return project, token


def _admit(project: Project, token: str, request: web.Request) -> None:
    """Whether the token may ask this now.

    Raises:
        ApiError: 403, it may not write; 429, it asks too often.
    """
    if project.cloud.settings.rate_limit and not project.limit.take():
        raise ApiError(429, "rate_limit_exceeded", f"limit of {REQUESTS_AN_HOUR} requests per hour reached")
    if token == project.read_only_token and request.method not in ("GET", "HEAD"):
        raise ApiError(403, "token_readonly", "the token is only allowed to perform GET requests")


async def _handle(cloud: "HetznerCloud", project: Project, request: web.Request) -> web.Response:
    parts = request.path.split("/")[1:]
    if len(parts) < 2 or parts[0] != "v1" or len(parts) > 5 or any(part in ("", ".", "..") for part in parts):
        raise _unknown(request)
    rest = parts[2:]
    if parts[1] == "datacenters":
        raise ApiError(410, "deprecated_api_endpoint", "datacenters are gone: use locations")
    if parts[1] == "pricing" and not rest:
        _allow(request, "GET")
        return _response(project, 200, {"pricing": cloud.catalogue.pricing()})
    if parts[1] == "actions":
        return _actions(project, request, rest)
    kind = cloud.kinds.get(parts[1])
    if kind is None:
        raise _unknown(request)
    return await _of_kind(project, kind, request, rest)


async def _of_kind(project: Project, kind: Kind, request: web.Request, rest: list[str]) -> web.Response:
    if not rest:
        _allow(request, "GET", *(["POST"] * kind.can_create))
        if request.method == "GET":
            return _list(project, kind, request)
        return _response(project, *kind.create(project, await _body(request)))
    if rest[0] == "actions":
        return _actions_of_kind(project, kind, request, rest[1:])
    entry = kind.get(project, _id(kind.singular, rest[0]))
    if len(rest) == 1:
        return _response(project, *await _one(project, kind, entry, request))
    if rest[1] != "actions" or len(rest) > 3:
        raise _unknown(request)
    return await _actions_of_one(project, kind, entry, request, rest[2:])


async def _one(project: Project, kind: Kind, entry: Entry, request: web.Request) -> Answer:
    _allow(request, "GET", *(["PUT"] * kind.can_change), *(["DELETE"] * kind.can_delete))
    match request.method:
        case "PUT":
            body = await _body(request)
            # The body may have come late: the object must still be there.
            return kind.change(project, kind.get(project, entry["id"]), body)
        case "DELETE":
            return kind.delete(project, entry)
        case _:
            return 200, {kind.singular: kind.show(project, entry)}


def _list(project: Project, kind: Kind, request: web.Request) -> web.Response:
    query = _query(request)
    entries = kind.all(project)
    world = project.cloud.world
    if lag := world.faults.stale_seconds():
        oldest = world.clock.seconds() - lag
        entries = [entry for entry in entries if entry.get("_born", 0.0) <= oldest]
    found = select(entries, query, filters=kind.filters, sortable=kind.sortable, labelled=kind.labelled)
    shown, meta = paged(found, query, world.faults.page_size())
    content = {kind.plural: [kind.show(project, entry) for entry in shown], "meta": meta}
    return _response(project, 200, content, {"Link": links(_url(request), query, meta)})


# -- actions


def _actions(project: Project, request: web.Request, rest: list[str]) -> web.Response:
    _allow(request, "GET")
    if len(rest) > 1:
        raise _unknown(request)
    if rest:
        return _action(project, project.actions.all, rest[0])
    wanted = _query(request).get("id", [])
    if not wanted:
        raise invalid({"id": ["Missing data for required field."]})
    if len(wanted) > _IDS_A_CALL:
        raise invalid({"id": [f"at most {_IDS_A_CALL} ids a call"]})
    if not all(_is_id(id) for id in wanted):
        raise invalid({"id": ["must be a number"]})
    found = (project.actions.all.get(id) for id in sorted({int(id) for id in wanted}))
    told = [action for action in found if action is not None]
    shown = select(told, _query(request), filters=_ACTION_FILTERS, sortable=_ACTION_ORDERS, labelled=False)
    # The document knows no pages here: what was asked for comes back whole.
    return _response(project, 200, {"actions": shown})


def _actions_of_kind(project: Project, kind: Kind, request: web.Request, rest: list[str]) -> web.Response:
    if not kind.actions() or len(rest) > 1:
        raise _unknown(request)
    _allow(request, "GET")
    return _actions_about(project, project.actions_of(kind.singular), request, rest)


async def _actions_of_one(
    project: Project, kind: Kind, entry: Entry, request: web.Request, rest: list[str]
) -> web.Response:
    known = kind.actions()
    if not known or (rest and rest[0] not in known and not _is_id(rest[0])):
        raise _unknown(request)
    if rest and rest[0] in known:
        _allow(request, "POST")
        fields, act = known[rest[0]]
        body = check(await _body(request, required=bool(fields)), fields)
        # The body may have come late: the object must still be there.
        return _response(project, *act(project, kind.get(project, entry["id"]), body))
    _allow(request, "GET")
    return _actions_about(project, project.actions_of(kind.singular, entry["id"]), request, rest)


def _actions_about(project: Project, actions: list[Entry], request: web.Request, rest: list[str]) -> web.Response:
    if rest:
        return _action(project, {action["id"]: action for action in actions}, rest[0])
    return _action_list(project, actions, request)


def _action(project: Project, actions: Mapping[int, Entry], id: str) -> web.Response:
    found = actions.get(_id("action", id))
    if found is None:
        raise not_found("action", id)
    return _response(project, 200, {"action": found})


def _action_list(project: Project, actions: list[Entry], request: web.Request) -> web.Response:
    query = _query(request)
    found = select(actions, query, filters=_ACTION_FILTERS, sortable=_ACTION_ORDERS, labelled=False)
    shown, meta = paged(found, query, project.cloud.world.faults.page_size())
    return _response(project, 200, {"actions": shown, "meta": meta}, {"Link": links(_url(request), query, meta)})


# -- requests and answers


async def _body(request: web.Request, *, required: bool = True) -> dict[str, Any]:
    try:
        content = await request.read()
        if not content and not required:
            return {}
        body: Any = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError, web.RequestPayloadError) as error:
        raise ApiError(400, "json_error", "the body is no JSON") from error
    if not isinstance(body, dict):
        if body is None and not required:
            return {}
        raise ApiError(400, "json_error", "the body must be a JSON object")
    return body  # pyright: ignore[reportUnknownVariableType]  JSON


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _query(request: web.Request) -> Query:
    query: dict[str, list[str]] = {}
    for name, value in request.query.items():
        query.setdefault(name, []).append(value)
    return query


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _id(singular: str, text: str) -> int:
    if not _is_id(text):
        raise not_found(singular, text[:40])
    return int(text)


def _allow(request: web.Request, *methods: str) -> None:
    if request.method not in methods:
        raise ApiError(
            405,
            "method_not_allowed",
            f"{request.method} is not allowed here; allowed: {', '.join(methods)}",
            headers={"Allow": ", ".join(methods)},
        )


def _unknown(request: web.Request) -> ApiError:
    return ApiError(404, "not_found", f"unknown path {request.path[:100]!r}")


def _url(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}{request.path}"


def _refusal(project: Project | None, error: ApiError) -> web.Response:
    content = {"error": {"code": error.code, "message": error.message, "details": error.details}}
    return _response(project, error.status, content, error.headers)


def _response(
    project: Project | None, status: int, content: Any, more: Mapping[str, str] | None = None
) -> web.Response:
    headers = {"X-Correlation-Id": secrets.token_hex(8), **(more or {})}
    if project is not None and project.cloud.settings.rate_limit:
        headers |= project.limit.headers()
    if content is None:
        return web.Response(status=status, headers=headers)
    return web.Response(
        status=status,
        body=json.dumps(content).encode(),
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )
