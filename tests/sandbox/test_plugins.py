"""The plugins refuse what the SDK's own types do not know, and make what they claim."""

import datetime
from typing import Any

import pulumi
import pulumi_hcloud as hcloud
import pulumi_random as random
import pulumi_tls as tls
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hcloud import Client

from sandbox import inprocess
from sandbox.clouds import Access
from sandbox.deployment import Deployment, DeploymentFailed
from sandbox.hetzner.selectors import Selector, SelectorError
from sandbox.plugins.check import check_inputs
from sandbox.plugins.packages import open_package
from sandbox.plugins.schema import schema_of
from sandbox.plugins.values import UNKNOWN

SERVER = "hcloud:index/server:Server"


def failures(token: str, **inputs: Any) -> list[str]:
    return [str(failure) for failure in check_inputs(schema_of(token), inputs)]


def test_right_inputs_are_accepted() -> None:
    assert failures(SERVER, serverType="cx33", networks=[{"ip": "10.1.1.1", "aliasIps": []}], firewallIds=[1]) == []


def test_an_unknown_property_is_named_with_the_closest_known_one() -> None:
    (failure,) = failures(SERVER, serverType="cx33", immage="debian-13")
    assert "immage" in failure
    assert "image" in failure


def test_a_nested_unknown_property_is_named_with_its_path() -> None:
    (failure,) = failures(SERVER, serverType="cx33", publicNets=[{"ipv4Enabledd": True}])
    assert "publicNets[0].ipv4Enabledd" in failure
    assert "ipv4Enabled" in failure


def test_a_missing_property_is_named() -> None:
    assert any("serverType" in failure for failure in failures(SERVER, image="debian-13"))


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"serverType": 33}, "serverType"),
        ({"serverType": "cx33", "backups": "yes"}, "backups"),
        ({"serverType": "cx33", "firewallIds": ["one"]}, "firewallIds[0]"),
        ({"serverType": "cx33", "labels": ["a"]}, "labels"),
        ({"serverType": "cx33", "placementGroupId": 1.5}, "placementGroupId"),
    ],
)
def test_a_wrong_type_is_named(inputs: dict[str, Any], named: str) -> None:
    assert any(named in failure for failure in failures(SERVER, **inputs))


def test_what_is_not_known_yet_passes() -> None:
    assert failures(SERVER, serverType=UNKNOWN, firewallIds=[UNKNOWN]) == []


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_hetzner_token_has_64_characters(length: int) -> None:
    found = open_package("hcloud").check_config({"token": "x" * length} if length else {})
    assert any("token" in str(failure) for failure in found)


@pytest.mark.parametrize("token", ["short", "x" * 81, "x" * 39 + "!"])
def test_a_cloudflare_token_has_its_form(token: str) -> None:
    assert any("apiToken" in str(failure) for failure in open_package("cloudflare").check_config({"apiToken": token}))


def test_a_kubeconfig_is_one() -> None:
    assert any("kubeconfig" in str(f) for f in open_package("kubernetes").check_config({"kubeconfig": "nonsense"}))


def run(program: Any, *, preview: bool = False, **options: Any) -> Deployment:
    return inprocess.run(program, project="test", stack="dev", preview=preview, **options)


def test_certificates_are_real_and_chain_to_their_root() -> None:
    def program() -> None:
        provider = pulumi.ResourceOptions(provider=tls.Provider("tls"))
        key = tls.PrivateKey("root", algorithm="ECDSA", ecdsa_curve="P256", opts=provider)
        root = tls.SelfSignedCert(
            "root",
            private_key_pem=key.private_key_pem,
            subject={"common_name": "root"},
            is_ca_certificate=True,
            set_subject_key_id=True,
            allowed_uses=["cert_signing"],
            validity_period_hours=24,
            opts=provider,
        )
        leaf = tls.PrivateKey("leaf", algorithm="ECDSA", ecdsa_curve="P256", opts=provider)
        request = tls.CertRequest(
            "leaf", private_key_pem=leaf.private_key_pem, subject={"common_name": "leaf"}, opts=provider
        )
        signed = tls.LocallySignedCert(
            "leaf",
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=key.private_key_pem,
            ca_cert_pem=root.cert_pem,
            allowed_uses=["client_auth"],
            validity_period_hours=1,
            opts=provider,
        )
        pulumi.export("root", root.cert_pem)
        pulumi.export("leaf", signed.cert_pem)

    exports = run(program).exports
    root, leaf = (x509.load_pem_x509_certificate(str(exports[name]).encode()) for name in ("root", "leaf"))
    leaf.verify_directly_issued_by(root)
    assert isinstance(root.public_key(), ec.EllipticCurvePublicKey)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is True
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == datetime.timedelta(hours=1)


def test_secrets_stay_secret() -> None:
    def program() -> None:
        password = random.RandomPassword(
            "password", length=20, opts=pulumi.ResourceOptions(provider=random.Provider("random"))
        )
        pulumi.export("password", password.result)
        pulumi.export("given", pulumi.Output.secret("given"))

    deployment = run(program)
    assert deployment.outputs == {"password": "[secret]", "given": "[secret]"}


def test_a_hook_that_fails_creates_nothing_behind_it(access: Access, hetzner: Client) -> None:
    provider: list[pulumi.ProviderResource] = []

    def program() -> None:
        async def refuse(_: pulumi.ResourceHookArgs) -> None:
            raise RuntimeError("not ready")

        provider.append(hcloud.Provider("hcloud", token=access.token, endpoint=access.hetzner))
        hook = pulumi.ResourceHook("gate", refuse)
        opts = pulumi.ResourceOptions(provider=provider[0], hooks=pulumi.ResourceHookBinding(before_create=[hook]))
        first = hcloud.SshKey("first", name="first", public_key="ssh-ed25519 AAAA", opts=opts)
        hcloud.Network(
            "behind", ip_range="10.0.0.0/8", opts=pulumi.ResourceOptions(provider=provider[0], depends_on=[first])
        )

    with pytest.raises(DeploymentFailed, match="not ready"):
        run(program)
    assert hetzner.ssh_keys.get_all() == []
    assert hetzner.networks.get_all() == []


def test_hooks_are_not_asked_in_a_preview() -> None:
    asked: list[str] = []

    def program() -> None:
        hook = pulumi.ResourceHook("gate", lambda args: asked.append(args.name))
        binding = pulumi.ResourceHookBinding(before_create=[hook])
        random.RandomId(
            "id", byte_length=4, opts=pulumi.ResourceOptions(provider=random.Provider("random"), hooks=binding)
        )

    run(program, preview=True)
    assert asked == []
    run(program)
    assert asked == ["id"]


def test_a_resource_without_a_provider_is_refused_when_defaults_are_off() -> None:
    with pytest.raises(DeploymentFailed, match=r"[Dd]efault provider"):
        run(
            lambda: random.RandomId("id", byte_length=4) and None,
            config={"pulumi:disable-default-providers": '["*"]'},
        )


def test_a_stack_reference_to_nothing_is_an_unknown_stack() -> None:
    with pytest.raises(DeploymentFailed, match="unknown stack"):
        run(lambda: pulumi.StackReference("organization/test/other") and None)


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("", ["a", "b", "c"]),
        ("pool", ["a", "b"]),
        ("!pool", ["c"]),
        ("pool=x", ["a"]),
        ("pool==x,cluster=1", ["a"]),
        ("pool!=x", ["b", "c"]),
        ("pool in (x,y)", ["a", "b"]),
        ("pool notin (x)", ["b", "c"]),
    ],
)
def test_label_selectors(selector: str, found: list[str]) -> None:
    labels = {"a": {"pool": "x", "cluster": "1"}, "b": {"pool": "y"}, "c": {"cluster": "1"}}
    wanted = Selector(selector)
    assert [name for name, own in labels.items() if wanted.matches(own)] == found


@pytest.mark.parametrize("selector", ["=x", "pool in", "pool in (x", "a b", ","])
def test_a_malformed_selector_is_refused(selector: str) -> None:
    with pytest.raises(SelectorError, match="selector"):
        Selector(selector)
