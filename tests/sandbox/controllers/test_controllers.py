"""What the stand-ins of controllers do with the objects that a deployment waits for, good ones and bad ones."""

import contextlib
from base64 import b64decode, b64encode
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from sandbox.controllers.signing import issue
from sandbox.machines.api import ApiError

from .conftest import NAMESPACES, Cluster, Object

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

ISSUERS = "/apis/cert-manager.io/v1"
BUNDLES = "/apis/trust.cert-manager.io/v1alpha1/bundles"
TEMPLATES = "/apis/templates.gatekeeper.sh/v1/constrainttemplates"
CONSTRAINTS = "/apis/constraints.gatekeeper.sh/v1beta1"
EXTERNAL = "/apis/external-secrets.io/v1"


def authority(name: str) -> Object:
    """A Secret with a CA that signs itself."""
    made = issue({"commonName": name, "isCA": True, "privateKey": {"algorithm": "ECDSA"}}, None)
    texts = {"tls.crt": made.chain, "tls.key": made.key}
    return {"metadata": {"name": name}, "type": "kubernetes.io/tls", "stringData": texts}


def certificate(name: str, issuer: str, **more: Any) -> Object:
    spec = {"secretName": name, "commonName": f"{name}.example.com", "dnsNames": [f"{name}.example.com"]}
    reference = {"name": issuer, "kind": "ClusterIssuer"}
    key = {"algorithm": "ECDSA", "size": 256}
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name},
        "spec": {**spec, "issuerRef": reference, "privateKey": key, **more},
    }


def issuer(name: str, spec: Object, kind: str = "ClusterIssuer") -> Object:
    return {"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def read(secret: Object, key: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(b64decode(secret["data"][key]))


# -- cert-manager


def test_a_certificate_is_signed_by_the_ca_of_its_issuer_and_again_when_it_changes(defined: Cluster) -> None:
    place = defined.namespace("signed")
    defined.ask("POST", f"{NAMESPACES}/cert-manager/secrets", authority("internal"))
    defined.ask("POST", f"{ISSUERS}/clusterissuers", issuer("internal", {"ca": {"secretName": "internal"}}))
    path = f"{ISSUERS}/namespaces/signed/certificates"
    defined.ask("POST", path, certificate("web", "internal", duration="48h"))
    assert defined.until_condition(f"{ISSUERS}/clusterissuers/internal", "Ready")["reason"] == "KeyPairVerified"
    defined.until_condition(f"{path}/web", "Ready")
    secret = defined.ask("GET", f"{place}/secrets/web")
    assert secret["type"] == "kubernetes.io/tls"
    assert secret["metadata"]["labels"]["sandbox/stand-in"] == "cert-manager"
    (leaf,), (root,) = read(secret, "tls.crt"), read(secret, "ca.crt")
    leaf.verify_directly_issued_by(root)
    assert root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "internal"
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds() == 48 * 3600
    key = serialization.load_pem_private_key(b64decode(secret["data"]["tls.key"]), None)
    assert key.public_key() == leaf.public_key()
    status = defined.ask("GET", f"{path}/web")["status"]
    assert (status["revision"], status["notAfter"]) == (1, leaf.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"))

    defined.merge(f"{path}/web", {"spec": {"dnsNames": ["other.example.com"]}})

    def renewed() -> list[str]:
        (found,) = read(defined.ask("GET", f"{place}/secrets/web"), "tls.crt")
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.DNSName)

    defined.until(lambda: renewed() == ["other.example.com"])
    defined.until(lambda: defined.ask("GET", f"{path}/web")["status"]["revision"] == 2)


def test_a_ca_below_a_ca_signs_with_its_whole_chain(defined: Cluster) -> None:
    place = defined.namespace("below")
    defined.ask("POST", f"{place}/secrets", authority("top"))
    here = f"{ISSUERS}/namespaces/below"
    defined.ask("POST", f"{here}/issuers", issuer("top", {"ca": {"secretName": "top"}}, "Issuer"))
    own = {"kind": "Issuer"}
    middle = certificate("middle", "top", isCA=True, issuerRef={"name": "top", **own})
    defined.ask("POST", f"{here}/certificates", middle)
    defined.ask("POST", f"{here}/issuers", issuer("middle", {"ca": {"secretName": "middle"}}, "Issuer"))
    defined.ask("POST", f"{here}/certificates", certificate("leaf", "middle", issuerRef={"name": "middle", **own}))
    defined.until_condition(f"{here}/certificates/leaf", "Ready")
    secret = defined.ask("GET", f"{place}/secrets/leaf")
    leaf, between = read(secret, "tls.crt")
    (root,) = read(secret, "ca.crt")
    leaf.verify_directly_issued_by(between)
    between.verify_directly_issued_by(root)


def test_an_issuer_without_its_ca_is_not_ready_until_it_comes(defined: Cluster) -> None:
    defined.namespace("orphan")
    defined.ask("POST", f"{ISSUERS}/clusterissuers", issuer("late", {"ca": {"secretName": "late"}}))
    path = f"{ISSUERS}/namespaces/orphan/certificates"
    defined.ask("POST", path, certificate("web", "late"))
    said = defined.until_condition(f"{ISSUERS}/clusterissuers/late", "Ready", "False")
    assert said["reason"] == "ErrGetKeyPair"
    assert 'secrets "late" not found' in said["message"]
    assert defined.until_condition(f"{path}/web", "Ready", "False")["reason"] == "IssuerNotReady"
    # In the issuer's own namespace it is the wrong place: a ClusterIssuer looks in cert-manager's.
    defined.ask("POST", f"{NAMESPACES}/cert-manager/secrets", authority("late"))
    defined.until_condition(f"{path}/web", "Ready")


def test_a_leaf_is_no_ca(defined: Cluster) -> None:
    made = issue({"commonName": "leaf"}, None)
    texts = {"tls.crt": made.chain, "tls.key": made.key}
    secret = {"metadata": {"name": "leaf"}, "type": "kubernetes.io/tls", "stringData": texts}
    defined.ask("POST", f"{NAMESPACES}/cert-manager/secrets", secret)
    defined.ask("POST", f"{ISSUERS}/clusterissuers", issuer("leaf", {"ca": {"secretName": "leaf"}}))
    said = defined.until_condition(f"{ISSUERS}/clusterissuers/leaf", "Ready", "False")
    assert "not a CA" in said["message"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("nobody", {"issuerRef": {"name": "nobody", "kind": "ClusterIssuer"}}, "Referenced ClusterIssuer 'nobody'"),
        ("nothing", {"commonName": "", "dnsNames": []}, "at least one of commonName, dnsNames"),
        ("forever", {"duration": "always"}, "'always' is no duration"),
        ("small", {"privateKey": {"algorithm": "RSA", "size": 512}}, "RSA of size 512"),
    ],
)
def test_a_certificate_that_cannot_be_issued_says_why(
    defined: Cluster, name: str, change: Object, message: str
) -> None:
    defined.namespace(f"bad-{name}")
    path = f"{ISSUERS}/clusterissuers/self-signed"
    if defined.find(path) is None:
        defined.ask("POST", f"{ISSUERS}/clusterissuers", issuer("self-signed", {"selfSigned": {}}))
    defined.until_condition(path, "Ready")
    place = f"{ISSUERS}/namespaces/bad-{name}/certificates"
    defined.ask("POST", place, certificate(name, "self-signed", **change))
    assert message in defined.until_condition(f"{place}/{name}", "Ready", "False")["message"]
    assert defined.find(f"{NAMESPACES}/bad-{name}/secrets/{name}") is None


def test_acme_is_never_ready_here_and_says_so(defined: Cluster) -> None:
    defined.ask("POST", f"{ISSUERS}/clusterissuers", issuer("acme", {"acme": {"server": "https://acme.example.com"}}))
    said = defined.until_condition(f"{ISSUERS}/clusterissuers/acme", "Ready", "False")
    assert said["reason"] == "ErrRegisterACMEAccount"
    assert "the sandbox reaches no ACME server" in said["message"]


# -- trust-manager


def test_a_bundle_is_in_every_namespace_that_it_is_for(defined: Cluster) -> None:
    defined.namespace("trusting", trust="yes")
    defined.namespace("others")
    target = {"configMap": {"key": "ca.crt"}, "namespaceSelector": {"matchLabels": {"trust": "yes"}}}
    sources = [{"inLine": "first"}, {"configMap": {"name": "roots", "key": "more"}}]
    bundle = {
        "apiVersion": "trust.cert-manager.io/v1alpha1",
        "kind": "Bundle",
        "metadata": {"name": "anchors"},
        "spec": {"sources": sources, "target": target},
    }
    defined.ask("POST", BUNDLES, bundle)
    said = defined.until_condition(f"{BUNDLES}/anchors", "Synced", "False")
    assert (said["reason"], "roots" in said["message"]) == ("SourceNotFound", True)
    roots = {"metadata": {"name": "roots"}, "data": {"more": "second"}}
    defined.ask("POST", f"{NAMESPACES}/cert-manager/configmaps", roots)
    defined.until_condition(f"{BUNDLES}/anchors", "Synced")
    made = defined.ask("GET", f"{NAMESPACES}/trusting/configmaps/anchors")
    assert made["data"] == {"ca.crt": "first\nsecond\n"}
    assert defined.find(f"{NAMESPACES}/others/configmaps/anchors") is None
    # A namespace that comes later has it too; one that is not meant any more loses it.
    defined.namespace("later", trust="yes")
    defined.until(lambda: defined.find(f"{NAMESPACES}/later/configmaps/anchors"))
    defined.merge(f"{NAMESPACES}/later", {"metadata": {"labels": {"trust": None}}})
    defined.until_gone(f"{NAMESPACES}/later/configmaps/anchors")


# -- Gatekeeper


def template(name: str, kind: str) -> Object:
    schema = {"type": "object", "properties": {"allowed": {"type": "array", "items": {"type": "string"}}}}
    crd = {"spec": {"names": {"kind": kind}, "validation": {"openAPIV3Schema": schema}}}
    targets = [{"target": "admission.k8s.gatekeeper.sh", "rego": "package it\n"}]
    return {
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": name},
        "spec": {"crd": crd, "targets": targets},
    }


def constraint(kind: str, allowed: Any) -> Object:
    spec = {"enforcementAction": "dryrun", "match": {"kinds": [{"kinds": ["Pod"]}]}, "parameters": {"allowed": allowed}}
    return {"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind, "metadata": {"name": "it"}, "spec": spec}


def test_a_template_makes_the_kind_of_its_constraints(defined: Cluster) -> None:
    defined.ask("POST", TEMPLATES, template("allowedimages", "AllowedImages"))
    defined.until(lambda: defined.ask("GET", f"{TEMPLATES}/allowedimages").get("status", {}).get("created"))
    definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/allowedimages.constraints.gatekeeper.sh"
    defined.until_condition(definition, "Established")

    def made() -> bool:
        # Established is a moment before it is served.
        with contextlib.suppress(ApiError):
            defined.ask("POST", f"{CONSTRAINTS}/allowedimages", constraint("AllowedImages", ["example.com/"]))
            return True
        return False

    defined.until(made)
    # Parameters are checked by the template's schema.
    bad = constraint("AllowedImages", "example.com/")
    bad["metadata"]["name"] = "bad"
    assert "spec.parameters.allowed" in defined.refusal(f"{CONSTRAINTS}/allowedimages", bad)
    defined.ask("DELETE", f"{TEMPLATES}/allowedimages")
    defined.until_gone(definition)


def test_a_template_whose_name_is_not_its_kinds_is_refused(defined: Cluster) -> None:
    defined.ask("POST", TEMPLATES, template("othername", "AllowedRepositories"))
    status = defined.until(lambda: defined.ask("GET", f"{TEMPLATES}/othername").get("status"))
    assert status["created"] is False
    assert "not equal to the lowercase of CRD's Kind" in status["byPod"][0]["errors"][0]["message"]


# -- External Secrets


def store(provider: Object) -> Object:
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "SecretStore",
        "metadata": {"name": "tenant"},
        "spec": {"provider": provider},
    }


VAULT = {
    "vault": {
        "server": "https://vault.example.com",
        "auth": {"kubernetes": {"mountPath": "kubernetes", "serviceAccountRef": {"name": "secrets-reader"}}},
    }
}
EXTERNAL_SECRET = {
    "apiVersion": "external-secrets.io/v1",
    "kind": "ExternalSecret",
    "metadata": {"name": "app"},
    "spec": {
        "secretStoreRef": {"name": "tenant", "kind": "SecretStore"},
        "target": {"name": "app"},
        "data": [{"secretKey": "password", "remoteRef": {"key": "team/app", "property": "password"}}],
    },
}


def test_a_store_is_ready_and_what_is_fetched_is_a_placeholder(defined: Cluster) -> None:
    place = defined.namespace("fetching")
    here = f"{EXTERNAL}/namespaces/fetching"
    defined.ask("POST", f"{here}/externalsecrets", EXTERNAL_SECRET)
    said = defined.until_condition(f"{here}/externalsecrets/app", "Ready", "False")
    assert said["message"] == "could not get SecretStore 'tenant': not found"
    defined.ask("POST", f"{here}/secretstores", store(VAULT))
    said = defined.until_condition(f"{here}/secretstores/tenant", "Ready", "False")
    assert said["message"] == "ServiceAccount fetching/secrets-reader not found"
    defined.ask("POST", f"{place}/serviceaccounts", {"metadata": {"name": "secrets-reader"}})
    defined.until_condition(f"{here}/secretstores/tenant", "Ready")
    assert defined.until_condition(f"{here}/externalsecrets/app", "Ready")["reason"] == "SecretSynced"
    secret = defined.ask("GET", f"{place}/secrets/app")
    assert b64decode(secret["data"]["password"]) == b"placeholder-of-the-sandbox"
    assert secret["metadata"]["labels"]["sandbox/stand-in"] == "external-secrets"
    # What is deleted comes back, and all of it goes with the ExternalSecret.
    defined.ask("DELETE", f"{place}/secrets/app")
    defined.until(lambda: defined.find(f"{place}/secrets/app"))
    defined.ask("DELETE", f"{here}/externalsecrets/app")
    defined.until_gone(f"{place}/secrets/app")


@pytest.mark.parametrize(
    ("name", "provider", "message"),
    [
        ("none", {}, "exactly one provider must be configured, found: none"),
        ("two", {**VAULT, "aws": {"service": "SecretsManager"}}, "found: aws, vault"),
        (
            "ca",
            {"vault": {"caProvider": {"type": "ConfigMap", "name": "ca", "key": "ca.crt"}}},
            "ConfigMap store-ca/ca not found",
        ),
        (
            "key",
            {"aws": {"auth": {"secretRef": {"accessKeyIDSecretRef": {"name": "aws", "key": "id"}}}}},
            "Secret store-key/aws has no key 'id'",
        ),
    ],
)
def test_a_store_that_names_what_is_not_there_is_not_ready(
    defined: Cluster, name: str, provider: Object, message: str
) -> None:
    place = defined.namespace(f"store-{name}")
    data = {"other": b64encode(b"x").decode()}
    defined.ask("POST", f"{place}/secrets", {"metadata": {"name": "aws"}, "data": data})
    here = f"{EXTERNAL}/namespaces/store-{name}/secretstores"
    defined.ask("POST", here, store(provider))
    assert message in defined.until_condition(f"{here}/tenant", "Ready", "False")["message"]
