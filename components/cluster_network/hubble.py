"""Hubble's certificates, made before Cilium: the chart's own ways make them in a hook job, which waits for the network."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_tls as tls

from ..component import Component

# cluster.name of the chart is `default`. Node names have no dots.
SERVER_NAME = "*.default.hubble-grpc.cilium.io"
RELAY_NAME = "*.hubble-relay.cilium.io"
"""Names that Cilium 1.19 gives them itself (its chart, templates/hubble/tls-helm)."""

_HOURS_PER_YEAR = 8760
_EARLY_RENEWAL_HOURS = 90 * 24


class HubbleCertificatesArgs(TypedDict):
    cluster: str
    """The cluster's name; it stands in the CA's subject."""
    generation: NotRequired[int]
    """Raise it for new keys; 1 unless told."""


class HubbleCertificates(Component):
    """A CA of its own (P-256, ten years), Hubble's server certificate and the relay's client certificate.

    Those two last a year; a deployment in their last 90 days renews them, and Cilium reads them again by itself.
    """

    authority: pulumi.Output[str]
    """The CA's certificate, PEM."""
    server: pulumi.Output[dict[str, str]]
    """``tls.crt``, ``tls.key``, ``ca.crt``, PEM. Secret."""
    relay: pulumi.Output[dict[str, str]]
    """The same for the relay."""

    def __init__(self, name: str, args: HubbleCertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("HubbleCertificates", name, args, HubbleCertificatesArgs, opts)
        self._generation = args.get("generation", 1)
        self._ca_key = self._key(f"{name}-ca")
        self._ca = tls.SelfSignedCert(
            f"{name}-ca",
            private_key_pem=self._ca_key.private_key_pem,
            subject={"common_name": f"{args['cluster']}-hubble-ca"},
            is_ca_certificate=True,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=10 * _HOURS_PER_YEAR,
            set_subject_key_id=True,
            set_authority_key_id=True,
            opts=self.child(),
        )
        self.authority = self._ca.cert_pem
        self.server = self._leaf(f"{name}-server", SERVER_NAME, ["server_auth", "client_auth"])
        self.relay = self._leaf(f"{name}-relay", RELAY_NAME, ["client_auth"])
        self.register_outputs({"authority": self.authority})

    def _key(self, name: str) -> tls.PrivateKey:
        return tls.PrivateKey(
            name,
            algorithm="ECDSA",
            ecdsa_curve="P256",
            # Set from the first generation on: giving a trigger its first value triggers nothing.
            opts=self.child(replacement_trigger=self._generation),
        )

    def _leaf(self, name: str, dns_name: str, uses: list[str]) -> pulumi.Output[dict[str, str]]:
        key = self._key(name)
        request = tls.CertRequest(
            name,
            private_key_pem=key.private_key_pem,
            subject={"common_name": dns_name},
            dns_names=[dns_name],
            opts=self.child(),
        )
        certificate = tls.LocallySignedCert(
            name,
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=self._ca_key.private_key_pem,
            ca_cert_pem=self._ca.cert_pem,
            allowed_uses=["digital_signature", *uses],
            validity_period_hours=_HOURS_PER_YEAR,
            early_renewal_hours=_EARLY_RENEWAL_HOURS,
            set_subject_key_id=True,
            opts=self.child(),
        )
        files = {"tls.crt": certificate.cert_pem, "tls.key": key.private_key_pem, "ca.crt": self._ca.cert_pem}
        return pulumi.Output.secret(pulumi.Output.all(**files))
