"""The secrets as real providers' code makes them."""

import base64
import datetime
from typing import Any

import pulumi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from components.secrets import SharedSecrets
from sandbox.inprocess import run
from sandbox.plugins.values import Secret

NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    def program() -> None:
        secrets = SharedSecrets("shared", {})
        for name, value in secrets.values.items():
            pulumi.export(name, value)
        for name, authority in secrets.authorities.items():
            pulumi.export(f"{name}_certificate", authority.certificate)
            pulumi.export(name, authority.private_key)

    return dict(run(program, project="test", stack="shared", preview=False, now=lambda: NOW).exports)


@pytest.mark.parametrize("name", ["data_ca", "mesh_trust_anchor", "origin_pull_ca"])
def test_an_authority_is_a_root_that_may_sign_intermediates_for_ten_years(made: dict[str, Any], name: str) -> None:
    root = x509.load_pem_x509_certificate(made[f"{name}_certificate"].encode())
    root.verify_directly_issued_by(root)
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca
    assert constraints.path_length is None
    assert root.not_valid_after_utc - root.not_valid_before_utc == datetime.timedelta(days=3650)
    key = load_pem_private_key(made[name].value.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    assert key.public_key() == root.public_key()


def test_values_are_secret_and_of_the_promised_size(made: dict[str, Any]) -> None:
    assert len(base64.b64decode(made["vault_seal_key"].value)) == 32
    assert len(made["archive_cipher"].value) == 64
    for name in ("replication", "rewind", "application"):
        assert isinstance(made[name], Secret)
        assert len(made[name].value) == 40
        assert made[name].value.isalnum()
