"""The part of Cloudflare's API that the edge uses: zones, records, settings, rulesets, certificates, tunnels."""

import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from aiohttp import web

from ..world import World
from .bodies import LIMIT, read_object
from .certificates import OriginCa, describe_leaf
from .dns import KEPT, check_record, selected
from .errors import ApiError, check_types, invalid, not_found
from .plans import MANAGED, PLANS
from .rulesets import check_rules
from .settings import DEFAULTS, check_setting

Entry = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PREFIX: Final = "/client/v4"
_TOKEN: Final = re.compile(r"[0-9A-Za-z\-_]{40,80}")
_LOG: Final = logging.getLogger(__name__)


class CloudflareCloud:
    """Emulates Cloudflare's API.

    Args:
        world: Time, faults, log.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._tokens: set[str] = set()
        self._read_only_tokens: set[str] = set()
        self._accounts: set[str] = set()
        self._zones: dict[str, Entry] = {}
        self._origin_ca = OriginCa()

    def add_account(self, account_id: str) -> None:
        """An account."""
        self._accounts.add(account_id)

    def add_zone(self, name: str, *, zone_id: str, account_id: str, plan: str = "pro") -> None:
        """A zone that is active, with a plan (``free``, ``pro``, ``business``)."""
        self._zones[zone_id] = {
            "id": zone_id,
            "name": name,
            "account": account_id,
            "plan": plan,
            "created_on": self.now(),
            "dns_records": {},
            "rulesets": {},
            "settings": {},
            "origin_pull_certificates": {},
            "origin_pulls_enabled": False,
            "origin_certificates": {},
            "tunnels": {},
        }

    def add_token(self, token: str, *, read_only: bool = False) -> None:
        """A token that may do everything, or only look at everything."""
        (self._read_only_tokens if read_only else self._tokens).add(token)

    def now(self) -> str:
        """The time, as the API writes it."""
        return self.world.clock.now().isoformat(timespec="seconds").replace("+00:00", "Z")

    def ids(self) -> dict[str, list[str]]:
        """Ids of everything that somebody made and has not taken away, by kind."""
        found: dict[str, list[str]] = {kind: [] for kind in _OWNED}
        for zone in self._zones.values():
            for kind, entries in found.items():
                entries += [id for id, entry in zone[kind].items() if not _is_gone(entry)]
        return found

    def dump(self) -> Entry:
        """Everything, as JSON. The key of the origin CA stays where it is."""
        return json.loads(
            json.dumps(
                {
                    "tokens": sorted(self._tokens),
                    "read_only_tokens": sorted(self._read_only_tokens),
                    "accounts": sorted(self._accounts),
                    "zones": self._zones,
                }
            )
        )

    def load(self, content: Mapping[str, Any]) -> None:
        """Put back what `dump` told."""
        self._tokens, self._accounts = set(content["tokens"]), set(content["accounts"])
        self._read_only_tokens = set(content.get("read_only_tokens", ()))
        self._zones = dict(content["zones"])

    # -- HTTP

    def application(self) -> web.Application:
        """Serves ``/client/v4``."""
        application = web.Application(
            middlewares=[*self.world.middlewares("cloudflare"), self._guard], client_max_size=LIMIT
        )
        zone, account = f"{_PREFIX}/zones/{{zone}}", f"{_PREFIX}/accounts/{{account}}"
        application.add_routes(
            [
                web.get(f"{_PREFIX}/user/tokens/verify", self._verify),
                web.get(f"{_PREFIX}/ips", self._ips),
                web.get(f"{_PREFIX}/zones", self._list_zones),
                web.get(zone, self._get_zone),
                web.get(f"{zone}/dns_records", self._list_records),
                web.post(f"{zone}/dns_records", self._add_record),
                web.get(f"{zone}/dns_records/{{id}}", self._get_record),
                web.put(f"{zone}/dns_records/{{id}}", self._change_record),
                web.patch(f"{zone}/dns_records/{{id}}", self._change_record),
                web.delete(f"{zone}/dns_records/{{id}}", self._delete_record),
                web.get(f"{zone}/settings/{{id}}", self._get_setting),
                web.patch(f"{zone}/settings/{{id}}", self._change_setting),
                web.get(f"{zone}/rulesets", self._list_rulesets),
                web.post(f"{zone}/rulesets", self._add_ruleset),
                web.get(f"{zone}/rulesets/phases/{{phase}}/entrypoint", self._get_entrypoint),
                web.put(f"{zone}/rulesets/phases/{{phase}}/entrypoint", self._put_entrypoint),
                web.get(f"{zone}/rulesets/{{id}}", self._get_ruleset),
                web.put(f"{zone}/rulesets/{{id}}", self._change_ruleset),
                web.delete(f"{zone}/rulesets/{{id}}", self._delete_ruleset),
                web.get(f"{zone}/origin_tls_client_auth", self._list_pulls),
                web.post(f"{zone}/origin_tls_client_auth", self._add_pull),
                web.get(f"{zone}/origin_tls_client_auth/settings", self._get_pulls),
                web.put(f"{zone}/origin_tls_client_auth/settings", self._switch_pulls),
                web.get(f"{zone}/origin_tls_client_auth/{{id}}", self._get_pull),
                web.delete(f"{zone}/origin_tls_client_auth/{{id}}", self._delete_pull),
                web.get(f"{_PREFIX}/certificates", self._list_certificates),
                web.post(f"{_PREFIX}/certificates", self._sign),
                web.get(f"{_PREFIX}/certificates/{{id}}", self._get_certificate),
                web.delete(f"{_PREFIX}/certificates/{{id}}", self._revoke),
                web.get(f"{account}/cfd_tunnel", self._list_tunnels),
                web.post(f"{account}/cfd_tunnel", self._add_tunnel),
                web.get(f"{account}/cfd_tunnel/{{id}}", self._get_tunnel),
                web.patch(f"{account}/cfd_tunnel/{{id}}", self._change_tunnel),
                web.delete(f"{account}/cfd_tunnel/{{id}}", self._delete_tunnel),
                web.get(f"{account}/cfd_tunnel/{{id}}/token", self._tunnel_token),
                web.get(f"{account}/cfd_tunnel/{{id}}/configurations", self._get_tunnel_config),
                web.put(f"{account}/cfd_tunnel/{{id}}/configurations", self._put_tunnel_config),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._authenticate(request)
            return await handler(request)
        except ApiError as error:
            return _refusal(error.status, error.code, error.message)
        except web.HTTPNotFound:
            return _refusal(404, 7003, f"No route for that URI: {request.path[:100]!r}")
        except web.HTTPMethodNotAllowed:
            return _refusal(405, 10405, f"{request.method} is not allowed here")
        except web.HTTPRequestEntityTooLarge:
            return _refusal(413, 10413, f"the body is larger than {LIMIT} bytes")
        except web.HTTPException:
            raise
        except Exception:
            _LOG.exception("%s %s", request.method, request.path)
            return _refusal(500, 10500, "an error of the emulator: see its log")

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not _TOKEN.fullmatch(token):
            raise ApiError(400, 6003, "Invalid request headers")
        may_look = token in self._read_only_tokens and request.method in ("GET", "HEAD")
        if token not in self._tokens and not may_look:
            raise ApiError(403, 10000, "Authentication error")

    # -- zones

    async def _verify(self, request: web.Request) -> web.Response:
        del request
        return _result({"id": "0" * 32, "status": "active"})

    async def _ips(self, request: web.Request) -> web.Response:
        del request
        return _result({"ipv4_cidrs": ["192.0.2.0/24"], "ipv6_cidrs": ["2001:db8::/32"], "etag": "1"})

    async def _list_zones(self, request: web.Request) -> web.Response:
        found = [_shown_zone(zone) for zone in self._zones.values()]
        for name, told in (("name", "name"), ("status", "status")):
            found = [zone for zone in found if request.query.get(name, zone[told]) == zone[told]]
        account = request.query.get("account.id")
        return _list([zone for zone in found if account in (None, zone["account"]["id"])], request)

    async def _get_zone(self, request: web.Request) -> web.Response:
        return _result(_shown_zone(self._zone(request)))

    def _zone(self, request: web.Request) -> Entry:
        id = request.match_info["zone"]
        if id not in self._zones:
            raise not_found("zone", id)
        return self._zones[id]

    def _entry(self, request: web.Request, kind: str, what: str) -> Entry:
        entries, id = self._zone(request)[kind], request.match_info["id"]
        if id not in entries:
            raise not_found(what, id)
        return entries[id]

    # -- DNS records

    async def _list_records(self, request: web.Request) -> web.Response:
        return _list(selected(self._zone(request)["dns_records"].values(), request.query), request)

    async def _add_record(self, request: web.Request) -> web.Response:
        zone, body = self._zone(request), await read_object(request)
        if len(zone["dns_records"]) >= PLANS[zone["plan"]].dns_records:
            raise invalid("Record quota exceeded.", 81045)
        record = check_record(body, zone["name"], list(zone["dns_records"].values()))
        made = {"id": secrets.token_hex(16), **record, "created_on": self.now(), "modified_on": self.now()}
        zone["dns_records"][made["id"]] = made
        return _result(made)

    async def _get_record(self, request: web.Request) -> web.Response:
        return _result(self._entry(request, "dns_records", "record"))

    async def _change_record(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        zone, before = self._zone(request), self._entry(request, "dns_records", "record")
        if request.method == "PATCH":
            body = {name: value for name, value in before.items() if name in KEPT} | body
        others = [other for other in zone["dns_records"].values() if other["id"] != before["id"]]
        dates = {"created_on": before["created_on"], "modified_on": self.now()}
        made = {"id": before["id"], **check_record(body, zone["name"], others), **dates}
        zone["dns_records"][made["id"]] = made
        return _result(made)

    async def _delete_record(self, request: web.Request) -> web.Response:
        entry = self._entry(request, "dns_records", "record")
        del self._zone(request)["dns_records"][entry["id"]]
        return _result({"id": entry["id"]})

    # -- settings

    async def _get_setting(self, request: web.Request) -> web.Response:
        return _result(self._setting(request))

    async def _change_setting(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        setting = self._setting(request)
        value = check_setting(setting["id"], body)
        setting = {**setting, "value": value, "modified_on": self.now()}
        self._zone(request)["settings"][setting["id"]] = setting
        return _result(setting)

    def _setting(self, request: web.Request) -> Entry:
        id = request.match_info["id"]
        if id not in DEFAULTS:
            raise ApiError(404, 1003, f"unknown setting {id[:40]!r}")
        default = {"id": id, "value": DEFAULTS[id], "editable": True, "modified_on": None}
        return self._zone(request)["settings"].get(id, default)

    # -- rulesets

    async def _list_rulesets(self, request: web.Request) -> web.Response:
        own = [
            {key: value for key, value in entry.items() if key != "rules"}
            for entry in self._zone(request)["rulesets"].values()
        ]
        managed = [
            {"id": id, "name": name, "kind": "managed", "phase": "http_request_firewall_managed", "version": "1"}
            for id, name in MANAGED.items()
        ]
        return _list([*own, *managed], request)

    async def _add_ruleset(self, request: web.Request) -> web.Response:
        zone, body = self._zone(request), await read_object(request)
        _need(body, "name", "kind", "phase")
        if body["kind"] not in ("zone", "custom"):
            raise invalid(f"kind {body['kind'][:20]!r} cannot be made here", 20120)
        if body["kind"] == "zone" and self._entrypoint(zone, body["phase"]) is not None:
            reason = f"exceeded maximum number of zone rulesets for phase {body['phase']}"
            raise invalid(f"'zone' is not a valid value for kind because {reason}", 20217)
        return _result(self._write_ruleset(zone, None, body))

    async def _get_entrypoint(self, request: web.Request) -> web.Response:
        found = self._entrypoint(self._zone(request), request.match_info["phase"])
        if found is None:
            raise not_found("ruleset of the phase", request.match_info["phase"])
        return _result(found)

    async def _put_entrypoint(self, request: web.Request) -> web.Response:
        zone, phase = self._zone(request), request.match_info["phase"]
        body = {"name": "default", **await read_object(request), "kind": "zone", "phase": phase}
        return _result(self._write_ruleset(zone, self._entrypoint(zone, phase), body))

    async def _get_ruleset(self, request: web.Request) -> web.Response:
        return _result(self._entry(request, "rulesets", "ruleset"))

    async def _change_ruleset(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        entry = self._entry(request, "rulesets", "ruleset")
        for name in ("kind", "phase"):
            if body.get(name, entry[name]) != entry[name]:
                raise invalid(f"the {name} of a ruleset cannot be changed", 20120)
        return _result(self._write_ruleset(self._zone(request), entry, {**entry, **body}))

    async def _delete_ruleset(self, request: web.Request) -> web.Response:
        entry = self._entry(request, "rulesets", "ruleset")
        del self._zone(request)["rulesets"][entry["id"]]
        return web.Response(status=204)

    def _entrypoint(self, zone: Entry, phase: str) -> Entry | None:
        return next((each for each in zone["rulesets"].values() if each["phase"] == phase), None)

    def _write_ruleset(self, zone: Entry, before: Entry | None, body: Entry) -> Entry:
        check_types(body, {"name": str, "description": str, "rules": list}, 20000)
        rules = check_rules(body["phase"], body.get("rules") or [], PLANS[zone["plan"]])
        known = {rule["id"]: rule for rule in (before or {}).get("rules", [])}
        given = [rule["id"] for rule in rules if rule.get("id") is not None]
        if wrong := [id for id in given if id not in known or given.count(id) > 1]:
            raise invalid(f"rule {wrong[0][:40]!r} does not exist, or is given twice", 20000)
        made = {
            "id": before["id"] if before else secrets.token_hex(16),
            "name": body["name"],
            "description": body.get("description") or "",
            "kind": body["kind"],
            "phase": body["phase"],
            "version": str(int(before["version"]) + 1 if before else 1),
            "last_updated": self.now(),
            "rules": [self._rule(rule, known) for rule in rules],
        }
        zone["rulesets"][made["id"]] = made
        return made

    def _rule(self, rule: Entry, known: Mapping[str, Entry]) -> Entry:
        id = rule.get("id") or secrets.token_hex(16)
        before = known.get(id)
        made = {"enabled": True, "ref": before["ref"] if before else id, **rule, "id": id}
        told = {name: value for name, value in (before or {}).items() if name not in ("version", "last_updated")}
        made = {name: value for name, value in made.items() if name not in ("version", "last_updated")}
        if before is not None and made == told:
            return before
        version = str(int(before["version"]) + 1 if before else 1)
        return {**made, "version": version, "last_updated": self.now()}

    # -- client certificates at the origin

    async def _list_pulls(self, request: web.Request) -> web.Response:
        return _list(list(self._zone(request)["origin_pull_certificates"].values()), request)

    async def _add_pull(self, request: web.Request) -> web.Response:
        zone, body = self._zone(request), await read_object(request)
        _need(body, "certificate", "private_key")
        described = describe_leaf(body["certificate"], body["private_key"])
        made = {
            "id": secrets.token_hex(16),
            "certificate": body["certificate"],
            **described,
            "status": "active",
            "enabled": True,
            "uploaded_on": self.now(),
        }
        zone["origin_pull_certificates"][made["id"]] = made
        return _result(made)

    async def _get_pull(self, request: web.Request) -> web.Response:
        return _result(self._entry(request, "origin_pull_certificates", "certificate"))

    async def _delete_pull(self, request: web.Request) -> web.Response:
        entry = self._entry(request, "origin_pull_certificates", "certificate")
        del self._zone(request)["origin_pull_certificates"][entry["id"]]
        return _result({**entry, "status": "pending_deletion", "enabled": False})

    async def _get_pulls(self, request: web.Request) -> web.Response:
        return _result({"enabled": self._zone(request)["origin_pulls_enabled"]})

    async def _switch_pulls(self, request: web.Request) -> web.Response:
        zone, body = self._zone(request), await read_object(request)
        if not isinstance(body.get("enabled"), bool):
            raise invalid("enabled must be true or false")
        zone["origin_pulls_enabled"] = body["enabled"]
        return _result({"enabled": body["enabled"]})

    # -- origin CA

    async def _list_certificates(self, request: web.Request) -> web.Response:
        id = request.query.get("zone_id", "")
        if id not in self._zones:
            raise not_found("zone", id)
        return _list(list(self._zones[id]["origin_certificates"].values()), request)

    async def _sign(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        _need(body, "csr", "hostnames", "request_type")
        zone = self._zone_of(body["hostnames"])
        made = self._origin_ca.sign(body, self.world.clock.now())
        zone["origin_certificates"][made["id"]] = made
        return _result(made)

    def _zone_of(self, hostnames: Any) -> Entry:
        if not isinstance(hostnames, list) or not hostnames:
            raise invalid("hostnames must name at least one host", 1010)
        hosts = [str(host) for host in cast("list[Any]", hostnames)]
        for zone in self._zones.values():
            if all(host == zone["name"] or host.endswith("." + zone["name"]) for host in hosts):
                return zone
        raise invalid(f"the hostnames {hosts} are in no zone of this account", 1010)

    async def _get_certificate(self, request: web.Request) -> web.Response:
        return _result(self._certificate(request)[1])

    async def _revoke(self, request: web.Request) -> web.Response:
        zone, entry = self._certificate(request)
        del zone["origin_certificates"][entry["id"]]
        return _result({"id": entry["id"], "revoked_at": self.now()})

    def _certificate(self, request: web.Request) -> tuple[Entry, Entry]:
        id = request.match_info["id"]
        for zone in self._zones.values():
            if id in zone["origin_certificates"]:
                return zone, zone["origin_certificates"][id]
        raise not_found("certificate", id)

    # -- tunnels

    async def _list_tunnels(self, request: web.Request) -> web.Response:
        found = list(self._tunnels(request).values())
        if "is_deleted" in request.query:
            found = [
                each for each in found if (each["deleted_at"] is not None) == (request.query["is_deleted"] == "true")
            ]
        return _list([_shown_tunnel(each) for each in found], request)

    async def _add_tunnel(self, request: web.Request) -> web.Response:
        tunnels, body = self._tunnels(request), await read_object(request)
        _need(body, "name")
        _check_tunnel(body)
        self._check_tunnel_name(request, body["name"])
        made: Entry = {
            "id": _uuid(),
            "account_tag": request.match_info["account"],
            "name": body["name"],
            "config_src": body.get("config_src", "local"),
            "created_at": self.now(),
            "deleted_at": None,
            "secret": body.get("tunnel_secret") or _secret(),
            "config": None,
            "config_version": 0,
        }
        tunnels[made["id"]] = made
        return _result(_shown_tunnel(made))

    async def _get_tunnel(self, request: web.Request) -> web.Response:
        return _result(_shown_tunnel(self._tunnel(request)))

    async def _change_tunnel(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        tunnel = self._live_tunnel(request)
        _check_tunnel(body)
        if "name" in body:
            self._check_tunnel_name(request, body["name"], tunnel)
        tunnel["name"] = body.get("name") or tunnel["name"]
        tunnel["secret"] = body.get("tunnel_secret") or tunnel["secret"]
        return _result(_shown_tunnel(tunnel))

    async def _delete_tunnel(self, request: web.Request) -> web.Response:
        tunnel = self._live_tunnel(request)
        tunnel["deleted_at"] = self.now()
        return _result(_shown_tunnel(tunnel))

    def _check_tunnel_name(self, request: web.Request, name: str | None, own: Entry | None = None) -> None:
        others = (each for each in self._tunnels(request).values() if each is not own and not _is_gone(each))
        if any(each["name"] == name for each in others):
            raise ApiError(409, 1013, "You already have a tunnel with this name")

    async def _tunnel_token(self, request: web.Request) -> web.Response:
        import base64  # noqa: PLC0415

        tunnel = self._live_tunnel(request)
        content = json.dumps({"a": tunnel["account_tag"], "t": tunnel["id"], "s": tunnel["secret"]})
        return _result(base64.b64encode(content.encode()).decode())

    async def _get_tunnel_config(self, request: web.Request) -> web.Response:
        return _result(_shown_config(self._tunnel(request)))

    async def _put_tunnel_config(self, request: web.Request) -> web.Response:
        body = await read_object(request)
        tunnel = self._live_tunnel(request)
        _check_tunnel_config(body)
        tunnel["config"] = body.get("config")
        tunnel["config_version"] += 1
        return _result(_shown_config(tunnel))

    def _tunnels(self, request: web.Request) -> dict[str, Entry]:
        account = request.match_info["account"]
        zone = next((zone for zone in self._zones.values() if zone["account"] == account), None)
        if zone is None:
            raise not_found("account", account)
        return zone["tunnels"]

    def _live_tunnel(self, request: web.Request) -> Entry:
        """One that was deleted is shown for a while, and not changed."""
        tunnel = self._tunnel(request)
        if _is_gone(tunnel):
            raise not_found("tunnel", tunnel["id"])
        return tunnel

    def _tunnel(self, request: web.Request) -> Entry:
        tunnels, id = self._tunnels(request), request.match_info["id"]
        if id not in tunnels:
            raise not_found("tunnel", id)
        return tunnels[id]


_OWNED: Final = ("dns_records", "rulesets", "origin_certificates", "origin_pull_certificates", "tunnels")


def _is_gone(entry: Entry) -> bool:
    return entry.get("deleted_at") is not None


def _uuid() -> str:
    import uuid  # noqa: PLC0415

    return str(uuid.uuid4())


def _secret() -> str:
    import base64  # noqa: PLC0415

    return base64.b64encode(secrets.token_bytes(32)).decode()


def _shown_zone(zone: Entry) -> Entry:
    return {
        "id": zone["id"],
        "name": zone["name"],
        "status": "active",
        "paused": False,
        "type": "full",
        "development_mode": 0,
        "name_servers": ["ns1.example.net", "ns2.example.net"],
        "original_name_servers": [],
        "created_on": zone["created_on"],
        "modified_on": zone["created_on"],
        "activated_on": zone["created_on"],
        "account": {"id": zone["account"], "name": "sandbox"},
        "owner": {"id": zone["account"], "name": "sandbox", "type": "organization"},
        "plan": {"id": zone["plan"], "name": zone["plan"].capitalize(), "legacy_id": zone["plan"]},
        "meta": {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": False},
    }


def _shown_tunnel(tunnel: Entry) -> Entry:
    shown = {name: tunnel[name] for name in ("id", "account_tag", "name", "config_src", "created_at", "deleted_at")}
    return {
        **shown,
        "tun_type": "cfd_tunnel",
        "status": "inactive",
        "remote_config": tunnel["config_src"] == "cloudflare",
        "connections": [],
        "metadata": {},
    }


def _shown_config(tunnel: Entry) -> Entry:
    return {
        "account_id": tunnel["account_tag"],
        "tunnel_id": tunnel["id"],
        "config": tunnel["config"],
        "source": tunnel["config_src"],
        "version": tunnel["config_version"],
        "created_at": tunnel["created_at"],
    }


def _check_tunnel(body: Entry) -> None:
    check_types(body, {"name": str, "tunnel_secret": str})
    if body.get("config_src", "local") not in ("local", "cloudflare"):
        raise invalid("config_src must be local or cloudflare")


def _check_tunnel_config(body: Entry) -> None:
    check_types(body, {"config": dict})
    config: Entry = body.get("config") or {}
    check_types(config, {"ingress": list, "originRequest": dict, "warp-routing": dict})
    if unknown := sorted(set(config) - {"ingress", "originRequest", "warp-routing"}):
        raise invalid(f"unknown fields: {', '.join(unknown)[:100]}")
    rules: list[Any] = config.get("ingress") or []
    if not all(isinstance(rule, dict) and isinstance(cast("Entry", rule).get("service"), str) for rule in rules):
        raise invalid("Bad Configuration: Validation failed: an ingress rule needs a service", 1056)
    if rules and (rules[-1].get("hostname") not in (None, "", "*") or rules[-1].get("path")):
        reason = "The last ingress rule must match all URLs (i.e. it should not have a hostname or path filter)"
        raise invalid(f"Bad Configuration: Validation failed: {reason}", 1056)


def _need(body: Entry, *names: str) -> None:
    missing = [name for name in names if name not in body]
    wrong = [name for name in names if name in body and name != "hostnames" and not isinstance(body[name], str)]
    if missing or wrong:
        raise invalid(f"missing: {', '.join(missing) or 'nothing'}; of a wrong type: {', '.join(wrong) or 'nothing'}")


def _result(result: Any) -> web.Response:
    return web.json_response({"success": True, "errors": [], "messages": [], "result": result})


def _list(found: list[Entry], request: web.Request) -> web.Response:
    page, size = (_number(request, name, default) for name, default in (("page", 1), ("per_page", 100)))
    shown = found[(page - 1) * size : page * size]
    info = {
        "page": page,
        "per_page": size,
        "count": len(shown),
        "total_count": len(found),
        "total_pages": max(1, -(-len(found) // size)),
    }
    return web.json_response({"success": True, "errors": [], "messages": [], "result": shown, "result_info": info})


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= 5_000_000:
        raise invalid(f"{name} must be a number from 1")
    return int(text)


def _refusal(status: int, code: int, message: str) -> web.Response:
    content = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    return web.json_response(content, status=status, headers={"x-should-retry": "false"})
