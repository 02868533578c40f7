"""The emulated Cloudflare over bare HTTP: who may ask, what bodies and lists may be, what neither crashes nor corrupts it."""

import contextlib
import gzip
import json
import socket
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import ACCOUNT, TOKEN, ZONE, Emulator

READ_ONLY = "r" * 40
RECORDS, RULESETS = f"/zones/{ZONE}/dns_records", f"/zones/{ZONE}/rulesets"
CUSTOM = "http_request_firewall_custom"
LIMITS = "http_ratelimit"
A = {"type": "A", "name": "a", "content": "192.0.2.1", "ttl": 60}
BLOCK = {"action": "block", "expression": '(http.host eq "example.com")'}


class Api:
    """Bare requests, over one connection."""

    def __init__(self, emulator: Emulator) -> None:
        self.url = emulator.url
        self.cloud = emulator.cloud
        self._http = httpx.Client(timeout=10)

    def __call__(self, method: str, path: str, body: Any = None, *, token: str | None = TOKEN, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        content = None if body is None else json.dumps(body).encode()
        given = {"content": content, **more, "headers": headers | more.get("headers", {})}
        return self._http.request(method, f"{self.url}{path}", **given)

    def made(self, method: str, path: str, body: Any) -> Any:
        answer = self(method, path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def refused(self, *args: Any, **more: Any) -> tuple[int, int, str]:
        """Status, code and message."""
        answer = self(*args, **more)
        content = answer.json()
        assert answer.status_code >= 400, answer.text
        assert (content["success"], content["result"], content["messages"]) == (False, None, [])
        # Clients try again for half a minute otherwise.
        assert answer.headers["x-should-retry"] == "false"
        (error,) = content["errors"]
        return answer.status_code, error["code"], error["message"]

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def api(emulator: Emulator) -> Any:
    opened = Api(emulator)
    yield opened
    opened.close()


# -- who may ask


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 6003),
        ({"Authorization": ""}, 6003),
        ({"Authorization": TOKEN}, 6003),
        ({"Authorization": f"Basic {TOKEN}"}, 6003),
        ({"Authorization": "Bearer " + "x" * 39}, 6003),
        ({"Authorization": "Bearer " + "x" * 81}, 6003),
        ({"Authorization": "Bearer " + "x" * 39 + "!"}, 6003),
        ({"Authorization": ("Bearer " + "é" * 40).encode()}, 6003),
        ({"Authorization": "Bearer " + "x" * 40}, 10000),
    ],
)
def test_a_token_that_is_missing_malformed_or_unknown(api: Api, headers: Any, code: int) -> None:
    for method, path in (("GET", "/zones"), ("POST", RECORDS), ("GET", "/no/such/path")):
        status, found, _ = api.refused(method, path, token=None, headers=headers)
        assert (status, found) == (403 if code == 10000 else 400, code)


def test_a_token_that_may_only_look(api: Api) -> None:
    api.cloud.add_token(READ_ONLY, read_only=True)
    record = api.made("POST", RECORDS, A)
    ruleset = api.made("POST", RULESETS, {"name": "default", "kind": "zone", "phase": CUSTOM, "rules": [BLOCK]})
    before = api.cloud.dump()
    for path in ("/zones", "/user/tokens/verify", RECORDS, f"{RECORDS}/{record['id']}", f"{RULESETS}/{ruleset['id']}"):
        assert api("GET", path, token=READ_ONLY).status_code == 200
    for method, path, body in (
        ("POST", RECORDS, A | {"name": "b"}),
        ("PUT", f"{RECORDS}/{record['id']}", A),
        ("PATCH", f"{RECORDS}/{record['id']}", {"ttl": 1}),
        ("DELETE", f"{RECORDS}/{record['id']}", None),
        ("DELETE", f"{RULESETS}/{ruleset['id']}", None),
        ("PATCH", f"/zones/{ZONE}/settings/ssl", {"value": "full"}),
        ("POST", f"/accounts/{ACCOUNT}/cfd_tunnel", {"name": "t"}),
    ):
        assert api.refused(method, path, body, token=READ_ONLY) == (403, 10000, "Authentication error")
    assert api.cloud.dump() == before
    api.cloud.load(before)
    assert api.refused("POST", RECORDS, A, token=READ_ONLY)[:2] == (403, 10000)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_sandboxs_cloudflare_listens_on_loopback_alone(clouds: Any) -> None:
    port = httpx.URL(clouds.access.cloudflare).port
    rows = [row.split() for table in ("tcp", "tcp6") for row in Path(f"/proc/net/{table}").read_text().splitlines()]
    listening = {row[1].partition(":")[0] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    assert listening == {"0100007F"}


# -- paths and methods


@pytest.mark.parametrize(
    "path",
    [
        "/zones/",
        f"/zones/{ZONE}/",
        f"/accounts/{ACCOUNT}/load_balancers/pools",
        f"/accounts/{ACCOUNT}/load_balancers/monitors",
        f"/zones/{ZONE}/load_balancers",
        f"/zones/{ZONE}/settings",
        f"/accounts/{ACCOUNT}/rules/lists",
        "/user/tokens",
        "/zones/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_paths_that_nobody_needs_are_not_served(api: Api, path: str) -> None:
    assert api.refused("GET", path)[:2] == (404, 7003)


@pytest.mark.parametrize(
    "id", ["%2e%2e", "..%2f..%2fzones", "%00", "a" * 4000, "x%0d%0aSet-Cookie:%20a", "💥", "0" * 31]
)
@pytest.mark.parametrize(
    "path",
    [
        "/zones/{}",
        "/zones/{}/dns_records",
        RECORDS + "/{}",
        RULESETS + "/{}",
        RULESETS + "/phases/{}/entrypoint",
        f"/zones/{ZONE}/settings/{{}}",
        f"/zones/{ZONE}/origin_tls_client_auth/{{}}",
        "/certificates/{}",
        "/accounts/{}/cfd_tunnel",
        f"/accounts/{ACCOUNT}/cfd_tunnel/{{}}/token",
    ],
)
def test_ids_are_never_paths(api: Api, path: str, id: str) -> None:
    answer = api("GET", path.format(id))
    assert answer.status_code == 404, answer.text
    assert answer.json()["success"] is False
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/zones"),
        ("DELETE", f"/zones/{ZONE}"),
        ("PUT", RECORDS),
        ("POST", f"{RECORDS}/{'a' * 32}"),
        ("OPTIONS", RECORDS),
    ],
)
def test_methods_that_are_not_served(api: Api, method: str, path: str) -> None:
    assert api.refused(method, path, {})[:2] == (405, 10405)


# -- bodies


@pytest.mark.parametrize(
    "content",
    [
        b'{"ttl": NaN}',
        b'{"ttl": 1e999}',
        b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"ttl": ' + b"9" * 5000 + b"}",
        b'{"name": "a", }',
        b"\x00",
        "{'name': 'ü'}".encode("utf-16"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_bodies_that_are_no_json(api: Api, method: str, content: bytes) -> None:
    path = RECORDS if method == "POST" else f"{RULESETS}/phases/{CUSTOM}/entrypoint"
    status, code, message = api.refused(method, path, content=content)
    assert (status, code) == (400, 6007)
    assert message.startswith("Malformed JSON in request body")


def test_a_body_that_is_not_what_its_encoding_says(emulator: Emulator, api: Api) -> None:
    # The connection is closed behind the answer, which may be lost with it: it is no connection of the others.
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"}
    with contextlib.suppress(httpx.TransportError):
        httpx.post(f"{emulator.url}{RECORDS}", content=b"no gzip", headers=headers)
    assert [each.status for each in api.cloud.world.requests.entries()] == [400]
    squeezed = gzip.compress(json.dumps(A).encode())
    assert api("POST", RECORDS, content=squeezed, headers={"Content-Encoding": "gzip"}).status_code == 200


def test_a_body_that_never_ends_holds_up_nobody(emulator: Emulator, api: Api) -> None:
    url = httpx.URL(emulator.url)
    with socket.create_connection((str(url.host), url.port or 80), timeout=10) as waiting:
        head = f"POST {url.path}{RECORDS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\n"
        waiting.sendall(head.encode() + b'{"name"')
        assert api("GET", RECORDS).status_code == 200
    assert api("GET", RECORDS).json()["result"] == []


@pytest.mark.parametrize("what", ["dns_records", "rulesets"])
def test_an_object_that_goes_while_a_body_is_still_on_its_way_is_not_there(
    emulator: Emulator, api: Api, what: str
) -> None:
    body: Any = A if what == "dns_records" else {"name": "default", "kind": "zone", "phase": CUSTOM}
    path = f"/zones/{ZONE}/{what}"
    made = api.made("POST", path, body)
    url, content = httpx.URL(emulator.url), json.dumps(body).encode()
    with socket.create_connection((str(url.host), url.port or 80), timeout=10) as late:
        head = (
            f"PUT {url.path}{path}/{made['id']} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        late.sendall(head.encode())
        assert api("DELETE", f"{path}/{made['id']}").status_code in (200, 204)
        late.sendall(content)
        answer = b"".join(iter(lambda: late.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert emulator.cloud.ids()[what] == []


# -- lists


def test_records_are_found_by_what_they_are(api: Api) -> None:
    for number, name in enumerate(("b", "a", "c")):
        api.made("POST", RECORDS, A | {"name": name, "content": f"192.0.2.{number}", "proxied": name == "c"})
    api.made("POST", RECORDS, {"type": "TXT", "name": "a", "content": "hello", "comment": "Ours"})

    def found(**query: str) -> list[str]:
        asked = {name.replace("__", "."): value for name, value in query.items()}
        return [f"{each['name'][0]} {each['type']}" for each in api("GET", RECORDS, params=asked).json()["result"]]

    assert found() == ["b A", "a A", "c A", "a TXT"]
    assert found(name="a.example.com") == found(name__exact="A.example.com") == ["a A", "a TXT"]
    assert found(name__startswith="b", type="A") == ["b A"]
    assert found(content__contains="192.0.2.", name__endswith="c.example.com") == ["c A"]
    assert found(name__startswith="b", type="TXT", match="any") == ["b A", "a TXT"]
    assert found(proxied="true") == ["c A"]
    assert found(comment__present="true") == found(comment="ours") == ["a TXT"]
    assert found(type="A", order="name") == ["a A", "b A", "c A"]
    assert found(type="A", order="name", direction="desc") == ["c A", "b A", "a A"]
    assert found(name="nobody") == []


def test_zones_are_found_by_name_status_and_account(api: Api) -> None:
    api.cloud.add_zone("example.net", zone_id="c" * 32, account_id="d" * 32)

    def found(**query: str) -> list[str]:
        return [each["name"] for each in api("GET", "/zones", params=query).json()["result"]]

    assert found() == ["example.com", "example.net"]
    assert found(name="example.net") == ["example.net"]
    assert found(status="pending") == []
    assert found(**{"account.id": ACCOUNT}) == ["example.com"]


def test_pages_tell_how_many_there_are(api: Api) -> None:
    for number in range(5):
        api.made("POST", RECORDS, A | {"name": f"n{number}"})
    info = api("GET", RECORDS, params={"page": 3, "per_page": 2}).json()["result_info"]
    assert info == {"page": 3, "per_page": 2, "count": 1, "total_count": 5, "total_pages": 3}
    beyond = api("GET", RECORDS, params={"page": 4, "per_page": 2}).json()
    assert (beyond["result"], beyond["result_info"]["count"]) == ([], 0)
    for wrong in ("0", "-1", "1.5", "x", "", "9" * 5000, "5000001"):
        for name in ("page", "per_page"):
            assert api.refused("GET", RECORDS, params={name: wrong})[:2] == (400, 1004)


def test_objects_of_one_zone_are_not_those_of_another(api: Api) -> None:
    other = "c" * 32
    api.cloud.add_zone("example.net", zone_id=other, account_id=ACCOUNT)
    record = api.made("POST", RECORDS, A)
    assert api("GET", f"/zones/{other}/dns_records").json()["result"] == []
    assert api.refused("GET", f"/zones/{other}/dns_records/{record['id']}")[0] == 404
    assert api.refused("DELETE", f"/zones/{other}/dns_records/{record['id']}")[0] == 404
    # The other zone has a name of its own.
    assert api.made("POST", f"/zones/{other}/dns_records", A)["name"] == "a.example.net"


# -- records


def test_a_patch_leaves_what_it_does_not_name(api: Api) -> None:
    body = {
        "type": "MX",
        "name": "@",
        "content": "Mail.example.com.",
        "priority": 10,
        "tags": ["a:b"],
        "comment": "ours",
    }
    made = api.made("POST", RECORDS, body)
    assert (made["name"], made["content"]) == ("example.com", "mail.example.com")
    changed = api.made("PATCH", f"{RECORDS}/{made['id']}", {"ttl": 300})
    assert changed == made | {"ttl": 300, "modified_on": changed["modified_on"]}
    # A PUT names everything.
    replaced = api.made("PUT", f"{RECORDS}/{made['id']}", {"type": "TXT", "name": "@", "content": "x"})
    assert (replaced["tags"], replaced["comment"], "priority" in replaced) == ([], None, False)
    assert replaced["created_on"] == made["created_on"]


def test_one_address_in_two_forms_is_one_record(api: Api) -> None:
    body = {"type": "AAAA", "name": "a", "content": "2001:DB8:0::1"}
    assert api.made("POST", RECORDS, body)["content"] == "2001:db8::1"
    assert api.refused("POST", RECORDS, body | {"content": "2001:db8::1"})[:2] == (400, 81058)


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        ({"content": "300.0.2.1"}, 9005, "Content for A record must be a valid IPv4 address."),
        ({"type": "AAAA"}, 9006, "Content for AAAA record must be a valid IPv6 address."),
        ({"type": "CNAME", "content": "not a name"}, 9007, "Content for CNAME record is invalid."),
        ({"type": "TXT", "proxied": True}, 9004, "cannot be proxied"),
        ({"type": "SPF"}, 9004, "unknown"),
        ({"ttl": 59}, 9021, "ttl"),
        ({"ttl": 86401}, 9021, "ttl"),
        ({"ttl": True}, 1004, "wrong type: ttl"),
        ({"proxied": "yes"}, 1004, "wrong type: proxied"),
        ({"name": "two words"}, 9000, "malformed"),
        ({"name": "a..b"}, 9000, "malformed"),
        ({"name": "x" * 64}, 9000, "malformed"),
        ({"name": "a.*.b"}, 9000, "malformed"),
        ({"name": ""}, 9000, "name is required"),
        ({"contents": "x"}, 1004, "unknown fields: contents"),
    ],
)
def test_records_that_are_malformed(api: Api, more: dict[str, Any], code: int, message: str) -> None:
    status, found, told = api.refused("POST", RECORDS, A | more)
    assert (status, found) == (400, code)
    assert message in told
    assert api("GET", RECORDS).json()["result"] == []


@pytest.mark.parametrize("emulator", ["free"], indirect=True)
def test_a_plans_records_are_counted(api: Api) -> None:
    for number in range(200):
        api.made("POST", RECORDS, A | {"name": f"n{number}"})
    assert api.refused("POST", RECORDS, A)[:2] == (400, 81045)
    first = api("GET", RECORDS).json()["result"][0]["id"]
    api.made("PATCH", f"{RECORDS}/{first}", {"ttl": 1})
    api("DELETE", f"{RECORDS}/{first}")
    api.made("POST", RECORDS, A)


# -- rules


def entry_point(api: Api, *rules: Any, phase: str = CUSTOM) -> Any:
    return api.made("PUT", f"{RULESETS}/phases/{phase}/entrypoint", {"rules": list(rules)})


def test_a_rule_counts_its_versions_and_keeps_its_reference(api: Api) -> None:
    first, second = entry_point(api, BLOCK | {"ref": "mine"}, BLOCK)["rules"]
    assert [first["version"], second["version"]] == ["1", "1"]
    assert (first["ref"], second["ref"]) == ("mine", second["id"])
    again = entry_point(api, second, first | {"action": "challenge"})["rules"]
    assert [(each["id"], each["ref"], each["version"]) for each in again] == [
        (second["id"], second["id"], "1"),
        (first["id"], "mine", "2"),
    ]


def test_a_rule_is_there_once(api: Api) -> None:
    made = entry_point(api, BLOCK)
    rule = made["rules"][0]
    path = f"{RULESETS}/phases/{CUSTOM}/entrypoint"
    assert api.refused("PUT", path, {"rules": [rule, rule]})[:2] == (400, 20000)
    assert api.refused("PUT", path, {"rules": [BLOCK | {"id": "f" * 32}]})[:2] == (400, 20000)
    assert api("GET", path).json()["result"] == made


def test_a_second_ruleset_of_a_phase_is_refused_with_cloudflares_words(api: Api) -> None:
    entry_point(api, BLOCK)
    assert api.refused("POST", RULESETS, {"name": "default", "kind": "zone", "phase": CUSTOM}) == (
        400,
        20217,
        f"'zone' is not a valid value for kind because exceeded maximum number of zone rulesets for phase {CUSTOM}",
    )


@pytest.mark.parametrize(
    "expression",
    [
        r'http.host eq "a\\"',
        r'http.host eq "a\"b)("',
        'http.host eq r#"a)"("#',
        'http.request.uri.path eq "http.nonsense"',
        "cf.bot_management.verified_bot",
        "true",
    ],
)
def test_expressions_that_are_right(api: Api, expression: str) -> None:
    entry_point(api, BLOCK | {"expression": expression})


@pytest.mark.parametrize(
    "expression", ["(", ")(", 'http.host eq "a', r'http.host eq "a\"', "http.hots", "cf.waf.nothing", " "]
)
def test_expressions_that_are_not(api: Api, expression: str) -> None:
    path = f"{RULESETS}/phases/{CUSTOM}/entrypoint"
    status, code, _ = api.refused("PUT", path, {"rules": [BLOCK | {"expression": expression}]})
    assert (status, code) == (400, 20083 if expression == " " else 20127)


@pytest.mark.parametrize(
    ("emulator", "regex", "fields", "period", "visitor"),
    [
        ("free", False, {"http.request.uri.path"}, 10, False),
        ("pro", False, {"http.request.uri.path", "http.host"}, 60, False),
        ("business", True, {"http.request.uri.path", "http.host", "ip.src"}, 600, True),
    ],
    indirect=["emulator"],
)
def test_what_rules_may_look_at_depends_on_the_plan(
    api: Api, regex: bool, fields: set[str], period: int, visitor: bool
) -> None:
    def taken(phase: str, **more: Any) -> bool:
        limit = {
            "characteristics": ["cf.colo.id", "ip.src"],
            "period": 10,
            "requests_per_period": 5,
            "mitigation_timeout": 10,
        }
        limited = {"ratelimit": limit | more.pop("limit", {})} if phase == LIMITS else {}
        body = {"rules": [{"action": "block", "expression": 'http.request.uri.path eq "/"'} | limited | more]}
        answer = api("PUT", f"{RULESETS}/phases/{phase}/entrypoint", body)
        assert answer.status_code == 200 or answer.json()["errors"][0]["code"] == 20120, answer.text
        return bool(answer.status_code == 200)

    assert taken(CUSTOM, expression='http.host matches "a"') is regex
    assert taken(CUSTOM, expression='http.host eq "matches"')
    known = ("http.request.uri.path", "http.host", "ip.src")
    assert {field for field in known if taken(LIMITS, expression=f'{field} eq "x"')} == fields
    assert max(each for each in (10, 60, 600, 3600) if taken(LIMITS, limit={"period": each})) == period
    assert taken(LIMITS, limit={"characteristics": ["cf.colo.id", "cf.unique_visitor_id"]}) is visitor


# -- anything in any order

NAMES = st.sampled_from(["a", "b", "*", "@", "x.example.com", "a.b", "..", "ü", " "])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
RECORD = st.fixed_dictionaries(
    {"type": st.sampled_from(["A", "AAAA", "CNAME", "TXT", "MX"]), "name": NAMES},
    optional={
        "content": st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "a.example.com", "text"]),
        "ttl": st.sampled_from([1, 60, 5, 86400, None]),
        "proxied": st.booleans(),
    },
)
RULE = st.fixed_dictionaries(
    {
        "action": st.sampled_from(["block", "challenge", "execute"]),
        "expression": st.sampled_from(["true", "(", 'http.host eq "a"']),
    },
    optional={
        "ref": st.sampled_from(["one", "two"]),
        "enabled": st.booleans(),
        "action_parameters": JUNK,
        "ratelimit": JUNK,
    },
)
TUNNEL = st.fixed_dictionaries({"name": NAMES}, optional={"config_src": st.sampled_from(["local", "cloudflare", "x"])})
CONFIG = st.fixed_dictionaries({"config": st.fixed_dictionaries({}, optional={"ingress": st.lists(JUNK, max_size=2)})})
PLACES: list[tuple[str, str, Any]] = [
    (f"/zones/{ZONE}/dns_records", "dns_records", RECORD),
    (f"/zones/{ZONE}/rulesets", "rulesets", st.fixed_dictionaries({
        "name": st.just("default"), "kind": st.sampled_from(["zone", "custom", "root"]),
        "phase": st.sampled_from([CUSTOM, LIMITS, "none"]), "rules": st.lists(RULE, max_size=3),
    })),
    (f"/accounts/{ACCOUNT}/cfd_tunnel", "tunnels", TUNNEL),
    (f"/zones/{ZONE}/origin_tls_client_auth", "origin_pull_certificates", JUNK),
    ("/certificates", "origin_certificates", JUNK),
]  # fmt: skip


def broken(cloud: Any) -> list[str]:
    """What does not fit together in the zone."""
    zone = cloud.dump()["zones"][ZONE]
    found: list[str] = []
    records = list(zone["dns_records"].values())
    for record in records:
        twins = [each for each in records if each["name"] == record["name"] and each is not record]
        if any((each["type"], each["content"]) == (record["type"], record["content"]) for each in twins):
            found.append(f"two records are {record['name']} {record['type']} {record['content']}")
        if twins and record["type"] == "CNAME":
            found.append(f"a CNAME stands beside others at {record['name']}")
        if not record["name"].endswith("example.com"):
            found.append(f"{record['name']} is outside of the zone")
        if record["proxied"] and (record["ttl"] != 1 or not record["proxiable"]):
            found.append(f"{record['name']} is proxied and should not")
    phases = [each["phase"] for each in zone["rulesets"].values() if each["kind"] == "zone"]
    rules = [rule["id"] for each in zone["rulesets"].values() for rule in each["rules"]]
    alive = [each["name"] for each in zone["tunnels"].values() if each["deleted_at"] is None]
    for what, values in (("rulesets of a phase", phases), ("rules", rules), ("tunnels of a name", alive)):
        if len(set(values)) != len(values):
            found.append(f"{what} are not unique")
    for kind in ("dns_records", "rulesets", "tunnels"):
        found += [f"{kind} {id} has another id" for id, each in zone[kind].items() if each["id"] != id]
    return found


def test_what_does_not_fit_together_is_seen(emulator: Emulator, api: Api) -> None:
    made = api.made("POST", RECORDS, A)
    assert broken(emulator.cloud) == []
    content = emulator.cloud.dump()
    records = content["zones"][ZONE]["dns_records"]
    records["f" * 32] = records[made["id"]] | {"type": "CNAME", "name": "a.example.com", "proxied": True}
    emulator.cloud.load(content)
    assert len(broken(emulator.cloud)) == 3


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_any_requests_in_any_order(emulator: Emulator, api: Api, data: st.DataObject) -> None:
    empty = emulator.cloud.dump()
    try:
        for _ in range(data.draw(st.integers(3, 20))):
            before = emulator.cloud.dump()
            path, kind, bodies = data.draw(st.sampled_from(PLACES))
            ids = sorted(before["zones"][ZONE][kind])
            method = data.draw(st.sampled_from(["POST", "POST", "PUT", "PATCH", "DELETE", "GET"]))
            if method != "POST":
                path += f"/{data.draw(st.sampled_from([*ids, 'f' * 32]))}"
            if kind == "tunnels" and method == "PUT":
                path, bodies = f"{path}/configurations", CONFIG
            body = data.draw(bodies | JUNK) if method in ("POST", "PUT", "PATCH") else None
            answer = api(method, path, content=None if body is None else json.dumps(body).encode())
            assert answer.status_code < 500, (method, path, body, answer.text)
            assert broken(emulator.cloud) == [], (method, path, body)
            if answer.status_code >= 400 or method == "GET":
                assert emulator.cloud.dump() == before, ("a refused request changed something", method, path, body)
            for listed, *_ in PLACES[:3]:
                assert api("GET", listed).status_code == 200
        state = emulator.cloud.dump()
        emulator.cloud.load(json.loads(json.dumps(state)))
        assert emulator.cloud.dump() == state
    finally:
        emulator.cloud.load(empty)
