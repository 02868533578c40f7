"""Who signs in a cluster, whom its pods trust, and what happens when one of them is renewed."""

from collections.abc import Callable
from typing import Any

import jsonschema
import pulumi
import pytest
import yaml
from cryptography import x509

from components.certificates import (
    TRUST_LABEL,
    Acme,
    Certificates,
    acme_issuer,
    bundle,
    check,
    internal_issuer,
)
from components.certificates.issuers import flows
from components.layer import policies
from sandbox import inprocess
from sandbox.deployment import Deployment, DeploymentFailed
from sandbox.plugins.values import Secret
from tests import upstream
from tests.rules import flow_names
from tests.waiting import before

Golden = Callable[[str, str], None]

ACME: Acme = {"email": "certificates@example.com", "zone": "example.com", "token": "token"}
FIRST: Any = {"generations": [1], "signs": 1}


def deploy(**changes: Any) -> Deployment:
    def program() -> None:
        pin = {"repository": "oci://quay.io/jetstack/charts", "version": "v1.0.0"}
        arguments: Any = {"cluster": "fsn1", "charts": {"cert-manager": pin, "trust-manager": pin}, **changes}
        made = Certificates("certificates", arguments)
        pulumi.export("roots", made.roots)

    return inprocess.run(program, project="test", stack="test", preview=False, skipped=frozenset({"kubernetes"}))


@pytest.fixture(scope="module")
def deployed() -> Deployment:
    return deploy(acme=ACME)


def ca_secret(made: Deployment) -> dict[str, str]:
    """What the issuer signs with."""
    (state,) = [state for state in made.states if state.urn.endswith("::certificates-cert-manager-internal-ca-secret")]
    content = state.outputs["stringData"]
    assert isinstance(content, Secret)
    assert isinstance(content.value, dict)
    return {key: str(value) for key, value in content.value.items()}


def certificates(pem: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode())


def manifests() -> list[dict[str, Any]]:
    return [
        internal_issuer(),
        acme_issuer("certificates@example.com", "example.com"),
        bundle("-----BEGIN CERTIFICATE-----\n"),
    ]


def test_issuers_bundle_and_policies_are_as_reviewed(golden: Golden) -> None:
    golden("certificates/objects.yaml", yaml.safe_dump_all(manifests(), sort_keys=False))
    golden(
        "certificates/policies.yaml", yaml.safe_dump_all(policies("cert-manager", flows(acme=True)), sort_keys=False)
    )


DEFINITIONS = {
    "ClusterIssuer": "cert-manager/clusterissuers.cert-manager.io",
    "Bundle": "trust-manager/bundles.trust.cert-manager.io",
}


@pytest.mark.parametrize("manifest", manifests(), ids=lambda each: each["metadata"]["name"])
def test_custom_resources_fit_their_definitions(manifest: dict[str, Any]) -> None:
    schema = strict(upstream.versions(DEFINITIONS[manifest["kind"]])[manifest["apiVersion"].partition("/")[2]])
    jsonschema.validate(manifest, schema)
    with pytest.raises(jsonschema.ValidationError, match="surplus"):
        jsonschema.validate({**manifest, "spec": {**manifest["spec"], "surplus": True}}, schema)


def strict(schema: Any) -> Any:
    """With what Kubernetes would silently drop as an error."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if "properties" in made and "apiVersion" not in made["properties"]:
        made.setdefault("additionalProperties", False)
    return made


def test_a_chart_that_is_not_pinned_is_refused_before_anything_is_registered() -> None:
    pin = {"repository": "https://charts.example.com", "version": "1.0.0"}
    with pytest.raises(DeploymentFailed, match=r"charts\.trust-manager = None: is not pinned") as failure:
        deploy(charts={"cert-manager": pin})
    assert failure.value.deployment is not None
    assert [each.type for each in failure.value.deployment.resources] == ["pulumi:pulumi:Stack"]


def test_the_cas_certificate_is_signed_by_the_root_that_pods_trust(deployed: Deployment) -> None:
    chain, roots = certificates(ca_secret(deployed)["tls.crt"]), certificates(str(deployed.exports["roots"]))
    assert len(chain) == 2
    assert chain[1:] == roots == certificates(ca_secret(deployed)["ca.crt"])
    chain[0].verify_directly_issued_by(roots[0])
    limits = chain[0].extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 0)


def test_the_roots_key_never_enters_the_cluster(deployed: Deployment) -> None:
    root, signing = (key_of(deployed, name) for name in ("certificates-root-1-key", "certificates-ca-key"))
    found = {text for state in deployed.states if state.type.startswith("kubernetes:") for text in texts(state.outputs)}
    assert [text for text in found if root in text] == []
    # It would be found: the key of the CA below it is in the cluster.
    assert [text for text in found if signing in text] == [signing]


def key_of(made: Deployment, name: str) -> str:
    """A private key, PEM."""
    (state,) = [state for state in made.states if state.urn.endswith(f"::{name}")]
    (pem,) = texts(state.outputs["privateKeyPem"])
    assert "PRIVATE KEY" in pem
    return pem


def texts(value: Any) -> list[str]:
    """Every text in what was made, secret or not."""
    if isinstance(value, Secret):
        return texts(value.value)
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    return [value] if isinstance(value, str) else []


def test_pods_trust_the_root_and_not_the_ca_that_changes(deployed: Deployment) -> None:
    spec = deployed.named("certificates-internal-ca-bundle").inputs["spec"]
    assert spec["sources"] == [{"inLine": deployed.exports["roots"]}]
    assert spec["target"]["namespaceSelector"] == {"matchLabels": dict(TRUST_LABEL)}


def test_a_new_root_is_trusted_before_it_signs() -> None:
    made = deploy(internal_ca={"generations": [1, 2], "signs": 1})
    first, second = certificates(str(made.exports["roots"]))
    assert first != second
    assert certificates(ca_secret(made)["ca.crt"]) == [first]
    after = deploy(internal_ca={"generations": [1, 2], "signs": 2})
    assert certificates(ca_secret(after)["ca.crt"]) == certificates(str(after.exports["roots"]))[1:]


def test_issuers_wait_for_the_webhook_that_looks_at_them(deployed: Deployment) -> None:
    def waits(name: str) -> set[str]:
        return before(deployed.resources, name)

    assert waits("certificates-internal-cluster-issuer") >= {"certificates-cert-manager"}
    assert waits("certificates-acme-cluster-issuer") >= {
        "certificates-cert-manager",
        "certificates-cert-manager-acme-cloudflare-secret",
    }
    assert waits("certificates-internal-ca-bundle") >= {"certificates-trust-manager"}
    assert waits("certificates-trust-manager") >= {"certificates-cert-manager"}


def test_without_acme_nothing_leaves_the_cluster() -> None:
    made = deploy()
    assert [each.name for each in made.resources if "acme" in each.name] == []
    assert flow_names(policies("cert-manager", flows(acme=False))) == {
        "dns",
        "to-api-server",
        "webhooks",
        "metrics",
    }


def test_the_token_is_in_a_secret_alone(deployed: Deployment) -> None:
    secret = deployed.named("certificates-cert-manager-acme-cloudflare-secret")
    assert secret.inputs["stringData"] == "[secret]"
    issuer = deployed.named("certificates-acme-cluster-issuer").inputs["spec"]["acme"]
    assert issuer["solvers"][0]["dns01"]["cloudflare"]["apiTokenSecretRef"] == {
        "name": "acme-cloudflare",
        "key": "token",
    }
    assert issuer["solvers"][0]["selector"] == {"dnsZones": ["example.com"]}


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"internal_ca": {"generations": [], "signs": 1}}, ["internal_ca.generations", "internal_ca.signs"]),
        ({"internal_ca": {"generations": [1, 1], "signs": 1}}, ["internal_ca.generations"]),
        ({"internal_ca": {"generations": [0], "signs": 0}}, ["internal_ca.generations"]),
        ({"internal_ca": {"generations": [1], "signs": 2}}, ["internal_ca.signs"]),
        ({"acme": {**ACME, "email": "nobody"}}, ["acme.email"]),
        ({"acme": {**ACME, "zone": "com"}}, ["acme.zone"]),
        ({"acme": {**ACME, "directory": "http://acme.example.com"}}, ["acme.directory"]),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(changes: dict[str, Any], keys: list[str]) -> None:
    with pytest.raises(DeploymentFailed) as refused:
        deploy(**changes)
    assert [line.split()[1] for line in str(refused.value).splitlines()[1:]] == keys
    assert refused.value.deployment is not None
    assert [resource.name for resource in refused.value.deployment.resources if resource.parent] == []


def test_good_settings_have_no_problem() -> None:
    assert check(FIRST, ACME) == []
    assert check(FIRST, None) == []
