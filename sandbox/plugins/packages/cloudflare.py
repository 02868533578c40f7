"""The cloudflare provider: every resource through the official client, at the address that it is configured for.

It adopts and retries nothing that the real provider does not.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

from ..check import Failure
from ..drift import imported, inputs_as_given
from ..package import EVERYTHING, Created, Kind, Package, ProviderError, Read, Target, kind, text
from ..schema import Shape, Type, schema_of
from ..values import Properties

_API_TOKEN: Final = re.compile(r"[0-9A-Za-z\-_]{40,80}")


def _token(name: str) -> str:
    return f"cloudflare:index/{name[0].lower()}{name[1:]}:{name}"


@dataclass(frozen=True)
class Place:
    """Where resources of a type are.

    Args:
        path: Of the collection, or of the one object; with the inputs that it needs.
        imported_by: The parts of the id that an import gives, in order; the last is the object's own, and kept as its id.
        change: How it is changed: ``PUT``, ``PATCH``, or empty when it cannot be.
        single: Whether it is the only one at its path: made and changed by the same request, and never deleted.
        left_out: Inputs that stand in the path, or nowhere, and not in the body.
        camel: Whether the API itself writes the nested names as ``originRequest``.
    """

    path: str
    imported_by: tuple[str, ...]
    change: str = ""
    single: bool = False
    left_out: tuple[str, ...] = ("zoneId", "accountId")
    camel: bool = False


_PLACES: Final[Mapping[str, Place]] = {
    _token("AuthenticatedOriginPullsCertificate"): Place("/zones/{zoneId}/origin_tls_client_auth", ("zoneId", "id")),
    _token("AuthenticatedOriginPullsSettings"): Place(
        "/zones/{zoneId}/origin_tls_client_auth/settings", ("zoneId",), "PUT", single=True
    ),
    _token("DnsRecord"): Place(
        "/zones/{zoneId}/dns_records",
        ("zoneId", "id"),
        "PUT",
        left_out=("zoneId", "includeShadowMetadata"),
    ),
    _token("OriginCaCertificate"): Place("/certificates", ("id",)),
    _token("Ruleset"): Place("/zones/{zoneId}/rulesets", ("zones", "zoneId", "id"), "PUT"),
    _token("ZeroTrustTunnelCloudflared"): Place("/accounts/{accountId}/cfd_tunnel", ("accountId", "id"), "PATCH"),
    _token("ZeroTrustTunnelCloudflaredConfig"): Place(
        "/accounts/{accountId}/cfd_tunnel/{tunnelId}/configurations",
        ("accountId", "tunnelId"),
        "PUT",
        single=True,
        left_out=("accountId", "tunnelId", "source"),
        camel=True,
    ),
    _token("ZoneSetting"): Place(
        "/zones/{zoneId}/settings/{settingId}",
        ("zoneId", "settingId"),
        "PATCH",
        single=True,
        left_out=("zoneId", "settingId"),
    ),
}

_NEVER_TOLD: Final = ("privateKey", "tunnelSecret")
_SINGLE_IDS: Final = {"ZoneSetting": "settingId", "AuthenticatedOriginPullsSettings": "zoneId"}


class Cloudflare(Package):
    """``pulumi_cloudflare``, as far as the edge uses it."""

    name = "cloudflare"
    kinds: ClassVar[Mapping[str, Kind]] = {
        _token("AuthenticatedOriginPullsCertificate"): kind(EVERYTHING),
        _token("AuthenticatedOriginPullsSettings"): kind("zoneId"),
        _token("DnsRecord"): kind("zoneId"),
        _token("OriginCaCertificate"): kind("csr", "hostnames", "requestType", "requestedValidity"),
        _token("Ruleset"): kind("accountId", "zoneId", "kind", "phase"),
        _token("ZeroTrustTunnelCloudflared"): kind("accountId", "configSrc"),
        _token("ZeroTrustTunnelCloudflaredConfig"): kind("accountId", "tunnelId"),
        _token("ZoneSetting"): kind("zoneId", "settingId"),
    }
    _configured: Properties | None = None
    _client: Any = None

    def check_config(self, inputs: Properties) -> list[Failure]:
        failures = super().check_config(inputs)
        given = inputs.get("apiToken")
        if isinstance(given, str) and not _API_TOKEN.fullmatch(given):
            failures.append(Failure("apiToken", "must have 40 to 80 letters, digits, '-' and '_'"))
        return failures

    def configure(self, inputs: Properties) -> None:
        self._configured = inputs

    # -- resources

    def make(self, target: Target, inputs: Properties) -> Created:
        place = self._place(target)
        path = _path(place, inputs)
        if place.single:
            result = self._request(place.change, path, _body(target, inputs))
            id = text(inputs[_SINGLE_IDS.get(target.token.rpartition(":")[2], "tunnelId")])
        else:
            result = self._request("POST", path, _body(target, inputs))
            id = str(result["id"])
        return Created(id, inputs | _told(target, result))

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        place = self._place(target)
        known: Properties = outputs or inputs or _imported(place, id)
        own, path = id.rpartition("/")[2], _path(place, known)
        try:
            result = self._request("GET", path if place.single else f"{path}/{own}")
        except _RefusedError as failure:
            if failure.status == 404:
                return None
            raise
        if result.get("deleted_at") or result.get("status") in ("deleted", "pending_deletion"):
            return None
        found = known | _told(target, result)
        told = inputs_as_given(inputs, found) if inputs else imported(found, schema_of(target.token).inputs)
        return Read(found, told, own)

    def update(
        self, target: Target, id: str, old: Properties, new: Properties, outputs: Properties, *, preview: bool
    ) -> Properties:
        changed = super().update(target, id, old, new, outputs, preview=preview)
        place = self._place(target)
        if preview:
            return changed
        if not place.change:
            raise ProviderError(f"{target.name} cannot be changed in place")
        path = _path(place, new) if place.single else f"{_path(place, new)}/{id}"
        return changed | _told(target, self._request(place.change, path, _body(target, new)))

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        place = self._place(target)
        # Settings cannot be deleted: the real provider leaves them as they are.
        if place.single:
            return
        try:
            self._request("DELETE", f"{_path(place, outputs)}/{id}")
        except _RefusedError as failure:
            if failure.status != 404:
                raise

    def call(self, token: str, arguments: Properties) -> Properties:
        if not token.endswith(":getZeroTrustTunnelCloudflaredToken"):
            return super().call(token, arguments)
        account, tunnel = text(arguments["accountId"]), text(arguments["tunnelId"])
        result = self._request("GET", f"/accounts/{account}/cfd_tunnel/{tunnel}/token")
        return {"id": tunnel, "accountId": account, "tunnelId": tunnel, "token": result}

    def _place(self, target: Target) -> Place:
        if target.token not in _PLACES:
            raise ProviderError(f"the sandbox's cloudflare plugin does not make {target.token}")
        return _PLACES[target.token]

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        # The client costs a second to import: only who asks Cloudflare something pays for it.
        import cloudflare  # noqa: PLC0415
        import httpx  # noqa: PLC0415

        if self._configured is None:
            raise ProviderError("the cloudflare provider is not configured")
        if self._client is None:
            self._client = cloudflare.Cloudflare(
                api_token=str(self._configured["apiToken"]), base_url=cast("Any", self._configured.get("baseUrl"))
            )
        ask = getattr(self._client, method.lower())
        try:
            answer: httpx.Response = ask(path, cast_to=httpx.Response, **({"body": body} if body is not None else {}))
        except cloudflare.APIStatusError as error:
            raise _RefusedError(error.status_code, f"{method} {path}: {_reasons(error)}") from error
        except cloudflare.APIConnectionError as error:
            raise ProviderError(f"{method} {path}: no answer; it may have taken effect") from error
        return answer.json()["result"] if answer.content else {}


class _RefusedError(ProviderError):
    """The API refused, with this HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _reasons(error: Any) -> str:
    errors: list[Any] = getattr(error, "errors", None) or []
    told = [f"{each.message} ({each.code})" for each in errors]
    return "; ".join(told) or f"HTTP {error.status_code}"


def _imported(place: Place, id: str) -> Properties:
    """What an import's id says.

    Raises:
        ProviderError: it has other parts.
    """
    parts = id.split("/")
    given = dict(zip(place.imported_by, parts, strict=False))
    if len(parts) != len(place.imported_by) or not all(parts) or given.get("zones", "zones") != "zones":
        raise ProviderError(f"the import id {id!r} has an invalid format, expected {'/'.join(place.imported_by)}")
    return {name: value for name, value in given.items() if name not in ("zones", "id")}


def _path(place: Place, properties: Properties) -> str:
    return place.path.format(**{name: str(value) for name, value in properties.items()})


def _body(target: Target, inputs: Properties) -> dict[str, Any]:
    place, schema = _PLACES[target.token], schema_of(target.token)
    spell = _api_camel if place.camel else _snake
    return {
        _snake(name): _respelt(value, schema.inputs[name].type, schema.shapes, spell)
        for name, value in inputs.items()
        if name not in place.left_out
    }


def _told(target: Target, result: Mapping[str, Any]) -> Properties:
    """What the API tells, as far as the SDK's type has a place for it."""
    schema = schema_of(target.token)
    told: Properties = {}
    for field, value in result.items():
        name = _camel(field)
        if name in schema.outputs and name not in _NEVER_TOLD and value is not None:
            type = schema.outputs[name].type
            is_text = type.kind == "string" and not isinstance(value, str)
            told[name] = json.dumps(value) if is_text else _shaped(value, type, schema.shapes)
    return told


def _respelt(value: Any, type: Type, shapes: Mapping[str, Shape], spell: Callable[[str], str]) -> Any:
    """An input as the API writes it; the keys of a map are the program's own."""
    if type.kind == "list":
        return [_respelt(item, type.items[0], shapes, spell) for item in value]
    if type.kind == "map":
        return {key: _respelt(item, type.items[0], shapes, spell) for key, item in value.items()}
    if type.kind == "object":
        fields = shapes[type.ref]
        return {spell(key): _respelt(item, fields[key].type, shapes, spell) for key, item in value.items()}
    return value


def _shaped(value: Any, type: Type, shapes: Mapping[str, Shape]) -> Any:
    """What the API tells, as the SDK writes it."""
    if type.kind == "list" and isinstance(value, list):
        return [_shaped(item, type.items[0], shapes) for item in cast("list[Any]", value)]
    if type.kind == "map" and isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: _shaped(item, type.items[0], shapes) for key, item in items}
    if type.kind == "object" and isinstance(value, dict):
        fields = shapes[type.ref]
        told = ((_camel(key), item) for key, item in cast("dict[str, Any]", value).items())
        return {
            name: _shaped(item, fields[name].type, shapes) for name, item in told if name in fields and item is not None
        }
    return value


_SPELT: Final = {
    "ingresses": "ingress",
    "noTlsVerify": "noTLSVerify",
    "audTags": "audTag",
    "matchSnItoHost": "matchSNItoHost",
}
"""Of the SDK and of the API, where they differ in more than their case."""
_READ: Final = {api: sdk for sdk, api in _SPELT.items()}


def _api_camel(name: str) -> str:
    return _SPELT.get(name, name)


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return _READ.get(name) or first + "".join(part.capitalize() for part in others)


PACKAGE = Cloudflare
