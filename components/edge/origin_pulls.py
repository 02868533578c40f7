"""Our own client certificate for Cloudflare's requests to the origin (Authenticated Origin Pulls)."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_cloudflare as cloudflare
import pulumi_tls as tls

from ..component import Component

LEAF_HOURS = 365 * 24
EARLY_RENEWAL_HOURS = 90 * 24


class OriginPullsArgs(TypedDict):
    """Arguments of ``OriginPulls``."""

    zone_id: pulumi.Input[str]
    zone: str
    """Name of the zone; it stands in the certificate's subject."""
    ca_certificate: pulumi.Input[str]
    """PEM of our own CA, which the ingress trusts and nothing else signs for."""
    ca_private_key: pulumi.Input[str]
    """PEM of its key (secret)."""
    generation: NotRequired[int]
    """Raise it to renew the certificate at once; 1 unless told."""


class OriginPulls(Component):
    """Uploads a leaf of our own CA to the zone and has Cloudflare present it to the origin.

    Cloudflare's shared certificate would not do: every customer's requests carry it, so it proves only that a request
    came through somebody's zone. The leaf lasts a year and is renewed by the first ``up`` in its last 90 days; the new
    one is uploaded before the old one is removed, and the ingress notices nothing since the CA stays.
    """

    certificate: pulumi.Output[str]
    """PEM of the leaf that Cloudflare presents."""

    def __init__(self, name: str, args: OriginPullsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("OriginPulls", name, args, OriginPullsArgs, opts)
        # RSA, as in every example of Cloudflare's documentation; other key types are not named there.
        key = tls.PrivateKey(
            f"{name}-key",
            algorithm="RSA",
            rsa_bits=2048,
            # Set from the first generation on: giving a trigger its first value triggers nothing.
            opts=self.child(replacement_trigger=args.get("generation", 1)),
        )
        private_key = pulumi.Output.secret(key.private_key_pem)
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=private_key,
            subject={"common_name": f"origin-pull.{args['zone']}"},
            opts=self.child(),
        )
        leaf = tls.LocallySignedCert(
            f"{name}-certificate",
            cert_request_pem=request.cert_request_pem,
            ca_cert_pem=args["ca_certificate"],
            ca_private_key_pem=pulumi.Output.secret(args["ca_private_key"]),
            allowed_uses=["digital_signature", "key_encipherment", "client_auth"],
            validity_period_hours=LEAF_HOURS,
            early_renewal_hours=EARLY_RENEWAL_HOURS,
            set_subject_key_id=True,
            opts=self.child(),
        )
        uploaded = cloudflare.AuthenticatedOriginPullsCertificate(
            f"{name}-upload",
            zone_id=args["zone_id"],
            certificate=leaf.cert_pem,
            private_key=private_key,
            opts=self.child(),
        )
        cloudflare.AuthenticatedOriginPullsSettings(
            f"{name}-settings",
            zone_id=args["zone_id"],
            enabled=True,
            # Enabled without a certificate of ours, the zone would present Cloudflare's shared one.
            opts=self.child(depends_on=[uploaded]),
        )
        self.certificate = leaf.cert_pem
        self.register_outputs({"certificate": self.certificate})
