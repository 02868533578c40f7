"""A stand-in for cert-manager: real keys and certificates from issuers of the kinds ca and selfSigned."""

import datetime
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final

from ..machines.watching import SECRET, Key, Kind, Object, Watching, key_of, part_of
from .signing import Issued, KeyPair, SigningError, issue, read_key, read_pair, renewal
from .stand_in import MADE_BY, StandIn, condition, digest, holds

ISSUER: Final = Kind("cert-manager.io/v1", "issuers", defined=True)
CLUSTER_ISSUER: Final = Kind("cert-manager.io/v1", "clusterissuers", namespaced=False, defined=True)
CERTIFICATE: Final = Kind("cert-manager.io/v1", "certificates", defined=True)

_OWN_NAMESPACE: Final = "cert-manager"
"""Where the Secrets of ClusterIssuers are: cert-manager's default ``--cluster-resource-namespace``."""
_SPEC: Final = "sandbox/spec"
"""Annotation with the digest of the spec that a certificate was issued for."""
_REVISION: Final = "sandbox/revision"
_CANNOT: Final = {
    "acme": ("ErrRegisterACMEAccount", "Failed to register ACME account: the sandbox reaches no ACME server"),
    "vault": ("VaultError", "Failed to initialize Vault client: the sandbox reaches no Vault"),
    "venafi": ("ErrorSetup", "the sandbox reaches no Venafi server"),
}


class Certificates(StandIn):
    """Issuers become ready or say why not; Certificates get their Secrets."""

    name: ClassVar = "cert-manager"

    def __init__(self, watching: Watching, say: Callable[[str], None]) -> None:
        super().__init__(watching, say)
        self._issuers = {kind: self.responsible_for(kind) for kind in (ISSUER, CLUSTER_ISSUER)}
        self._certificates = self.responsible_for(CERTIFICATE)
        self._secrets = self.depends_on(SECRET, self._of_secret)
        for kind in self._issuers:
            self.depends_on(kind, lambda issuer, kind=kind: self._of_issuer(kind, issuer))

    async def look(self, kind: Kind, object: Object) -> None:
        """Judge an issuer, or issue a certificate."""
        if kind is CERTIFICATE:
            await self._look_at_certificate(object)
        else:
            ready, reason, message, _ = self._judged(kind, object)
            conditions = condition(object, "Ready", holds=ready, reason=reason, message=message)
            await self.report(kind, object, {"conditions": conditions})

    # -- whom a change concerns

    def _of_secret(self, secret: Object) -> Iterator[tuple[Kind, Key]]:
        namespace, name = key_of(secret)
        for kind, issuers in self._issuers.items():
            for issuer in issuers:
                if (namespace, name) == self._signing_secret(kind, issuer):
                    yield kind, key_of(issuer)
        for certificate in self._certificates:
            if (namespace, name) == (key_of(certificate)[0], certificate["spec"].get("secretName")):
                yield CERTIFICATE, key_of(certificate)

    def _of_issuer(self, kind: Kind, issuer: Object) -> Iterator[tuple[Kind, Key]]:
        for certificate in self._certificates:
            found, key = _named_issuer(certificate)
            if found is kind and key == key_of(issuer):
                yield CERTIFICATE, key_of(certificate)

    # -- issuers

    @staticmethod
    def _signing_secret(kind: Kind, issuer: Object) -> Key:
        """Where the CA of an issuer is."""
        namespace = key_of(issuer)[0] if kind is ISSUER else _OWN_NAMESPACE
        return namespace, part_of(issuer["spec"], "ca").get("secretName", "")

    def _judged(self, kind: Kind, issuer: Object) -> tuple[bool, str, str, KeyPair | None]:
        """Whether an issuer is ready, the reason, what to say, and what it signs with."""
        spec = issuer["spec"]
        if "selfSigned" in spec:
            return True, "IsReady", "", None
        if "ca" not in spec:
            reason, message = next((told for type, told in _CANNOT.items() if type in spec), ("", ""))
            return False, reason or "ErrInitIssuer", message or "no configured issuer types found", None
        namespace, name = self._signing_secret(kind, issuer)
        secret = self._secrets.get(namespace, name)
        if secret is None:
            said = f'Error getting keypair for CA issuer: secrets "{name}" not found in {namespace}'
            return False, "ErrGetKeyPair", said, None
        try:
            return True, "KeyPairVerified", "Signing CA verified", read_pair(secret)
        except SigningError as error:
            return False, "ErrInvalidKeyPair", str(error), None

    # -- certificates

    async def _look_at_certificate(self, certificate: Object) -> None:
        kind, key = _named_issuer(certificate)
        issuer = self._issuers[kind].get(*key) if kind is not None else None
        secret = self._secrets.get(key_of(certificate)[0], certificate["spec"]["secretName"])
        if secret is not None and _is_current(certificate, secret):
            await self._report_ready(certificate, secret)
            return
        if kind is None or issuer is None or not holds(issuer):
            said = f"Referenced {part_of(certificate['spec'], 'issuerRef').get('kind') or 'Issuer'} {key[1]!r} is not ready"
            await self._report_failure(certificate, "IssuerNotReady" if issuer else "IssuerNotFound", said)
            return
        _, _, _, pair = self._judged(kind, issuer)
        if pair is None and "selfSigned" not in issuer["spec"]:
            # It was ready a moment ago: it will be heard of.
            return
        try:
            issued = issue(certificate["spec"], pair, _kept_key(certificate, secret))
        except SigningError as error:
            await self._report_failure(certificate, "Failed", str(error))
            return
        revision = int(part_of(secret["metadata"], "annotations").get(_REVISION, 0)) if secret else 0
        await self.apply(SECRET, _secret(certificate, issued, revision + 1))

    async def _report_ready(self, certificate: Object, secret: Object) -> None:
        times = part_of(secret["metadata"], "annotations")
        status: Object = {
            "revision": int(times.get(_REVISION, 1)),
            "notBefore": times.get(f"{_SPEC}-from"),
            "notAfter": times.get(f"{_SPEC}-until"),
            "renewalTime": times.get(f"{_SPEC}-renewal"),
            "conditions": condition(
                certificate,
                "Ready",
                holds=True,
                reason="Ready",
                message="Certificate is up to date and has not expired",
            ),
        }
        await self.report(CERTIFICATE, certificate, status)

    async def _report_failure(self, certificate: Object, reason: str, message: str) -> None:
        conditions = condition(certificate, "Ready", holds=False, reason=reason, message=message)
        await self.report(CERTIFICATE, certificate, {"conditions": conditions})


def _named_issuer(certificate: Object) -> tuple[Kind | None, Key]:
    reference = part_of(certificate["spec"], "issuerRef")
    name = reference.get("name", "")
    if (reference.get("group") or "cert-manager.io") != "cert-manager.io":
        return None, ("", name)
    if reference.get("kind") == "ClusterIssuer":
        return CLUSTER_ISSUER, ("", name)
    return ISSUER, (key_of(certificate)[0], name)


def _is_current(certificate: Object, secret: Object) -> bool:
    """Whether the Secret holds what the spec asks for, for a while yet."""
    known = part_of(secret["metadata"], "annotations")
    data = part_of(secret, "data")
    if known.get(_SPEC) != _digest(certificate) or not all(data.get(key) for key in ("tls.crt", "tls.key")):
        return False
    return _time(datetime.datetime.now(datetime.UTC)) < known.get(f"{_SPEC}-renewal", "")


def _digest(certificate: Object) -> str:
    # What goes on around the certificate does not change it.
    around = ("revisionHistoryLimit", "renewBefore", "secretTemplate")
    return digest({key: value for key, value in certificate["spec"].items() if key not in around})


def _kept_key(certificate: Object, secret: Object | None) -> Any:
    keeps = part_of(certificate["spec"], "privateKey").get("rotationPolicy") == "Never"
    text = part_of(secret or {}, "data").get("tls.key")
    return read_key(b64decode(text)) if keeps and text else None


def _secret(certificate: Object, issued: Issued, revision: int) -> Object:
    spec, namespace = certificate["spec"], key_of(certificate)[0]
    reference, template = part_of(spec, "issuerRef"), part_of(spec, "secretTemplate")
    texts = {"tls.crt": issued.chain, "tls.key": issued.key, "ca.crt": issued.authority}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {
            "name": spec["secretName"],
            "namespace": namespace,
            "labels": {
                **part_of(template, "labels"),
                "controller.cert-manager.io/fao": "true",
                MADE_BY: Certificates.name,
            },
            "annotations": {
                **part_of(template, "annotations"),
                "cert-manager.io/certificate-name": certificate["metadata"]["name"],
                "cert-manager.io/issuer-name": reference.get("name", ""),
                "cert-manager.io/issuer-kind": reference.get("kind") or "Issuer",
                "cert-manager.io/issuer-group": reference.get("group") or "cert-manager.io",
                "cert-manager.io/common-name": spec.get("commonName", ""),
                "cert-manager.io/alt-names": ",".join(spec.get("dnsNames") or []),
                _SPEC: _digest(certificate),
                _REVISION: str(revision),
                f"{_SPEC}-from": _time(issued.not_before),
                f"{_SPEC}-until": _time(issued.not_after),
                f"{_SPEC}-renewal": _time(renewal(spec, issued.not_before, issued.not_after)),
            },
        },
        "data": {key: b64encode(text.encode()).decode() for key, text in texts.items()},
    }


def _time(time: datetime.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
