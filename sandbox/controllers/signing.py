"""Keys and certificates as cert-manager's CA and self-signed issuers make them: pure functions of what is asked for."""

import datetime
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..machines.watching import Object, each_of, part_of

_PEM: Final = serialization.Encoding.PEM
_CURVES: Final[Mapping[int, type[ec.EllipticCurve]]] = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}
_EXTENDED: Final = {
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
_DEFAULT_USAGES: Final = ["digital signature", "key encipherment"]
_NINETY_DAYS: Final = "2160h"
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class SigningError(Exception):
    """It cannot be signed; the message says why."""


@dataclass(frozen=True)
class KeyPair:
    """A CA: its certificates, its own first, and its key."""

    chain: list[x509.Certificate]
    key: Key


@dataclass(frozen=True)
class Issued:
    """PEM of a certificate with its chain, of its key, and of the CA; from when to when it is good."""

    chain: str
    key: str
    authority: str
    not_before: datetime.datetime
    not_after: datetime.datetime


def read_pair(secret: Object) -> KeyPair:
    """The CA in a Secret.

    Raises:
        SigningError: it holds none.
    """
    data: dict[str, str] = secret.get("data") or {}
    name = secret["metadata"]["name"]
    if missing := [key for key in ("tls.crt", "tls.key") if not data.get(key)]:
        raise SigningError(f'secret "{name}" has no {" and no ".join(missing)}')
    text = b64decode(data["tls.crt"]) + b"\n" + b64decode(data.get("ca.crt", ""))
    try:
        chain = list(dict.fromkeys(x509.load_pem_x509_certificates(text)))
        key = serialization.load_pem_private_key(b64decode(data["tls.key"]), None)
    except ValueError as error:
        raise SigningError(f'secret "{name}": {error}') from error
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)):
        raise SigningError(f'secret "{name}": its key cannot sign')
    if key.public_key() != chain[0].public_key():
        raise SigningError(f'secret "{name}": the key is not that of the certificate')
    try:
        signs = chain[0].extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        signs = False
    if not signs:
        raise SigningError(f'secret "{name}": signing certificate is not a CA')
    return KeyPair(chain, key)


def issue(spec: Object, signer: KeyPair | None, key: Key | None = None) -> Issued:
    """A certificate as a Certificate's spec asks for it.

    Args:
        spec: Of the Certificate.
        signer: Who signs; None signs itself.
        key: Its key, when it keeps the one that it has.

    Raises:
        SigningError: what is asked for makes no certificate, or the signer's ends before.
    """
    asked = part_of(spec, "privateKey")
    key = key or _new_key(asked)
    names = _names(spec)
    if not names and not spec.get("commonName") and not spec.get("subject"):
        raise SigningError("at least one of commonName, dnsNames, uris, ipAddresses or emailAddresses must be set")
    begin = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    end = begin + duration(spec.get("duration") or _NINETY_DAYS)
    subject = _subject(spec)
    issuer, signing = (signer.chain[0].subject, signer.key) if signer else (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=bool(spec.get("isCA")), path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    builder = _with_usages(builder, spec)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not list(subject))
    leaf = builder.sign(signing, None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    others = signer.chain if signer else []
    roots = [each for each in others if each.issuer == each.subject]
    # As cert-manager: the chain is sent without the root, which whoever trusts it has already.
    chain = [leaf, *(each for each in others if each not in roots)]
    return Issued(_pem(*chain), _key_pem(key, asked), _pem((roots or others or [leaf])[-1]), begin, end)


def read_key(text: bytes) -> Key | None:
    """A key, to be kept; None when it is none that would be made."""
    try:
        found = serialization.load_pem_private_key(text, None)
    except ValueError:
        return None
    known = (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)
    return found if isinstance(found, known) else None


def duration(text: str) -> datetime.timedelta:
    """``2160h``, ``48h30m``.

    Raises:
        SigningError: it is no such text.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise SigningError(f"{text!r} is no duration, such as 2160h")
    return datetime.timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


def renewal(spec: Object, issued_from: datetime.datetime, until: datetime.datetime) -> datetime.datetime:
    """When it is renewed: ``renewBefore`` its end, or after two thirds of its time."""
    if before := spec.get("renewBefore"):
        return until - duration(before)
    return issued_from + (until - issued_from) * 2 / 3


def _new_key(asked: Object) -> Key:
    algorithm, size = asked.get("algorithm") or "RSA", asked.get("size")
    if algorithm == "ECDSA" and (size or 256) in _CURVES:
        return ec.generate_private_key(_CURVES[size or 256]())
    if algorithm == "RSA" and 2048 <= (size or 2048) <= 8192:
        return rsa.generate_private_key(65537, size or 2048)
    if algorithm == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    raise SigningError(f"privateKey: {algorithm} of size {size} is none that cert-manager makes")


def _key_pem(key: Key, asked: Object) -> str:
    traditional = (asked.get("encoding") or "PKCS1") == "PKCS1" and not isinstance(key, ed25519.Ed25519PrivateKey)
    form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
    return key.private_bytes(_PEM, form, serialization.NoEncryption()).decode()


def _subject(spec: Object) -> x509.Name:
    parts: list[x509.NameAttribute[str]] = []
    given = part_of(spec, "subject")
    for field, oid in (
        ("countries", NameOID.COUNTRY_NAME),
        ("organizations", NameOID.ORGANIZATION_NAME),
        ("organizationalUnits", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ):
        parts += [x509.NameAttribute(oid, str(value)) for value in each_of(given, field)]
    if name := spec.get("commonName"):
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    return x509.Name(parts)


def _names(spec: Object) -> list[x509.GeneralName]:
    def texts(field: str) -> list[str]:
        return [str(each) for each in each_of(spec, field)]

    try:
        return [
            *(x509.DNSName(each) for each in texts("dnsNames")),
            *(x509.IPAddress(ip_address(each)) for each in texts("ipAddresses")),
            *(x509.UniformResourceIdentifier(each) for each in texts("uris")),
            *(x509.RFC822Name(each) for each in texts("emailAddresses")),
        ]
    except ValueError as error:
        raise SigningError(str(error)) from error


def _with_usages(builder: x509.CertificateBuilder, spec: Object) -> x509.CertificateBuilder:
    usages: list[Any] = list(spec.get("usages") or _DEFAULT_USAGES)
    if spec.get("isCA"):
        usages.append("cert sign")
    builder = builder.add_extension(
        x509.KeyUsage(
            digital_signature="digital signature" in usages or "signing" in usages,
            content_commitment="content commitment" in usages,
            key_encipherment="key encipherment" in usages,
            data_encipherment="data encipherment" in usages,
            key_agreement="key agreement" in usages,
            key_cert_sign="cert sign" in usages,
            crl_sign="crl sign" in usages,
            encipher_only=False,
            decipher_only=False,
        ),
        critical=True,
    )
    extended = [oid for name, oid in _EXTENDED.items() if name in usages]
    return builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False) if extended else builder


def _pem(*certificates: x509.Certificate) -> str:
    return b"".join(each.public_bytes(_PEM) for each in certificates).decode()
