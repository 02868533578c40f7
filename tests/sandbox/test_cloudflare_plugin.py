"""The cloudflare provider against the emulated Cloudflare: lifecycles, drift, replacements, imports, failures."""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from cloudflare import Cloudflare
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox.clouds import Access, ThreadedClouds
from sandbox.plugins.package import Change, Package, ProviderError, Target
from sandbox.plugins.packages import open_package
from sandbox.plugins.values import UNKNOWN

Properties = dict[str, Any]
ZONE = ACCOUNT = "0" * 32
"""Of the sandbox's clouds."""
WAF = "http_request_firewall_custom"
PEM = serialization.Encoding.PEM


def target(kind: str) -> Target:
    return Target(f"cloudflare:index/{kind[0].lower()}{kind[1:]}:{kind}", "it")


@dataclass
class Resource:
    """A resource in a state."""

    target: Target
    id: str
    inputs: Properties
    outputs: Properties


@dataclass
class Stack:
    """What an engine does with the provider, without the engine."""

    package: Package
    clouds: ThreadedClouds
    client: Cloudflare

    def create(self, kind: str, /, **inputs: Any) -> Resource:
        checked = self.package.check(target(kind), inputs)
        assert checked.failures == []
        made = self.package.create(target(kind), checked.inputs, preview=False)
        return Resource(target(kind), made.id, checked.inputs, made.outputs)

    def refresh(self, resource: Resource) -> bool:
        """Whether it is there still; the state is what the cloud tells from now on."""
        read = self.package.read(resource.target, resource.id, resource.inputs, resource.outputs)
        if read is None:
            return False
        assert read.id in (None, resource.id)
        resource.inputs, resource.outputs = read.inputs, read.outputs
        return True

    def diff(self, resource: Resource, inputs: Properties) -> Change:
        checked = self.package.check(resource.target, inputs, resource.inputs)
        assert checked.failures == []
        return self.package.diff(resource.target, resource.inputs, checked.inputs, resource.outputs)

    def update(self, resource: Resource, inputs: Properties) -> None:
        """As ``up``, where nothing is to be replaced."""
        assert self.diff(resource, inputs).replaces == ()
        resource.outputs = self.package.update(
            resource.target, resource.id, resource.inputs, inputs, resource.outputs, preview=False
        )
        resource.inputs = inputs

    def delete(self, resource: Resource) -> None:
        self.package.delete(resource.target, resource.id, resource.outputs)

    def imported(self, kind: str, id: str) -> Resource:
        read = self.package.read(target(kind), id, {}, {})
        assert read is not None
        return Resource(target(kind), read.id or id, read.inputs, read.outputs)

    def fault(self, **rule: Any) -> None:
        self.clouds.call(lambda: self.clouds.clouds.world.faults.add(cloud="cloudflare", **rule))

    def asked(self, work: Callable[[], Any]) -> list[str]:
        """Requests while something is done, such as ``POST /certificates``."""
        log = self.clouds.clouds.world.requests
        self.clouds.call(log.clear)
        work()
        return [f"{each.method} {each.route.removeprefix('/client/v4')}" for each in log.entries("cloudflare")]


@pytest.fixture
def stack(provider: Callable[[str], Package], clouds: ThreadedClouds, access: Access) -> Iterator[Stack]:
    """A provider and its clouds; what is in the zone afterwards is what was in it before."""
    cloud, faults = clouds.clouds.cloudflare, clouds.clouds.world.faults
    before = clouds.call(cloud.dump)
    package = provider("cloudflare")
    with Cloudflare(api_token=access.api_token, base_url=access.cloudflare, max_retries=0) as client:
        yield Stack(package, clouds, client)
    if package._client is not None:
        package._client.close()
    clouds.call(lambda: cloud.load(before))
    clouds.call(faults.clear)


def request_and_key(name: str = "example.com") -> tuple[str, str, str]:
    """A certificate request, a leaf certificate, and the key of both."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    now = datetime.datetime.now(datetime.UTC)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return request.public_bytes(PEM).decode(), leaf.public_bytes(PEM).decode(), private.decode()


CSR, LEAF, KEY = request_and_key()
RULE = {
    "ref": "one",
    "description": "one",
    "expression": '(http.host eq "example.com")',
    "action": "block",
    "enabled": True,
}


@dataclass(frozen=True)
class Case:
    """A type.

    Args:
        kind: Its name.
        given: Makes what it needs, and returns its inputs.
        changed: What a later deployment gives instead.
        replaces: Which of `changed` replaces it.
        drift: Changes it behind the engine's back; None where nobody can.
        remove: Deletes it behind the engine's back; None for what is always there.
        import_id: How it is imported.
        not_imported: Inputs that the API never tells.
    """

    kind: str
    given: Callable[[Stack], Properties]
    changed: Properties
    replaces: tuple[str, ...] = ()
    drift: Callable[[Stack, Resource], Any] | None = None
    remove: Callable[[Stack, Resource], Any] | None = None
    import_id: Callable[[Resource], str] = field(default=lambda resource: f"{ZONE}/{resource.id}")
    not_imported: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.kind


def fixed(**inputs: Any) -> Callable[[Stack], Properties]:
    return lambda _: dict(inputs)


def _tunnel(stack: Stack) -> Properties:
    tunnel = stack.create("ZeroTrustTunnelCloudflared", accountId=ACCOUNT, name="t", configSrc="cloudflare")
    rules = [
        {"hostname": "www.example.com", "service": "http://a:1", "originRequest": {"noTlsVerify": True}},
        {"service": "http_status:404"},
    ]
    return {"accountId": ACCOUNT, "tunnelId": tunnel.id, "config": {"ingresses": rules}}


def _drifted_tunnel(stack: Stack, resource: Resource) -> None:
    config: Any = {"ingress": [{"service": "http_status:503"}]}
    configurations = stack.client.zero_trust.tunnels.cloudflared.configurations
    configurations.update(resource.inputs["tunnelId"], account_id=ACCOUNT, config=config)


CASES = (
    Case(
        "DnsRecord",
        fixed(zoneId=ZONE, name="www.example.com", type="A", content="192.0.2.1", ttl=300, comment="ours"),
        {"content": "192.0.2.2", "ttl": 60},
        drift=lambda stack, it: stack.client.dns.records.edit(
            it.id, zone_id=ZONE, name="www.example.com", type="A", content="192.0.2.9", ttl=300
        ),
        remove=lambda stack, it: stack.client.dns.records.delete(it.id, zone_id=ZONE),
    ),
    Case(
        "ZoneSetting",
        fixed(
            zoneId=ZONE,
            settingId="security_header",
            value={"strict_transport_security": {"enabled": True, "max_age": 60, "include_subdomains": True}},
        ),
        {"value": {"strict_transport_security": {"enabled": True, "max_age": 120, "include_subdomains": True}}},
        drift=lambda stack, it: stack.client.zones.settings.edit(
            "security_header", zone_id=ZONE, value={"strict_transport_security": {"enabled": False}}
        ),
    ),
    Case(
        "Ruleset",
        fixed(zoneId=ZONE, kind="zone", name="default", phase=WAF, description="d", rules=[RULE]),
        {"rules": [RULE | {"action": "managed_challenge"}, RULE | {"ref": "two", "expression": "true"}]},
        drift=lambda stack, it: stack.client.rulesets.phases.update(
            WAF,
            zone_id=ZONE,
            description="d",
            rules=[RULE | {"enabled": False}],  # type: ignore[list-item]
        ),
        remove=lambda stack, it: stack.client.rulesets.delete(it.id, zone_id=ZONE),
        import_id=lambda it: f"zones/{ZONE}/{it.id}",
    ),
    Case(
        "OriginCaCertificate",
        fixed(csr=CSR, hostnames=["example.com", "*.example.com"], requestType="origin-ecc", requestedValidity=90),
        {"hostnames": ["example.com"]},
        replaces=("hostnames",),
        remove=lambda stack, it: stack.client.origin_ca_certificates.delete(it.id),
        import_id=lambda it: it.id,
    ),
    Case(
        "AuthenticatedOriginPullsCertificate",
        fixed(zoneId=ZONE, certificate=LEAF, privateKey=KEY),
        {"certificate": request_and_key("other")[1]},
        replaces=("certificate",),
        remove=lambda stack, it: stack.client.origin_tls_client_auth.zone_certificates.delete(it.id, zone_id=ZONE),
        not_imported=("privateKey",),
    ),
    Case(
        "AuthenticatedOriginPullsSettings",
        fixed(zoneId=ZONE, enabled=True),
        {"enabled": False},
        drift=lambda stack, it: stack.client.origin_tls_client_auth.settings.update(zone_id=ZONE, enabled=False),
        import_id=lambda it: ZONE,
    ),
    Case(
        "ZeroTrustTunnelCloudflared",
        fixed(accountId=ACCOUNT, name="fsn1.example.com", configSrc="cloudflare"),
        {"name": "nbg1.example.com"},
        drift=lambda stack, it: stack.client.zero_trust.tunnels.cloudflared.edit(
            it.id, account_id=ACCOUNT, name="by hand"
        ),
        remove=lambda stack, it: stack.client.zero_trust.tunnels.cloudflared.delete(it.id, account_id=ACCOUNT),
    ),
    Case(
        "ZeroTrustTunnelCloudflaredConfig",
        _tunnel,
        {"config": {"ingresses": [{"service": "http_status:418"}]}},
        drift=_drifted_tunnel,
    ),
)
each = pytest.mark.parametrize("case", CASES, ids=str)
drifting = pytest.mark.parametrize("case", [case for case in CASES if case.drift], ids=str)
removable = pytest.mark.parametrize("case", [case for case in CASES if case.remove], ids=str)


@each
def test_it_is_made_as_said_and_nothing_is_left_to_do(stack: Stack, case: Case) -> None:
    given = case.given(stack)
    made: list[Resource] = []
    asked = stack.asked(lambda: made.append(stack.create(case.kind, **given)))
    (resource,) = made
    assert len(asked) == 1, asked
    assert stack.diff(resource, given).changed == ()
    before = dict(resource.outputs)
    read = stack.asked(lambda: stack.refresh(resource))
    assert [request.split()[0] for request in read] == ["GET"]
    assert stack.diff(resource, given).changed == ()
    assert resource.outputs == before


@each
def test_a_change_is_made_in_place_or_replaces(stack: Stack, case: Case) -> None:
    resource = stack.create(case.kind, **case.given(stack))
    wanted = resource.inputs | case.changed
    change = stack.diff(resource, wanted)
    assert (change.changed, change.replaces) == (tuple(sorted(case.changed)), case.replaces)
    # None of them is named by the bridge, so that a program says delete_before_replace where it needs it.
    assert not change.delete_before_replace
    if not case.replaces:
        stack.update(resource, wanted)
        assert stack.refresh(resource)
        assert stack.diff(resource, wanted).changed == ()


@drifting
def test_what_was_changed_by_hand_is_told_and_mended(stack: Stack, case: Case) -> None:
    given = case.given(stack)
    resource = stack.create(case.kind, **given)
    assert case.drift is not None
    case.drift(stack, resource)
    assert stack.refresh(resource)
    change = stack.diff(resource, given)
    assert change.changed != ()
    stack.update(resource, given)
    assert stack.refresh(resource)
    assert stack.diff(resource, given).changed == ()


@removable
def test_what_was_deleted_by_hand_is_gone_and_deleted_without_an_error(stack: Stack, case: Case) -> None:
    resource = stack.create(case.kind, **case.given(stack))
    assert case.remove is not None
    case.remove(stack, resource)
    assert not stack.refresh(resource)
    stack.delete(resource)
    if not case.replaces:
        with pytest.raises(ProviderError, match=resource.id):
            stack.update(resource, resource.inputs | case.changed)


@removable
def test_it_is_deleted(stack: Stack, case: Case) -> None:
    before = stack.clouds.call(stack.clouds.clouds.cloudflare.ids)
    resource = stack.create(case.kind, **case.given(stack))
    assert stack.clouds.call(stack.clouds.clouds.cloudflare.ids) != before
    stack.delete(resource)
    assert stack.clouds.call(stack.clouds.clouds.cloudflare.ids) == before


@pytest.mark.parametrize("case", [case for case in CASES if not case.remove], ids=str)
def test_what_is_always_there_is_left_as_it_is(stack: Stack, case: Case) -> None:
    given = case.given(stack)
    resource = stack.create(case.kind, **given)
    assert stack.asked(lambda: stack.delete(resource)) == []
    assert stack.refresh(resource)
    assert stack.diff(resource, given).changed == ()


@each
def test_what_is_imported_is_neither_replaced_nor_changed(stack: Stack, case: Case) -> None:
    given = case.given(stack)
    made = stack.create(case.kind, **given)
    imported = stack.imported(case.kind, case.import_id(made))
    assert imported.id == made.id
    change = stack.diff(imported, given)
    assert set(change.replaces) <= set(case.not_imported)
    if not case.replaces:
        # What was imported is changed and deleted as if it had been made here.
        stack.update(imported, given | case.changed)
        assert stack.refresh(imported)
        assert stack.diff(imported, given | case.changed).changed == ()
    stack.delete(imported)


@pytest.mark.parametrize(
    ("kind", "id"),
    [
        ("DnsRecord", "a" * 32),
        ("DnsRecord", f"{ZONE}/"),
        ("DnsRecord", f"{ZONE}/{'a' * 32}/b"),
        ("Ruleset", f"{ZONE}/{'a' * 32}"),
        ("Ruleset", f"accounts/{ZONE}/{'a' * 32}"),
        ("ZoneSetting", "ssl"),
    ],
)
def test_an_import_by_a_wrong_id_says_what_is_expected(stack: Stack, kind: str, id: str) -> None:
    with pytest.raises(ProviderError, match=r"has an invalid format, expected .*/"):
        stack.imported(kind, id)


@each
def test_an_import_of_what_is_not_there_finds_nothing(stack: Stack, case: Case) -> None:
    made = stack.create(case.kind, **case.given(stack))
    id = case.import_id(made).replace(ZONE, "f" * 32) if case.import_id(made) != made.id else "1234"
    if case.kind == "AuthenticatedOriginPullsSettings":
        id = "f" * 32
    assert stack.package.read(target(case.kind), id, {}, {}) is None


# -- what replaces


@pytest.mark.parametrize(
    ("kind", "name", "replaces"),
    [
        ("DnsRecord", "zoneId", True),
        ("DnsRecord", "type", False),
        ("DnsRecord", "name", False),
        ("OriginCaCertificate", "csr", True),
        ("OriginCaCertificate", "requestType", True),
        ("OriginCaCertificate", "requestedValidity", True),
        ("Ruleset", "kind", True),
        ("Ruleset", "phase", True),
        ("Ruleset", "zoneId", True),
        ("Ruleset", "name", False),
        ("Ruleset", "rules", False),
        ("AuthenticatedOriginPullsCertificate", "privateKey", True),
        ("AuthenticatedOriginPullsSettings", "zoneId", True),
        ("ZeroTrustTunnelCloudflared", "configSrc", True),
        ("ZeroTrustTunnelCloudflared", "accountId", True),
        ("ZeroTrustTunnelCloudflared", "tunnelSecret", False),
        ("ZeroTrustTunnelCloudflaredConfig", "tunnelId", True),
        ("ZoneSetting", "settingId", True),
        ("ZoneSetting", "value", False),
    ],
)
def test_what_replaces(kind: str, name: str, replaces: bool) -> None:
    change = open_package("cloudflare").diff(target(kind), {name: "one"}, {name: "two"}, {})
    assert (change.changed, change.replaces) == ((name,), (name,) if replaces else ())


# -- previews


def test_a_preview_asks_nothing_and_takes_what_is_not_known_yet(stack: Stack) -> None:
    inputs = {"zoneId": ZONE, "name": "www.example.com", "type": "CNAME", "content": UNKNOWN, "ttl": 1}
    checked = stack.package.check(target("DnsRecord"), inputs)
    assert checked.failures == []
    made: list[Any] = []
    asked = stack.asked(lambda: made.append(stack.package.create(target("DnsRecord"), checked.inputs, preview=True)))
    assert asked == []
    assert (made[0].id, made[0].outputs["content"]) == ("", UNKNOWN)
    assert "createdOn" not in made[0].outputs
    record = stack.create("DnsRecord", **inputs | {"content": "a.example.com"})
    updated = stack.asked(
        lambda: stack.package.update(record.target, record.id, record.inputs, inputs, record.outputs, preview=True)
    )
    assert updated == []
    assert stack.diff(record, inputs).changed == ("content",)


def test_wrong_inputs_are_told_before_anything_is_asked(stack: Stack) -> None:
    def said(kind: str, /, **inputs: Any) -> list[str]:
        return [str(failure) for failure in stack.package.check(target(kind), inputs).failures]

    assert said("DnsRecord", zoneId=ZONE, name="a", type="A", ttl="soon", contents="x") == [
        "contents: unknown property, did you mean 'content'?",
        "ttl: must be a number, not a string",
    ]
    assert said("ZoneSetting", zoneId=ZONE) == [
        "settingId: is required and missing",
        "value: is required and missing",
    ]


@pytest.mark.parametrize("token", ["short", "x" * 39, "x" * 81, "with a blank" * 5])
def test_a_token_of_a_wrong_form_is_refused(token: str) -> None:
    (failure,) = open_package("cloudflare").check_config({"apiToken": token})
    assert "40 to 80" in str(failure)


# -- what goes wrong


def test_a_refusal_names_request_code_and_message(stack: Stack) -> None:
    record = {"zoneId": ZONE, "name": "www.example.com", "type": "A", "content": "192.0.2.1", "ttl": 1}
    stack.create("DnsRecord", **record)
    said = rf"POST /zones/{ZONE}/dns_records: An identical record already exists. \(81058\)"
    with pytest.raises(ProviderError, match=said):
        stack.create("DnsRecord", **record)
    ruleset = {"zoneId": ZONE, "kind": "zone", "name": "default", "phase": WAF}
    stack.create("Ruleset", **ruleset)
    # What is there already is not taken over.
    with pytest.raises(ProviderError, match="20217"):
        stack.create("Ruleset", **ruleset)


def test_an_update_that_is_refused_changes_nothing(stack: Stack) -> None:
    ruleset = stack.create("Ruleset", zoneId=ZONE, kind="zone", name="default", phase=WAF, rules=[RULE])
    before = (ruleset.inputs, ruleset.outputs)
    bad = RULE | {"ref": "two", "action": "execute"}
    with pytest.raises(ProviderError, match="20114"):
        stack.update(ruleset, ruleset.inputs | {"rules": [RULE, bad]})
    assert (ruleset.inputs, ruleset.outputs) == before
    assert stack.refresh(ruleset)
    assert (ruleset.inputs, ruleset.outputs) == before


def test_what_the_server_cannot_do_for_a_moment_is_tried_again(stack: Stack) -> None:
    stack.fault(kind="status", method="POST", status=503, times=1)
    record = {"zoneId": ZONE, "name": "www.example.com", "type": "A", "content": "192.0.2.1", "ttl": 1}
    asked = stack.asked(lambda: stack.create("DnsRecord", **record))
    assert len(asked) == 2


def test_a_lost_answer_is_tried_again_and_meets_its_own_effect(stack: Stack) -> None:
    stack.fault(kind="drop_after", method="POST", times=1)
    record = {"zoneId": ZONE, "name": "www.example.com", "type": "A", "content": "192.0.2.1", "ttl": 1}
    with pytest.raises(ProviderError, match="81058"):
        stack.create("DnsRecord", **record)
    assert [each.content for each in stack.client.dns.records.list(zone_id=ZONE)] == ["192.0.2.1"]


def test_a_read_that_is_refused_is_an_error_and_not_a_missing_resource(stack: Stack) -> None:
    record = stack.create("DnsRecord", zoneId=ZONE, name="a.example.com", type="A", content="192.0.2.1", ttl=1)
    stack.fault(kind="status", method="GET", status=403, code="10000", message="Authentication error", times=1)
    with pytest.raises(ProviderError, match=r"Authentication error \(10000\)"):
        stack.refresh(record)
    stack.fault(kind="status", method="DELETE", status=403, code="10000", message="Authentication error", times=1)
    with pytest.raises(ProviderError, match="10000"):
        stack.delete(record)
    assert stack.refresh(record)


def test_a_token_that_nobody_knows_is_refused(stack: Stack, access: Access) -> None:
    package = open_package("cloudflare")
    package.configure({"apiToken": "x" * 40, "baseUrl": access.cloudflare})
    with pytest.raises(ProviderError, match=r"Authentication error \(10000\)"):
        package.create(target("ZoneSetting"), {"zoneId": ZONE, "settingId": "ssl", "value": "full"}, preview=False)


def test_a_provider_that_is_not_configured_says_so() -> None:
    with pytest.raises(ProviderError, match="is not configured"):
        open_package("cloudflare").read(target("ZoneSetting"), f"{ZONE}/ssl", {}, {})


def test_what_the_sandbox_does_not_make_is_refused(stack: Stack) -> None:
    with pytest.raises(ProviderError, match="does not make cloudflare:index/zone:Zone"):
        stack.package.create(target("Zone"), {"name": "example.com"}, preview=False)


# -- names


def test_names_that_the_api_spells_otherwise_arrive_as_it_spells_them(stack: Stack) -> None:
    config = stack.create("ZeroTrustTunnelCloudflaredConfig", **_tunnel(stack))
    id = config.inputs["tunnelId"]
    found = stack.client.zero_trust.tunnels.cloudflared.configurations.get(id, account_id=ACCOUNT)
    assert found is not None
    assert found.config is not None
    assert found.config.ingress is not None
    assert [each.service for each in found.config.ingress] == ["http://a:1", "http_status:404"]
    request = found.config.ingress[0].origin_request
    assert request is not None
    assert request.no_tls_verify is True


def test_keys_of_maps_are_the_programs_own(stack: Stack) -> None:
    headers = {"X-Our_Own-Header": {"operation": "set", "value": "1"}}
    rule = {"expression": "true", "action": "rewrite", "actionParameters": {"headers": headers}}
    phase = "http_request_late_transform"
    made = stack.create("Ruleset", zoneId=ZONE, kind="zone", name="default", phase=phase, rules=[rule])
    found: Any = stack.client.rulesets.get(made.id, zone_id=ZONE)
    assert list(found.rules[0].action_parameters.headers) == ["X-Our_Own-Header"]
    assert stack.refresh(made)
    assert stack.diff(made, made.inputs | {"rules": [rule]}).changed == ()
