"""The emulated Cloudflare, driven by the official client: lifecycles, refusals with their codes, and bad input."""

import datetime
import string
from typing import Any

import cloudflare
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.cloudflare.plans import MANAGED, PLANS

from .conftest import ACCOUNT, TOKEN, ZONE, Emulator

CUSTOM, LIMITS, FIREWALL = "http_request_firewall_custom", "http_ratelimit", "http_request_firewall_managed"
BLOCK = {"action": "block", "expression": '(http.host eq "example.com")', "description": "a rule"}
LIMIT = {
    "action": "block",
    "expression": '(http.request.uri.path eq "/login")',
    "ratelimit": {
        "characteristics": ["cf.colo.id", "ip.src"],
        "period": 10,
        "requests_per_period": 5,
        "mitigation_timeout": 10,
    },
}


def refused(work: Any) -> tuple[int, int]:
    """Status and Cloudflare's own code of a refusal."""
    with pytest.raises(cloudflare.APIStatusError) as told:
        work()
    return told.value.status_code, told.value.body["errors"][0]["code"]


def made_key() -> tuple[ec.EllipticCurvePrivateKey, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key, key.private_bytes(*form).decode()


def certificate(key: ec.EllipticCurvePrivateKey, *, ca: bool = False) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "labelled dummy")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def request_for(key: ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


class TestLifecycles:
    def test_zones_and_tokens_are_read(self, emulator: Emulator) -> None:
        client = emulator.client
        assert client.user.tokens.verify().status == "active"
        assert [(zone.name, zone.status) for zone in client.zones.list()] == [("example.com", "active")]
        assert client.zones.get(zone_id=ZONE).account.id == ACCOUNT
        assert client.ips.list().ipv4_cidrs == ["192.0.2.0/24"]

    def test_a_record_is_made_read_changed_and_deleted(self, emulator: Emulator) -> None:
        records = emulator.client.dns.records
        made = records.create(zone_id=ZONE, name="www", type="A", content="192.0.2.1", ttl=60, proxied=False)
        assert (made.name, made.ttl, made.proxied) == ("www.example.com", 60, False)
        assert records.get(made.id, zone_id=ZONE) == made
        # What is proxied has no TTL of its own.
        changed = records.edit(made.id, zone_id=ZONE, name="www", type="A", content="192.0.2.2", ttl=60, proxied=True)
        assert (changed.content, changed.ttl, changed.created_on) == ("192.0.2.2", 1, made.created_on)
        assert [each.id for each in records.list(zone_id=ZONE)] == [made.id]
        assert emulator.cloud.ids()["dns_records"] == [made.id]
        records.delete(made.id, zone_id=ZONE)
        assert refused(lambda: records.get(made.id, zone_id=ZONE))[0] == 404
        assert emulator.cloud.ids()["dns_records"] == []

    def test_lists_have_pages_and_filters(self, emulator: Emulator) -> None:
        records = emulator.client.dns.records
        for number in range(1, 8):
            records.create(zone_id=ZONE, name=f"n{number}", type="A", content=f"192.0.2.{number}", ttl=1)
        names = [each.name for each in records.list(zone_id=ZONE, per_page=3)]
        assert names == [f"n{number}.example.com" for number in range(1, 8)]
        page = records.list(zone_id=ZONE, page=3, per_page=3)
        assert [each.name for each in page.result] == ["n7.example.com"]
        assert [each.content for each in records.list(zone_id=ZONE, type="A", content={"exact": "192.0.2.3"})] != []

    def test_a_setting_has_a_default_and_keeps_what_it_is_given(self, emulator: Emulator) -> None:
        client = emulator.client
        assert client.zones.settings.get("always_use_https", zone_id=ZONE).value == "off"
        client.zones.settings.edit("always_use_https", zone_id=ZONE, value="on")
        assert client.zones.settings.get("always_use_https", zone_id=ZONE).value == "on"
        header = {"strict_transport_security": {"enabled": True, "max_age": 31536000}}
        client.zones.settings.edit("security_header", zone_id=ZONE, value=header)
        found = client.zones.settings.get("security_header", zone_id=ZONE).value.strict_transport_security
        assert (found.enabled, found.max_age, found.preload) == (True, 31536000, False)

    def test_a_ruleset_keeps_the_ids_of_rules_that_stay(self, emulator: Emulator) -> None:
        rulesets = emulator.client.rulesets
        rulesets.create(zone_id=ZONE, name="custom", kind="zone", phase=CUSTOM, rules=[BLOCK])
        made = rulesets.phases.get(CUSTOM, zone_id=ZONE)
        kept = made.rules[0].id
        rulesets.update(
            made.id, zone_id=ZONE, name="custom", kind="zone", phase=CUSTOM, rules=[{**BLOCK, "id": kept}, BLOCK]
        )
        changed = rulesets.get(made.id, zone_id=ZONE)
        assert (changed.version, len(changed.rules)) == ("2", 2)
        assert changed.rules[0].id == kept != changed.rules[1].id
        listed = {each.id for each in rulesets.list(zone_id=ZONE)}
        assert listed == {made.id, *MANAGED}
        rulesets.delete(made.id, zone_id=ZONE)
        assert refused(lambda: rulesets.phases.get(CUSTOM, zone_id=ZONE))[0] == 404

    def test_an_origin_certificate_is_signed_and_revoked(self, emulator: Emulator) -> None:
        certificates = emulator.client.origin_ca_certificates
        key, _ = made_key()
        made = certificates.create(
            csr=request_for(key), hostnames=["example.com", "*.example.com"], request_type="origin-ecc",
            requested_validity=365,
        )  # fmt: skip
        leaf = x509.load_pem_x509_certificate(made.certificate.encode())
        assert leaf.public_key() == key.public_key()
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["example.com", "*.example.com"]
        assert certificates.get(made.id).id == made.id
        certificates.delete(made.id)
        assert emulator.cloud.ids()["origin_certificates"] == []

    def test_a_client_certificate_for_origin_pulls_is_uploaded_and_switched_on(self, emulator: Emulator) -> None:
        pulls = emulator.client.origin_tls_client_auth
        key, private = made_key()
        made = pulls.zone_certificates.create(zone_id=ZONE, certificate=certificate(key), private_key=private)
        assert made.status == "active"
        assert not hasattr(made, "private_key") or made.private_key is None
        pulls.settings.update(zone_id=ZONE, enabled=True)
        assert pulls.settings.get(zone_id=ZONE).enabled is True
        pulls.zone_certificates.delete(made.id, zone_id=ZONE)
        assert emulator.cloud.ids()["origin_pull_certificates"] == []

    def test_a_tunnel_is_made_configured_and_deleted(self, emulator: Emulator) -> None:
        tunnels = emulator.client.zero_trust.tunnels.cloudflared
        made = tunnels.create(account_id=ACCOUNT, name="fsn1", config_src="cloudflare")
        rules = [{"hostname": "example.com", "service": "https://192.0.2.1"}, {"service": "http_status:404"}]
        tunnels.configurations.update(made.id, account_id=ACCOUNT, config={"ingress": rules})
        found = tunnels.configurations.get(made.id, account_id=ACCOUNT)
        assert (found.version, found.config.ingress[0].service) == (1, "https://192.0.2.1")
        assert tunnels.token.get(made.id, account_id=ACCOUNT)
        tunnels.delete(made.id, account_id=ACCOUNT)
        # It is kept for a while, with a date.
        assert tunnels.get(made.id, account_id=ACCOUNT).deleted_at is not None
        assert [each.id for each in tunnels.list(account_id=ACCOUNT, is_deleted=False)] == []
        assert emulator.cloud.ids()["tunnels"] == []


class TestRefusals:
    def test_tokens(self, emulator: Emulator) -> None:
        for token, expected in (("short", (400, 6003)), ("x" * 40, (403, 10000))):
            with cloudflare.Cloudflare(api_token=token, base_url=emulator.url, max_retries=0) as client:
                assert refused(client.zones.list) == expected
        assert httpx.get(f"{emulator.url}/zones").status_code == 400

    def test_records_that_cannot_stand_beside_each_other(self, emulator: Emulator) -> None:
        def add(**fields: Any) -> Any:
            return lambda: emulator.client.dns.records.create(zone_id=ZONE, **{"ttl": 1, **fields})

        add(name="a", type="A", content="192.0.2.1")()
        add(name="c", type="CNAME", content="a.example.com")()
        assert refused(add(name="a", type="A", content="192.0.2.1")) == (400, 81058)
        assert refused(add(name="a", type="CNAME", content="b.example.com")) == (400, 81053)
        assert refused(add(name="c", type="A", content="192.0.2.2")) == (400, 81054)
        assert refused(add(name="b", type="A", content="2001:db8::1")) == (400, 9005)
        assert refused(add(name="b", type="TXT", content="x", proxied=True)) == (400, 9004)
        assert refused(add(name="b", type="A", content="192.0.2.1", ttl=5)) == (400, 9021)
        assert refused(add(name="x" * 64, type="A", content="192.0.2.1")) == (400, 9000)
        assert refused(lambda: emulator.client.dns.records.list(zone_id="0" * 32)) == (404, 1001)

    def test_rules_that_are_malformed(self, emulator: Emulator) -> None:
        def write(phase: str, **rule: Any) -> Any:
            return lambda: emulator.client.rulesets.phases.update(phase, zone_id=ZONE, rules=[{**BLOCK, **rule}])

        assert refused(write(CUSTOM, action="rewrite")) == (400, 20114)
        assert refused(write(CUSTOM, expression="(http.host eq")) == (400, 20127)
        assert refused(write(CUSTOM, expression='http.hots eq "a"')) == (400, 20127)
        assert refused(write("no_such_phase")) == (400, 20016)
        assert refused(write(FIREWALL, action="execute", action_parameters={"id": "0" * 32})) == (400, 20015)
        assert refused(write(LIMITS)) == (400, 20118)
        without_colo = {**LIMIT["ratelimit"], "characteristics": ["ip.src"]}
        assert refused(write(LIMITS, ratelimit=without_colo)) == (400, 20123)
        assert emulator.cloud.ids()["rulesets"] == []

    @pytest.mark.parametrize("emulator", ["free", "pro", "business"], indirect=True)
    def test_what_a_plan_does_not_hold(self, emulator: Emulator) -> None:
        plan = PLANS[emulator.client.zones.get(zone_id=ZONE).plan.id]
        phases = emulator.client.rulesets.phases
        phases.update(CUSTOM, zone_id=ZONE, rules=[BLOCK] * plan.custom_rules)
        assert refused(lambda: phases.update(CUSTOM, zone_id=ZONE, rules=[BLOCK] * (plan.custom_rules + 1))) == (
            400,
            20127,
        )
        phases.update(LIMITS, zone_id=ZONE, rules=[LIMIT] * plan.rate_limits)
        assert refused(lambda: phases.update(LIMITS, zone_id=ZONE, rules=[LIMIT] * (plan.rate_limits + 1)))[0] == 400
        too_long = {**LIMIT, "ratelimit": {**LIMIT["ratelimit"], "mitigation_timeout": plan.longest_block + 1}}
        assert refused(lambda: phases.update(LIMITS, zone_id=ZONE, rules=[too_long])) == (400, 20120)
        foreign = next(id for id in MANAGED if id not in plan.managed)
        rule = {"action": "execute", "expression": "true", "action_parameters": {"id": foreign}}
        assert refused(lambda: phases.update(FIREWALL, zone_id=ZONE, rules=[rule])) == (400, 20119)

    def test_certificates(self, emulator: Emulator) -> None:
        key, private = made_key()
        other, _ = made_key()
        pulls = emulator.client.origin_tls_client_auth.zone_certificates

        def upload(pem: str, key: str) -> Any:
            return lambda: pulls.create(zone_id=ZONE, certificate=pem, private_key=key)

        assert refused(upload("no PEM", private)) == (400, 1400)
        assert refused(upload(certificate(other), private)) == (400, 1411)
        assert refused(upload(certificate(key, ca=True), private)) == (400, 1406)

        def sign(**fields: Any) -> Any:
            body = {"csr": request_for(key), "hostnames": ["example.com"], "request_type": "origin-ecc", **fields}
            return lambda: emulator.client.origin_ca_certificates.create(**body)

        assert refused(sign(hostnames=["example.net"])) == (400, 1010)
        assert refused(sign(requested_validity=8)) == (400, 1007)
        assert refused(sign(request_type="origin-rsa")) == (400, 1007)
        assert refused(sign(csr="no PEM")) == (400, 1007)

    def test_two_tunnels_of_one_name(self, emulator: Emulator) -> None:
        tunnels = emulator.client.zero_trust.tunnels.cloudflared
        tunnels.create(account_id=ACCOUNT, name="fsn1")
        assert refused(lambda: tunnels.create(account_id=ACCOUNT, name="fsn1")) == (409, 1013)
        assert refused(lambda: tunnels.list(account_id="0" * 32))[0] == 404
        other = tunnels.create(account_id=ACCOUNT, name="nbg1")
        assert refused(lambda: tunnels.edit(other.id, account_id=ACCOUNT, name="fsn1")) == (409, 1013)
        tunnels.edit(other.id, account_id=ACCOUNT, name="nbg1")

    def test_a_tunnel_that_was_deleted(self, emulator: Emulator) -> None:
        tunnels = emulator.client.zero_trust.tunnels.cloudflared
        made = tunnels.create(account_id=ACCOUNT, name="fsn1")
        tunnels.delete(made.id, account_id=ACCOUNT)
        for work in (
            lambda: tunnels.delete(made.id, account_id=ACCOUNT),
            lambda: tunnels.edit(made.id, account_id=ACCOUNT, name="nbg1"),
            lambda: tunnels.token.get(made.id, account_id=ACCOUNT),
            lambda: tunnels.configurations.update(made.id, account_id=ACCOUNT, config={}),
        ):
            assert refused(work)[0] == 404
        # Its name is free.
        assert tunnels.create(account_id=ACCOUNT, name="fsn1").id != made.id

    def test_a_tunnels_rules(self, emulator: Emulator) -> None:
        tunnels = emulator.client.zero_trust.tunnels.cloudflared
        made = tunnels.create(account_id=ACCOUNT, name="fsn1", config_src="cloudflare")

        def write(config: Any) -> Any:
            return lambda: tunnels.configurations.update(made.id, account_id=ACCOUNT, config=config)

        all_of_it = {"service": "http_status:404"}
        assert refused(write({"ingress": [all_of_it, {"hostname": "example.com", "service": "http://a"}]})) == (
            400,
            1056,
        )
        assert refused(write({"ingress": [{**all_of_it, "path": "/a"}]})) == (400, 1056)
        assert refused(write({"ingress": [{"hostname": "example.com"}]})) == (400, 1056)
        assert refused(write({"ingresses": [all_of_it]})) == (400, 1004)
        assert tunnels.configurations.get(made.id, account_id=ACCOUNT).version == 0

    def test_a_setting_that_does_not_exist_or_takes_no_such_value(self, emulator: Emulator) -> None:
        def change(name: str, value: Any) -> Any:
            return lambda: emulator.client.zones.settings.edit(name, zone_id=ZONE, value=value)

        assert refused(change("no_such_setting", "on"))[0] == 404
        assert refused(change("ssl", "on")) == (400, 1007)
        assert refused(change("security_header", {"strict_transport_security": {"max_age": -1}})) == (400, 1007)


HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
PATHS = (
    f"/zones/{ZONE}/dns_records",
    f"/zones/{ZONE}/settings/ssl",
    f"/zones/{ZONE}/settings/security_header",
    f"/zones/{ZONE}/rulesets",
    f"/zones/{ZONE}/rulesets/phases/{CUSTOM}/entrypoint",
    f"/zones/{ZONE}/rulesets/phases/{LIMITS}/entrypoint",
    f"/zones/{ZONE}/rulesets/phases/{FIREWALL}/entrypoint",
    f"/zones/{ZONE}/origin_tls_client_auth",
    f"/zones/{ZONE}/origin_tls_client_auth/settings",
    "/certificates",
    f"/accounts/{ACCOUNT}/cfd_tunnel",
)
KEYS = (
    "name", "type", "content", "ttl", "proxied", "comment", "tags", "settings", "priority", "value", "rules", "kind",
    "phase", "description", "action", "expression", "action_parameters", "ratelimit", "characteristics", "period",
    "certificate", "private_key", "csr", "hostnames", "request_type", "requested_validity", "enabled", "config",
    "config_src", "tunnel_secret", "id", "mitigation_timeout", "requests_per_period", "strict_transport_security",
)  # fmt: skip
SENSIBLE = st.sampled_from(
    ["A", "CNAME", "example.com", "192.0.2.1", "zone", CUSTOM, LIMITS, "block", "execute", "origin-ecc", "on", "true"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats() | st.text(string.printable, max_size=8) | SENSIBLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


class TestBadInput:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        method=st.sampled_from(["POST", "PUT", "PATCH"]),
        path=st.sampled_from(PATHS),
        body=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8),
    )
    def test_no_body_crashes_it(self, emulator: Emulator, method: str, path: str, body: dict[str, Any]) -> None:
        answer = httpx.request(method, f"{emulator.url}{path}", json=body, headers=HEADERS) if finite(body) else None
        if answer is not None:
            assert answer.status_code < 500, (method, path, body, answer.text)
            assert answer.json()["success"] is (answer.status_code < 400)
        # What it took can be shown, and put away and back.
        assert httpx.get(f"{emulator.url}{PATHS[0]}", headers=HEADERS).status_code == 200
        emulator.cloud.load(emulator.cloud.dump())

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000])
    def test_what_is_no_json_object(self, emulator: Emulator, content: bytes) -> None:
        answer = httpx.post(f"{emulator.url}{PATHS[0]}", content=content, headers=HEADERS)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, 6007)

    def test_a_huge_body(self, emulator: Emulator) -> None:
        answer = httpx.post(f"{emulator.url}{PATHS[0]}", content=b" " * 2_000_000, headers=HEADERS)
        assert answer.status_code == 413

    @pytest.mark.parametrize("path", ["/", "/zones/../accounts", f"/zones/{ZONE}/pagerules", "/user", "/memberships"])
    def test_what_nobody_calls_is_unknown(self, emulator: Emulator, path: str) -> None:
        answer = httpx.get(f"{emulator.url}{path}", headers=HEADERS)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, 7003)

    def test_a_wrong_method(self, emulator: Emulator) -> None:
        assert httpx.delete(f"{emulator.url}{PATHS[0]}", headers=HEADERS).status_code == 405

    @pytest.mark.parametrize("id", ["..%2F..%2Fetc", "%00", "x" * 5000, "../../../etc/passwd"])
    def test_ids_are_no_paths(self, emulator: Emulator, id: str) -> None:
        answer = httpx.get(f"{emulator.url}/zones/{ZONE}/dns_records/{id}", headers=HEADERS)
        assert answer.status_code == 404

    @pytest.mark.parametrize("page", ["0", "-1", "x", "9" * 30, "١"])
    def test_pages_that_are_none(self, emulator: Emulator, page: str) -> None:
        answer = httpx.get(f"{emulator.url}{PATHS[0]}", params={"page": page}, headers=HEADERS)
        assert answer.status_code == 400


def finite(value: Any) -> bool:
    """Whether it can be written as JSON."""
    if isinstance(value, dict):
        return all(finite(each) for each in value.values())
    if isinstance(value, list):
        return all(finite(each) for each in value)
    return not isinstance(value, float) or abs(value) < float("inf")
