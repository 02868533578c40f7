"""Whom proxies trust, who signs for them, and what a meshed namespace is given."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pulumi
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from components.layer import chart_values, policies, workloads
from components.mesh import (
    WEBHOOKS,
    Mesh,
    cluster_issuer,
    control_plane_flows,
    identity_issuer,
    mesh_flows,
    metrics_policy,
    trust_roots,
    webhook,
)
from components.problem import ProblemsError
from components.secrets import CertificateAuthority
from sandbox import inprocess
from sandbox.deployment import Deployment
from sandbox.plugins.values import Secret
from tests import upstream
from tests.unit.certificates.test_certificates import strict
from tests.waiting import before

VALUES = Path(__file__).resolve().parents[3] / "charts" / "values"
Golden = Callable[[str, str], None]
PIN = {"repository": "https://helm.linkerd.io/edge", "version": "2026.6.3"}
CHARTS = ("linkerd2-cni", "linkerd-crds", "linkerd-control-plane")
NOW = datetime.datetime.now(datetime.UTC)
NAME = "identity.linkerd.cluster.local"
PROXY = "web.orders-production.serviceaccount.identity.linkerd.cluster.local"


def deploy(
    regions: tuple[str, ...] = ("fsn1", "nbg1"), now: Callable[[], datetime.datetime] = lambda: NOW
) -> Deployment:
    """A mesh in each region below one anchor."""

    def program() -> None:
        anchor = CertificateAuthority("anchor", {"common_name": "root.linkerd.cluster.local"})
        for region in regions:
            Mesh(
                region,
                {
                    "region": region,
                    "charts": dict.fromkeys(CHARTS, PIN),  # pyright: ignore[reportArgumentType]
                    "anchor": anchor.certificate,
                    "anchor_key": anchor.private_key,
                },
            )
        pulumi.export("anchor", anchor.certificate)
        pulumi.export("anchor_key", anchor.private_key)

    kubernetes = frozenset({"kubernetes"})
    return inprocess.run(program, project="test", stack="test", preview=False, skipped=kubernetes, now=now)


@pytest.fixture(scope="module")
def deployed() -> Deployment:
    return deploy()


def ca_secret(made: Deployment, region: str) -> dict[str, str]:
    (state,) = [each for each in made.states if each.urn.endswith(f"::{region}-cert-manager-linkerd-identity-secret")]
    content = state.outputs["stringData"]
    assert isinstance(content, Secret)
    assert isinstance(content.value, dict)
    return {key: str(value) for key, value in content.value.items()}


def certificates(pem: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode())


def issue(name: str, issuer: x509.Certificate, key: Any, *, ca: bool, hours: int) -> tuple[x509.Certificate, Any]:
    """What cert-manager signs for Linkerd (a CA), and what Linkerd signs for a proxy (a leaf)."""
    own = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
    extended = [x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])]))
        .issuer_name(issuer.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(minutes=1))
        .not_valid_after(NOW + datetime.timedelta(hours=hours))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made, own


def proxy_of(made: Deployment, region: str) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """A proxy's certificate there, and what it sends beside it: the issuer and the intermediate."""
    secret = ca_secret(made, region)
    intermediate = certificates(secret["tls.crt"])[0]
    issuer, issuer_key = issue(
        NAME, intermediate, load_pem_private_key(secret["tls.key"].encode(), None), ca=True, hours=48
    )
    leaf, _ = issue(PROXY, issuer, issuer_key, ca=False, hours=24)
    return leaf, [issuer, intermediate]


def verify(leaf: x509.Certificate, sent: list[x509.Certificate], trusted: list[x509.Certificate]) -> None:
    verifier = PolicyBuilder().store(Store(trusted)).time(NOW).max_chain_depth(4)
    verifier.build_server_verifier(x509.DNSName(PROXY)).verify(leaf, sent)


@pytest.mark.parametrize("region", ["fsn1", "nbg1"])
def test_a_proxy_of_either_region_is_known_by_the_anchor(deployed: Deployment, region: str) -> None:
    verify(*proxy_of(deployed, region), certificates(str(deployed.exports["anchor"])))


def test_a_proxy_below_another_anchor_is_not(deployed: Deployment) -> None:
    other = certificates(str(deploy(("fsn1",)).exports["anchor"]))
    with pytest.raises(VerificationError):
        verify(*proxy_of(deployed, "fsn1"), other)


def test_a_proxy_that_does_not_send_the_intermediate_is_not(deployed: Deployment) -> None:
    leaf, (issuer, _) = proxy_of(deployed, "fsn1")
    with pytest.raises(VerificationError):
        verify(leaf, [issuer], certificates(str(deployed.exports["anchor"])))


def test_what_the_identity_issuer_makes_signs_nothing_that_signs(deployed: Deployment) -> None:
    """The intermediate allows one CA below it: a stolen issuer cannot make issuers."""
    secret = ca_secret(deployed, "fsn1")
    intermediate = certificates(secret["tls.crt"])[0]
    key = load_pem_private_key(secret["tls.key"].encode(), None)
    issuer, issuer_key = issue(NAME, intermediate, key, ca=True, hours=48)
    another, another_key = issue(NAME, issuer, issuer_key, ca=True, hours=48)
    leaf, _ = issue(PROXY, another, another_key, ca=False, hours=24)
    with pytest.raises(VerificationError):
        verify(leaf, [another, issuer, intermediate], certificates(str(deployed.exports["anchor"])))


def test_each_region_signs_with_a_key_of_its_own(deployed: Deployment) -> None:
    assert ca_secret(deployed, "fsn1")["tls.key"] != ca_secret(deployed, "nbg1")["tls.key"]


def test_the_intermediate_has_the_anchor_behind_it_and_lasts_two_years(deployed: Deployment) -> None:
    secret = ca_secret(deployed, "fsn1")
    intermediate, *rest = certificates(secret["tls.crt"])
    anchor = certificates(str(deployed.exports["anchor"]))
    assert rest == anchor == certificates(secret["ca.crt"])
    intermediate.verify_directly_issued_by(anchor[0])
    assert intermediate.not_valid_after_utc - intermediate.not_valid_before_utc == datetime.timedelta(days=730)
    limits = intermediate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 1)
    key = intermediate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_the_anchors_key_never_enters_the_cluster(deployed: Deployment) -> None:
    key = deployed.exports["anchor_key"]
    assert isinstance(key, Secret)
    assert "PRIVATE KEY" in str(key.value)
    stand = [each for state in deployed.states if state.type.startswith("kubernetes:") for each in texts(state.outputs)]
    assert [each for each in stand if str(key.value) in each] == []
    # What would have found it finds the intermediate's.
    assert [each for each in stand if ca_secret(deployed, "fsn1")["tls.key"] in each] != []


def texts(value: Any) -> list[str]:
    """Every text in it, secret or not."""
    if isinstance(value, Secret):
        return texts(value.value)
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    return [text for each in value for text in texts(each)] if isinstance(value, list) else [str(value)]


def test_proxies_trust_the_anchor_alone(deployed: Deployment) -> None:
    bundle = deployed.named("fsn1-linkerd-linkerd-identity-trust-roots-config-map").inputs["data"]
    assert bundle == {"ca-bundle.crt": deployed.exports["anchor"]}


def test_while_an_anchor_is_handed_over_proxies_trust_both() -> None:
    def program() -> None:
        anchors = [CertificateAuthority(name, {"common_name": name}) for name in ("new", "old")]
        Mesh(
            "fsn1",
            {
                "region": "fsn1",
                "charts": dict.fromkeys(CHARTS, PIN),  # pyright: ignore[reportArgumentType]
                "anchor": anchors[0].certificate,
                "anchor_key": anchors[0].private_key,
                "previous_anchor": anchors[1].certificate,
            },
        )

    made = inprocess.run(program, project="test", stack="test", preview=False, skipped=frozenset({"kubernetes"}))
    bundle = made.named("fsn1-linkerd-linkerd-identity-trust-roots-config-map").inputs["data"]
    names = [each.subject.rfc4514_string() for each in certificates(str(bundle["ca-bundle.crt"]))]
    assert names == ["CN=new", "CN=old"]


def test_the_control_plane_waits_for_its_certificates_the_plugin_and_the_definitions(deployed: Deployment) -> None:
    names = before(deployed.resources, "fsn1-linkerd-control-plane")
    assert {
        "fsn1-linkerd2-cni",
        "fsn1-linkerd-crds",
        "fsn1-linkerd-linkerd-identity-issuer-certificate",
        "fsn1-linkerd-linkerd-identity-trust-roots-config-map",
        *(f"fsn1-linkerd-{name}-certificate" for name in WEBHOOKS),
    } <= names


def test_proxies_rely_on_the_plugin_and_not_on_a_privileged_container(deployed: Deployment) -> None:
    """Or no pod of a restricted namespace could be in the mesh."""
    installed = deployed.named("fsn1-linkerd-control-plane", "kubernetes:helm.sh/v3:Release").inputs["values"]
    assert installed["cniEnabled"] is True


def test_the_chart_is_told_to_leave_certificates_and_trust_to_others() -> None:
    values = yaml.safe_load((VALUES / "linkerd-control-plane.yaml").read_text())
    assert values["identity"] == {"externalCA": True, "issuer": {"scheme": "kubernetes.io/tls"}}
    for part, name in zip(("proxyInjector", "profileValidator", "policyValidator"), WEBHOOKS, strict=True):
        assert values[part] == {"externalSecret": True, "injectCaFrom": f"linkerd/{name}"}
    assert "identityTrustAnchorsPEM" not in values


def test_every_component_of_the_control_plane_requests_something() -> None:
    values = yaml.safe_load((VALUES / "linkerd-control-plane.yaml").read_text())
    text = upstream.required("linkerd-control-plane/values.yaml").read_text()
    named = {
        line.lstrip("#").partition(":")[0]
        for line in text.splitlines()
        if line.lstrip("#").partition(":")[0].endswith("Resources")
    }
    ours = {name for name in named if not name.endswith("ProxyResources") and not name.startswith("heartbeat")}
    assert {name for name in ours if "request" not in values[name]["cpu"]} == set()


def test_the_preview_knows_what_the_control_plane_requests() -> None:
    found = {
        each.name: (each.replicas, each.cpu, each.memory) for each in workloads(CHARTS[2], chart_values(CHARTS[2]))
    }
    # Millicores and MiB of a pod, its proxy's 20 and 32 among them.
    assert found == {
        "linkerd-identity": (3, 30, 64),
        "linkerd-destination": (3, 70, 160),
        "linkerd-proxy-injector": (3, 40, 96),
    }


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_that_is_not_pinned_is_refused(chart: str) -> None:
    pins: Any = {name: PIN for name in CHARTS if name != chart}
    with pytest.raises(ProblemsError, match=rf"charts\.{chart} = None: is not pinned"):
        Mesh("mesh", {"region": "fsn1", "charts": pins, "anchor": "PEM", "anchor_key": "PEM"})


def manifests() -> list[dict[str, Any]]:
    return [
        cluster_issuer(),
        identity_issuer(),
        *(webhook(name, "internal") for name in WEBHOOKS),
        *metrics_policy("orders-production"),
    ]


DEFINITIONS = {
    "ClusterIssuer": "cert-manager/clusterissuers.cert-manager.io",
    "Certificate": "cert-manager/certificates.cert-manager.io",
    "Server": "linkerd-crds/servers.policy.linkerd.io",
    "NetworkAuthentication": "linkerd-crds/networkauthentications.policy.linkerd.io",
    "AuthorizationPolicy": "linkerd-crds/authorizationpolicies.policy.linkerd.io",
}


@pytest.mark.parametrize("manifest", manifests(), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_custom_resources_fit_their_definitions(manifest: dict[str, Any]) -> None:
    version = manifest["apiVersion"].partition("/")[2]
    schema = strict(upstream.versions(DEFINITIONS[manifest["kind"]])[version]["properties"]["spec"])
    # Without a look at the schema itself: that is Kubernetes' own, and would take seconds.
    fits = jsonschema.Draft202012Validator(schema)
    assert list(fits.iter_errors(manifest["spec"])) == []
    (error,) = fits.iter_errors({**manifest["spec"], "surplus": True})
    assert "surplus" in error.message


def test_objects_and_policies_are_as_reviewed(golden: Golden) -> None:
    golden("mesh/objects.yaml", yaml.safe_dump_all([*manifests(), trust_roots("PEM\n")], sort_keys=False))
    golden("mesh/control-plane.yaml", yaml.safe_dump_all(policies("linkerd", control_plane_flows()), sort_keys=False))
    meshed = policies("orders-production", mesh_flows())
    golden("mesh/namespace.yaml", yaml.safe_dump_all(meshed, sort_keys=False))
