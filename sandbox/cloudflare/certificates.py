"""Certificates: Cloudflare's origin CA, and client certificates for the origin."""

import datetime
import secrets
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .errors import check_types, invalid

Entry = dict[str, Any]

_VALIDITY: Final = (7, 30, 90, 365, 730, 1095, 5475)
_TYPES: Final = ("origin-rsa", "origin-ecc", "keyless-certificate")
_MOST_NAMES: Final = 200


class OriginCa:
    """A CA of the emulator's own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox origin CA")])

    def sign(self, body: Entry, now: datetime.datetime) -> Entry:
        """The certificate for a request.

        Raises:
            ApiError: the request is malformed.
        """
        check_types(
            body, {"requested_validity": (int, float), "csr": str, "request_type": str, "hostnames": list}, 1007
        )
        days = body.get("requested_validity") or 5475
        if days not in _VALIDITY:
            raise invalid(f"requested_validity must be one of {', '.join(map(str, _VALIDITY))} days", 1007)
        if body["request_type"] not in _TYPES:
            raise invalid(f"request_type must be one of {', '.join(_TYPES)}", 1007)
        if len(body["hostnames"]) > _MOST_NAMES:
            raise invalid(f"at most {_MOST_NAMES} hostnames", 1010)
        try:
            request = x509.load_pem_x509_csr(str(body["csr"]).encode())
        except ValueError as error:
            raise invalid("the csr is malformed", 1007) from error
        key: Any = request.public_key()
        is_rsa = not isinstance(key, ec.EllipticCurvePublicKey)
        if is_rsa != (body["request_type"] == "origin-rsa") and body["request_type"] != "keyless-certificate":
            raise invalid("the csr's key is of another kind than the request_type", 1007)
        until = now + datetime.timedelta(days=days)
        try:
            names = x509.SubjectAlternativeName([x509.DNSName(str(name)) for name in body["hostnames"]])
        except ValueError as error:
            raise invalid("hostnames must be ASCII; others in their punycode form", 1010) from error
        certificate = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(until)
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return {
            "id": str(secrets.randbits(150)),
            "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
            "csr": body["csr"],
            "expires_on": until.strftime("%Y-%m-%d %H:%M:%S +0000 UTC"),
            "hostnames": list(body["hostnames"]),
            "request_type": body["request_type"],
            "requested_validity": days,
        }


def describe_leaf(certificate: str, private_key: str) -> Entry:
    """What the API tells of a client certificate.

    Raises:
        ApiError: it is malformed, a CA's own, or not of this key.
    """
    try:
        leaf = x509.load_pem_x509_certificate(certificate.encode())
        key = serialization.load_pem_private_key(private_key.encode(), None)
    except (ValueError, TypeError) as error:
        raise invalid("certificate and private_key must be PEM", 1400) from error
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise invalid("the private key does not belong to the certificate", 1411)
    try:
        if leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise invalid("a leaf certificate is needed, not a CA's", 1406)
    except x509.ExtensionNotFound:
        pass
    return {
        "issuer": leaf.issuer.rfc4514_string(),
        "signature": "ECDSAWithSHA256",
        "serial_number": str(leaf.serial_number),
        "expires_on": leaf.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
    }
