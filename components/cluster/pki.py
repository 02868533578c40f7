"""A cluster's public key infrastructure and tokens, made before its first machine."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_random as random
import pulumi_tls as tls

from ..component import Component
from . import tokens

_HOURS_PER_YEAR = 8760
CA_YEARS = 20
ADMIN_HOURS = _HOURS_PER_YEAR
ADMIN_EARLY_RENEWAL_HOURS = 90 * 24

AUTHORITIES = {
    "server-ca": "server",
    "client-ca": "client",
    "request-header-ca": "request-header",
    "etcd/peer-ca": "etcd-peer",
    "etcd/server-ca": "etcd-server",
}
"""k3s's CA files (below ``/var/lib/rancher/k3s/server/tls``) and what we call each."""

_CA_USES = ["cert_signing", "crl_signing", "digital_signature"]


class ClusterPkiArgs(TypedDict):
    cluster: str
    """The cluster's name; it stands in the subjects. """
    protection: NotRequired[bool]
    """Protect the CAs and passwords: without them the cluster is lost. On unless told."""


class ClusterPki(Component):
    """Root, server, client, request-header and etcd CAs (P-256), the service account key, the administrator's client
    certificate (a year, renewed 90 days early), and the passwords and tokens that machines join with.
    """

    root_certificate: pulumi.Output[str]
    """PEM; public."""
    authorities: pulumi.Output[dict[str, dict[str, str]]]
    """By k3s's file name: ``certificate`` (the chain down to the root) and ``key``, PEM. Secret."""
    service_account_key: pulumi.Output[str]
    """PEM. Secret."""
    admin_certificate: pulumi.Output[str]
    """The administrator's client certificate with its chain, PEM."""
    admin_key: pulumi.Output[str]
    """Its key, PEM. Secret."""
    admin_expires: pulumi.Output[str]
    """When the administrator's certificate ends, RFC 3339."""
    server_token: pulumi.Output[str]
    """What servers join with: full administrator access. Secret."""
    agent_token: pulumi.Output[str]
    """What agents join with. Secret."""
    agent_password: pulumi.Output[str]
    """The password inside the agents' token, as servers must know it. Secret."""

    def __init__(self, name: str, args: ClusterPkiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ClusterPki", name, args, ClusterPkiArgs, opts)
        self._cluster = args["cluster"]
        self._protected = args.get("protection", True)
        root_key, root = self._root(name)
        self.root_certificate = root.cert_pem
        authorities: dict[str, pulumi.Output[dict[str, str]]] = {}
        client: tuple[tls.PrivateKey, tls.LocallySignedCert] | None = None
        for path, purpose in AUTHORITIES.items():
            key, certificate = self._authority(name, purpose, root_key, root)
            chain = pulumi.Output.concat(certificate.cert_pem, root.cert_pem)
            authorities[path] = pulumi.Output.all(certificate=chain, key=key.private_key_pem)
            if purpose == "client":
                client = (key, certificate)
        self.authorities = pulumi.Output.secret(pulumi.Output.all(**authorities))
        service_account = self._key(f"{name}-service-account")
        self.service_account_key = pulumi.Output.secret(service_account.private_key_pem)
        assert client is not None
        self._administrator(name, *client)
        self._tokens(name)
        self.register_outputs(
            {
                "root_certificate": self.root_certificate,
                "admin_expires": self.admin_expires,
                "server_token": self.server_token,
                "agent_token": self.agent_token,
            }
        )

    def _key(self, name: str) -> tls.PrivateKey:
        return tls.PrivateKey(name, algorithm="ECDSA", ecdsa_curve="P256", opts=self.child(protect=self._protected))

    def _root(self, name: str) -> tuple[tls.PrivateKey, tls.SelfSignedCert]:
        key = self._key(f"{name}-root")
        certificate = tls.SelfSignedCert(
            f"{name}-root",
            private_key_pem=key.private_key_pem,
            subject={"common_name": f"{self._cluster}-root-ca"},
            is_ca_certificate=True,
            set_subject_key_id=True,
            allowed_uses=_CA_USES,
            validity_period_hours=CA_YEARS * _HOURS_PER_YEAR,
            opts=self.child(protect=self._protected),
        )
        return key, certificate

    def _authority(
        self, name: str, purpose: str, root_key: tls.PrivateKey, root: tls.SelfSignedCert
    ) -> tuple[tls.PrivateKey, tls.LocallySignedCert]:
        key = self._key(f"{name}-{purpose}")
        certificate = self._sign(
            f"{name}-{purpose}",
            key,
            {"common_name": f"{self._cluster}-{purpose}-ca"},
            (root_key.private_key_pem, root.cert_pem),
            hours=CA_YEARS * _HOURS_PER_YEAR,
            is_ca=True,
        )
        return key, certificate

    def _sign(
        self,
        name: str,
        key: tls.PrivateKey,
        subject: dict[str, str],
        signer: tuple[pulumi.Output[str], pulumi.Output[str]],
        *,
        hours: int,
        is_ca: bool,
    ) -> tls.LocallySignedCert:
        protect = self._protected and is_ca
        request = tls.CertRequest(
            name,
            private_key_pem=key.private_key_pem,
            subject=subject,  # pyright: ignore[reportArgumentType]  a plain dictionary of the same shape
            opts=self.child(protect=protect),
        )
        return tls.LocallySignedCert(
            name,
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=signer[0],
            ca_cert_pem=signer[1],
            is_ca_certificate=is_ca,
            # Kubernetes renews leaf certificates by comparing key ids.
            set_subject_key_id=True,
            allowed_uses=_CA_USES if is_ca else ["client_auth", "digital_signature"],
            validity_period_hours=hours,
            early_renewal_hours=0 if is_ca else ADMIN_EARLY_RENEWAL_HOURS,
            opts=self.child(protect=protect),
        )

    def _administrator(self, name: str, ca_key: tls.PrivateKey, ca: tls.LocallySignedCert) -> None:
        key = tls.PrivateKey(f"{name}-admin", algorithm="ECDSA", ecdsa_curve="P256", opts=self.child())
        certificate = self._sign(
            f"{name}-admin",
            key,
            {"common_name": f"{self._cluster}-admin", "organization": "system:masters"},
            (ca_key.private_key_pem, ca.cert_pem),
            hours=ADMIN_HOURS,
            is_ca=False,
        )
        self.admin_certificate = pulumi.Output.concat(certificate.cert_pem, ca.cert_pem)
        self.admin_key = pulumi.Output.secret(key.private_key_pem)
        self.admin_expires = certificate.validity_end_time

    def _tokens(self, name: str) -> None:
        def password(role: str) -> pulumi.Output[str]:
            made = random.RandomPassword(
                f"{name}-{role}-password",
                length=64,
                # A colon would end the password inside a token.
                special=False,
                opts=self.child(protect=self._protected),
            )
            return pulumi.Output.secret(made.result)

        root = self.root_certificate
        self.agent_password = password("agent")
        self.server_token = pulumi.Output.all(root, password("server")).apply(lambda a: tokens.server_token(*a))
        self.agent_token = pulumi.Output.all(root, self.agent_password).apply(lambda a: tokens.agent_token(*a))
