"""The certificate with which a region's ingress answers Cloudflare."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_cloudflare as cloudflare
import pulumi_tls as tls

from ..component import Component

VALIDITY_DAYS = 5475
"""Fifteen years, the most that the origin CA signs; only Cloudflare trusts it, and nothing renews it by itself."""


class OriginCertificateArgs(TypedDict):
    """Arguments of ``OriginCertificate``."""

    hostnames: Sequence[str]
    """Fully qualified, wildcards allowed; at most 200 and no addresses."""
    generation: NotRequired[int]
    """Raise it to renew key and certificate; 1 unless told."""


class OriginCertificate(Component):
    """A key made here and a certificate for it from Cloudflare's origin CA; each region has its own."""

    certificate: pulumi.Output[str]
    """PEM (secret together with its key)."""
    private_key: pulumi.Output[str]
    """PEM (secret)."""

    def __init__(self, name: str, args: OriginCertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("OriginCertificate", name, args, OriginCertificateArgs, opts)
        key = tls.PrivateKey(
            f"{name}-key",
            algorithm="ECDSA",
            ecdsa_curve="P256",
            opts=self.child(replacement_trigger=args.get("generation", 1)),
        )
        self.private_key = pulumi.Output.secret(key.private_key_pem)
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=self.private_key,
            subject={"common_name": args["hostnames"][0]},
            dns_names=args["hostnames"],
            opts=self.child(),
        )
        signed = cloudflare.OriginCaCertificate(
            f"{name}-certificate",
            csr=request.cert_request_pem,
            hostnames=args["hostnames"],
            request_type="origin-ecc",
            requested_validity=VALIDITY_DAYS,
            opts=self.child(),
        )
        self.certificate = pulumi.Output.secret(signed.certificate)
        self.register_outputs({"certificate": self.certificate, "private_key": self.private_key})
