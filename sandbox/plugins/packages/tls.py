"""The tls provider: real keys, requests and certificates."""

# cryptography's stubs name the allowed hashes one by one, and a TypedDict takes no union.
# pyright: reportArgumentType=false, reportOperatorIssue=false, reportUnknownVariableType=false, reportUnnecessaryComparison=false

import base64
import datetime
import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final, TypeAlias, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..check import Failure
from ..package import EVERYTHING, Change, Created, Kind, Package, ProviderError, Read, Target, kind, text
from ..values import Properties, Unknown, Value

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P224": ec.SECP224R1(),
    "P256": ec.SECP256R1(),
    "P384": ec.SECP384R1(),
    "P521": ec.SECP521R1(),
}
_KEY_USAGES: Final = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}
_EXTENDED_USAGES: Final = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
}
_NAMES: Final = {
    "commonName": NameOID.COMMON_NAME,
    "country": NameOID.COUNTRY_NAME,
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "locality": NameOID.LOCALITY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "postalCode": NameOID.POSTAL_CODE,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
}
_PRIVATE_KEY: Final = "tls:index/privateKey:PrivateKey"
_REQUEST: Final = "tls:index/certRequest:CertRequest"
_SELF_SIGNED: Final = "tls:index/selfSignedCert:SelfSignedCert"
_LOCALLY_SIGNED: Final = "tls:index/locallySignedCert:LocallySignedCert"


class Tls(Package):
    """``pulumi_tls``: private keys (RSA, ECDSA, ED25519), requests, self-signed and locally signed certificates."""

    name = "tls"
    kinds: ClassVar[Mapping[str, Kind]] = {
        _PRIVATE_KEY: kind(EVERYTHING),
        _REQUEST: kind(EVERYTHING),
        _SELF_SIGNED: kind(EVERYTHING, "!earlyRenewalHours"),
        _LOCALLY_SIGNED: kind(EVERYTHING, "!earlyRenewalHours"),
    }

    def check_more(self, target: Target, inputs: Properties) -> list[Failure]:
        failures: list[Failure] = []
        if target.token == _PRIVATE_KEY:
            failures += _one_of(inputs, "algorithm", ("RSA", "ECDSA", "ED25519"))
            failures += _one_of(inputs, "ecdsaCurve", tuple(_CURVES))
        uses = inputs.get("allowedUses")
        if isinstance(uses, list):
            known = {*_KEY_USAGES, *_EXTENDED_USAGES}
            failures += [
                Failure(f"allowedUses[{index}]", f"unknown use {use!r}; known: {', '.join(sorted(known))}")
                for index, use in enumerate(uses)
                if isinstance(use, str) and use not in known
            ]
        return failures

    def diff(self, target: Target, old: Properties, new: Properties, outputs: Properties) -> Change:
        change = super().diff(target, old, new, outputs)
        if target.token in (_SELF_SIGNED, _LOCALLY_SIGNED) and self._ready_for_renewal(new, outputs):
            return Change((*change.changed, "readyForRenewal"), (*change.replaces, "readyForRenewal"))
        return change

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        current = super().read(target, id, inputs, outputs)
        if current is not None and "readyForRenewal" in current.outputs:
            ready = self._ready_for_renewal(current.outputs, current.outputs)
            return replace(current, outputs=current.outputs | {"readyForRenewal": ready})
        return current

    def _ready_for_renewal(self, inputs: Properties, outputs: Properties) -> bool:
        early, end = inputs.get("earlyRenewalHours", 0), outputs.get("validityEndTime")
        if not isinstance(end, str) or not isinstance(early, int | float):
            return False
        return self.surroundings.now() >= datetime.datetime.fromisoformat(end) - datetime.timedelta(hours=early)

    def make(self, target: Target, inputs: Properties) -> Created:
        try:
            match target.token:
                case str(token) if token == _PRIVATE_KEY:
                    return _make_key(inputs)
                case str(token) if token == _REQUEST:
                    return _make_request(inputs)
                case str(token) if token == _SELF_SIGNED:
                    return self._make_self_signed(inputs)
                case str(token) if token == _LOCALLY_SIGNED:
                    return self._make_locally_signed(inputs)
                case _:
                    raise ProviderError(f"the sandbox's tls plugin does not make {target.token}")
        except ValueError as error:
            raise ProviderError(f"{target.token} {target.name!r}: {error}") from error

    def _make_self_signed(self, inputs: Properties) -> Created:
        key = _load_key(inputs)
        public = key.public_key()
        names = _alternative_names(inputs)
        subject = _subject(inputs)
        builder = self._builder(inputs, subject=subject, issuer=subject, public=public, names=names)
        if inputs.get("setAuthorityKeyId"):
            builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        certificate = builder.sign(key, _hash_for(key))
        return self._signed(inputs, certificate) | {"keyAlgorithm": _algorithm(public)}

    def _make_locally_signed(self, inputs: Properties) -> Created:
        request = x509.load_pem_x509_csr(text(inputs["certRequestPem"]).encode())
        if not request.is_signature_valid:
            raise ProviderError("certRequestPem carries a signature that its key did not make")
        authority = x509.load_pem_x509_certificate(text(inputs["caCertPem"]).encode())
        key = _load_key(inputs, "caPrivateKeyPem")
        if key.public_key() != authority.public_key():
            raise ProviderError("caPrivateKeyPem is not the key of caCertPem")
        builder = self._builder(
            inputs,
            subject=request.subject,
            issuer=authority.subject,
            public=cast("PublicKey", request.public_key()),
            names=_requested_names(request),
        )
        identifier = _subject_key_identifier(authority)
        if identifier is not None:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
            )
        certificate = builder.sign(key, _hash_for(key))
        return self._signed(inputs, certificate) | {"caKeyAlgorithm": _algorithm(key.public_key())}

    def _builder(
        self,
        inputs: Properties,
        *,
        subject: x509.Name,
        issuer: x509.Name,
        public: PublicKey,
        names: list[x509.GeneralName],
    ) -> x509.CertificateBuilder:
        start = self.surroundings.now().replace(microsecond=0)
        is_authority = bool(inputs.get("isCaCertificate"))
        depth = inputs.get("maxPathLength")
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(hours=float(str(inputs["validityPeriodHours"]))))
            .add_extension(
                x509.BasicConstraints(is_authority, int(str(depth)) if is_authority and depth is not None else None),
                critical=True,
            )
        )
        if is_authority or inputs.get("setSubjectKeyId"):
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _with_uses(builder, [text(use) for use in cast("list[Value]", inputs["allowedUses"])])

    def _signed(self, inputs: Properties, certificate: x509.Certificate) -> "_Signed":
        outputs = inputs | {
            "certPem": certificate.public_bytes(serialization.Encoding.PEM).decode(),
            "validityStartTime": _rfc3339(certificate.not_valid_before_utc),
            "validityEndTime": _rfc3339(certificate.not_valid_after_utc),
            "isCaCertificate": bool(inputs.get("isCaCertificate")),
            "setSubjectKeyId": bool(inputs.get("setSubjectKeyId")),
            "earlyRenewalHours": inputs.get("earlyRenewalHours", 0),
        }
        outputs["readyForRenewal"] = self._ready_for_renewal(outputs, outputs)
        return _Signed(str(certificate.serial_number), outputs)


class _Signed(Created):
    def __or__(self, more: Properties) -> Created:
        return Created(self.id, self.outputs | more)


def _one_of(inputs: Properties, name: str, allowed: tuple[str, ...]) -> list[Failure]:
    given = inputs.get(name)
    if given is None or isinstance(given, Unknown) or given in allowed:
        return []
    return [Failure(name, f"must be one of {', '.join(allowed)}, not {given!r}")]


def _make_key(inputs: Properties) -> Created:
    key = _generate(inputs)
    public = key.public_key()
    public_pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    traditional = (
        serialization.PrivateFormat.PKCS8
        if isinstance(key, ed25519.Ed25519PrivateKey)
        else serialization.PrivateFormat.TraditionalOpenSSL
    )
    outputs: Properties = inputs | {
        "privateKeyPem": _private_pem(key, traditional),
        "privateKeyPemPkcs8": _private_pem(key, serialization.PrivateFormat.PKCS8),
        "publicKeyPem": public_pem.decode(),
        "privateKeyOpenssh": "",
        "publicKeyOpenssh": "",
        "publicKeyFingerprintMd5": "",
        "publicKeyFingerprintSha256": "",
    }
    if not (isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == ec.SECP224R1.name):  # OpenSSH lacks P-224
        outputs |= _openssh(key)
    return Created(hashlib.sha1(public_pem, usedforsecurity=False).hexdigest(), outputs)


def _generate(inputs: Properties) -> PrivateKey:
    match inputs["algorithm"]:
        case "ECDSA":
            return ec.generate_private_key(_CURVES[str(inputs.get("ecdsaCurve", "P224"))])
        case "ED25519":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return rsa.generate_private_key(65537, int(str(inputs.get("rsaBits", 2048))))


def _private_pem(key: PrivateKey, form: serialization.PrivateFormat) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _openssh(key: PrivateKey) -> Properties:
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    blob = base64.b64decode(line.split()[1])
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return {
        "privateKeyOpenssh": _private_pem(key, serialization.PrivateFormat.OpenSSH),
        "publicKeyOpenssh": line.decode() + "\n",
        "publicKeyFingerprintMd5": ":".join(digest[index : index + 2] for index in range(0, len(digest), 2)),
        "publicKeyFingerprintSha256": "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("="),
    }


def _make_request(inputs: Properties) -> Created:
    key = _load_key(inputs)
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(inputs))
    names = _alternative_names(inputs)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, _hash_for(key)).public_bytes(serialization.Encoding.PEM)
    outputs = inputs | {"certRequestPem": pem.decode(), "keyAlgorithm": _algorithm(key.public_key())}
    return Created(hashlib.sha1(pem, usedforsecurity=False).hexdigest(), outputs)


def _load_key(inputs: Properties, name: str = "privateKeyPem") -> PrivateKey:
    pem = inputs.get(name) or inputs.get(f"{name}Wo")
    if pem is None:
        raise ProviderError(f"{name} is required and missing")
    key = serialization.load_pem_private_key(text(pem).encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise ProviderError(f"{name} is neither RSA nor ECDSA nor ED25519")
    return key


def _algorithm(public: PublicKey) -> str:
    if isinstance(public, rsa.RSAPublicKey):
        return "RSA"
    return "ECDSA" if isinstance(public, ec.EllipticCurvePublicKey) else "ED25519"


def _hash_for(key: PrivateKey) -> hashes.HashAlgorithm | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256:
        return hashes.SHA384() if key.key_size == 384 else hashes.SHA512()
    return hashes.SHA256()


def _subject(inputs: Properties) -> x509.Name:
    given = inputs.get("subject")
    if not isinstance(given, dict):
        return x509.Name([])
    names = [x509.NameAttribute(oid, text(given[name])) for name, oid in _NAMES.items() if name in given]
    for line in cast("list[Value]", given.get("streetAddresses", [])):
        names.append(x509.NameAttribute(NameOID.STREET_ADDRESS, text(line)))
    return x509.Name(names)


def _alternative_names(inputs: Properties) -> list[x509.GeneralName]:
    def given(name: str) -> list[str]:
        return [text(item) for item in cast("list[Value]", inputs.get(name, []))]

    return [
        *(x509.DNSName(name) for name in given("dnsNames")),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in given("ipAddresses")),
        *(x509.UniformResourceIdentifier(uri) for uri in given("uris")),
    ]


def _requested_names(request: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        return list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _subject_key_identifier(authority: x509.Certificate) -> x509.SubjectKeyIdentifier | None:
    try:
        return authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None


def _with_uses(builder: x509.CertificateBuilder, uses: list[str]) -> x509.CertificateBuilder:
    if any(use in _KEY_USAGES for use in uses):
        asserted = {argument: use in uses for use, argument in _KEY_USAGES.items()}
        builder = builder.add_extension(x509.KeyUsage(**asserted), critical=True)
    extended = [oid for use, oid in _EXTENDED_USAGES.items() if use in uses]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    return builder


def _rfc3339(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


PACKAGE = Tls
