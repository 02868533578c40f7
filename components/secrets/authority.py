"""A certificate authority of the platform's own."""

from collections.abc import Mapping
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


def intermediate(
    parent: Component,
    name: str,
    common_name: str,
    authority: pulumi.Input[str],
    authority_key: pulumi.Input[str],
    *,
    path_length: int,
    hours: int,
    early_renewal_hours: int,
) -> Mapping[str, pulumi.Output[str]]:
    """A CA for a cluster below an authority whose key never goes there: content of a Secret ``kubernetes.io/tls``.

    Args:
        parent: Whose parts its key and certificate are.
        name: Pulumi name, unique in the stack.
        common_name: Of its subject.
        authority: PEM of who signs it.
        authority_key: Its key, PEM (secret). It signs here and goes nowhere.
        path_length: How many CAs may stand between it and what is issued.
        hours: How long it lasts.
        early_renewal_hours: How long before its end the first ``up`` renews it.
    """
    # Below a new authority stands a new key: whoever has the one before is trusted no longer once the old authority is not.
    # A certificate is no secret, and Pulumi 3.259's preview as JSON breaks at a secret trigger.
    renewed = parent.child(replacement_trigger=pulumi.Output.unsecret(pulumi.Output.from_input(authority)))
    key = tls.PrivateKey(f"{name}-key", algorithm="ECDSA", ecdsa_curve="P256", opts=renewed)
    private_key = pulumi.Output.secret(key.private_key_pem)
    request = tls.CertRequest(
        f"{name}-request",
        private_key_pem=private_key,
        subject={"common_name": common_name},
        opts=parent.child(),
    )
    signed = tls.LocallySignedCert(
        name,
        cert_request_pem=request.cert_request_pem,
        ca_cert_pem=authority,
        ca_private_key_pem=authority_key,
        is_ca_certificate=True,
        max_path_length=path_length,
        allowed_uses=["cert_signing", "crl_signing"],
        validity_period_hours=hours,
        early_renewal_hours=early_renewal_hours,
        set_subject_key_id=True,
        opts=parent.child(),
    )
    # With the authority behind it: cert-manager takes the last for the one to trust, and leaves it out of what it issues.
    chain = pulumi.Output.concat(signed.cert_pem, authority)
    return {"tls.crt": chain, "tls.key": private_key, "ca.crt": pulumi.Output.from_input(authority)}
