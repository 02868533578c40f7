"""Certificates that k3s makes at its start, signed by the CAs that it finds."""

import datetime
import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAYS: Final = 365


class Authority:
    """A CA: a chain of certificates (its own first) and its key, PEM files.

    Raises:
        ValueError, OSError: they are missing, or malformed.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self.path = certificate
        self.chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key.name} is no elliptic curve key")
        self._key = loaded

    def issue(
        self,
        certificate: Path,
        key: Path,
        common_name: str,
        *,
        organization: str = "",
        names: Sequence[str] = (),
    ) -> None:
        """Write a leaf for server and client use, with its chain, and its key (mode 0600)."""
        made = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(self.chain[0].subject)
            .public_key(made.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=_DAYS))
            .add_extension(x509.KeyUsage(True, False, True, False, False, False, False, False, False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(name) for name in names]), critical=False
            )
        leaf = builder.sign(self._key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        chain = b"".join(each.public_bytes(pem) for each in (leaf, *self.chain))
        secret = made.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        write_private(certificate, chain)
        write_private(key, secret)

    def signed(self, certificate: x509.Certificate) -> bool:
        """Whether this CA signed a certificate."""
        try:
            certificate.verify_directly_issued_by(self.chain[0])
        except Exception:
            return False
        return True

    @property
    def root_hash(self) -> str:
        """SHA-256 of the root's DER: what k3s's tokens name."""
        return self.chain[-1].fingerprint(hashes.SHA256()).hex()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
