"""Certificates that k3s makes when it starts, signed by the CAs that it finds, and the hash that its tokens name."""

import datetime
import hashlib
import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAYS: Final = 365
_CA_DAYS: Final = 3650
_PEM: Final = serialization.Encoding.PEM

SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH


class Authority:
    """A CA: a chain of certificates (its own first) and its key, PEM files ``<path>.crt`` and ``<path>.key``.

    Raises:
        ValueError, OSError: they are missing, or malformed.
    """

    def __init__(self, path: Path) -> None:
        self.certificate, self.key = path.with_name(f"{path.name}.crt"), path.with_name(f"{path.name}.key")
        self.chain = x509.load_pem_x509_certificates(self.certificate.read_bytes())
        loaded = serialization.load_pem_private_key(self.key.read_bytes(), None)
        if not isinstance(loaded, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
            raise ValueError(f"{self.key.name} is no key that k3s signs with")
        self._key = loaded

    @classmethod
    def found_or_made(cls, path: Path, name: str) -> "Authority":
        """The CA that was found, else a new one that signs itself, as k3s does for each pair that is missing."""
        if not path.with_name(f"{path.name}.crt").exists():
            _make_authority(path, name)
        return cls(path)

    def issue(
        self,
        path: Path,
        common_name: str,
        *,
        usages: Sequence[x509.ObjectIdentifier] = (CLIENT,),
        organization: str = "",
        names: Sequence[str] = (),
    ) -> x509.Certificate:
        """Write a leaf with its chain, ``<path>.crt``, and its key, ``<path>.key``, mode 0600.

        Args:
            usages: `SERVER`, `CLIENT` or both.
            names: Host names and addresses that it is for.
        """
        made = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization:
            subject.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        builder = (
            _builder(x509.Name(subject), self.chain[0].subject, made.public_key(), _DAYS)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(self._identifier(), critical=False)
        )
        if names:
            alternatives = [_name(name) for name in dict.fromkeys(names) if name]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        leaf = builder.sign(self._key, hashes.SHA256())
        write_private(
            path.with_name(f"{path.name}.crt"), b"".join(each.public_bytes(_PEM) for each in (leaf, *self.chain))
        )
        write_private(path.with_name(f"{path.name}.key"), _key_pem(made))
        return leaf

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        """As the CA says who it is: k3s issues a leaf again when the two differ."""
        try:
            own = self.chain[0].extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def bundle_hash(bundle: Sequence[x509.Certificate]) -> str:
    """What a token calls the CA: of one certificate the hash of its PEM file, of a chain that of its root's DER."""
    if len(bundle) == 1:
        return hashlib.sha256(bundle[0].public_bytes(_PEM)).hexdigest()
    root = next((each for each in bundle[1:] if each.issuer == each.subject), bundle[-1])
    return root.fingerprint(hashes.SHA256()).hex()


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate's DER."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def pem(certificates: Sequence[x509.Certificate]) -> str:
    """Certificates as one text."""
    return b"".join(each.public_bytes(_PEM) for each in certificates).decode()


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def make_key(path: Path) -> None:
    """Write a new key, mode 0600."""
    write_private(path, _key_pem(ec.generate_private_key(ec.SECP256R1())))


def _make_authority(path: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(subject, subject, key.public_key(), _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(path.with_name(f"{path.name}.crt"), certificate.public_bytes(_PEM))
    write_private(path.with_name(f"{path.name}.key"), _key_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
