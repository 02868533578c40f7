"""A certificate authority of the platform's own."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_tls as tls

from ..component import Component

VALIDITY_HOURS = 10 * 365 * 24


class CertificateAuthorityArgs(TypedDict):
    """Arguments of ``CertificateAuthority``."""

    common_name: str
    generation: NotRequired[int]
    """Raise it to make a new authority; 1 unless told. Whatever trusts the old one must learn of the new one first."""


class CertificateAuthority(Component):
    """A self-signed ECDSA P-256 root that lasts ten years."""

    certificate: pulumi.Output[str]
    """PEM; not secret."""
    private_key: pulumi.Output[str]
    """PEM (secret)."""

    def __init__(self, name: str, args: CertificateAuthorityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("CertificateAuthority", name, args, CertificateAuthorityArgs, opts)
        key = tls.PrivateKey(
            f"{name}-key",
            # What Linkerd asks for; PostgreSQL, Redis and Traefik take it as well.
            algorithm="ECDSA",
            ecdsa_curve="P256",
            # Set from the first generation on: giving a trigger its first value triggers nothing.
            opts=self.child(replacement_trigger=args.get("generation", 1)),
        )
        self.private_key = pulumi.Output.secret(key.private_key_pem)
        root = tls.SelfSignedCert(
            f"{name}-certificate",
            private_key_pem=self.private_key,
            subject={"common_name": args["common_name"]},
            is_ca_certificate=True,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=VALIDITY_HOURS,
            set_subject_key_id=True,
            set_authority_key_id=True,
            # A new key replaces the certificate by itself.
            opts=self.child(),
        )
        self.certificate = root.cert_pem
        self.register_outputs({"certificate": self.certificate, "private_key": self.private_key})
