"""Join tokens and the kubeconfig: what k3s and its clients expect."""

import base64
import hashlib
import ssl

import pytest
import yaml

from components.cluster import kubeconfig, tokens
from tests.unit.cluster.test_readiness import authority


def test_the_token_carries_the_hash_of_the_roots_der() -> None:
    root, _ = authority()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(root)).hexdigest()
    assert tokens.server_token(root, "secret") == f"K10{digest}::server:secret"
    assert tokens.agent_token(root, "other") == f"K10{digest}::node:other"


@pytest.mark.parametrize("count", [0, 2])
def test_anything_but_one_certificate_is_refused(count: int) -> None:
    root, _ = authority()
    with pytest.raises(ValueError, match=f"found {count}"):
        tokens.ca_hash(root * count)


@pytest.mark.parametrize(
    ("address", "url"),
    [("k8s.example.com", "https://k8s.example.com:6443"), ("127.0.0.1:7443", "https://127.0.0.1:7443")],
)
def test_the_kubeconfig_connects_to_one_address_and_checks_another_name(address: str, url: str) -> None:
    endpoint = kubeconfig.Endpoint(address, "k8s-fsn1.example.com")
    config = yaml.safe_load(kubeconfig.render("fsn1", endpoint, "ca", "certificate", "key"))
    assert config["clusters"][0]["cluster"] == {
        "server": url,
        "tls-server-name": "k8s-fsn1.example.com",
        "certificate-authority-data": base64.b64encode(b"ca").decode(),
    }
    assert config["current-context"] == "fsn1"
