"""The operators that issue certificates in a cluster, and the authorities that they issue from."""

from collections.abc import Mapping, Sequence
from typing import Final, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_tls as tls

from ..component import check_arguments
from ..layer import ChartPin, Layer
from ..problem import refuse
from ..secrets import CertificateAuthority
from .issuers import (
    ACME_DIRECTORY,
    CA_SECRET,
    NAMESPACE,
    TOKEN_KEY,
    TOKEN_SECRET,
    Acme,
    InternalCa,
    acme_issuer,
    bundle,
    check,
    flows,
    internal_issuer,
)

CA_HOURS: Final = 2 * 365 * 24
CA_EARLY_RENEWAL_HOURS: Final = 180 * 24
"""Certificates last 90 days at most: none outlives the CA that signed it, even if it was signed just before the renewal."""


class CertificatesArgs(TypedDict):
    """Arguments of ``Certificates``."""

    cluster: str
    """Its name; it stands in the CA's subject."""
    charts: Mapping[str, ChartPin]
    """Pins of ``cert-manager`` and ``trust-manager``."""
    internal_ca: NotRequired[InternalCa]
    """Generations of the root; one, the first, unless told. How to renew it: docs/certificates.md."""
    acme: NotRequired[Acme]
    """Public certificates; none unless told."""


class Certificates(Layer):
    """cert-manager and trust-manager, the ClusterIssuer ``internal`` and, by configuration, ``acme``.

    The internal CA has two steps. The root lasts ten years, and its key never enters the cluster; pods trust the root.
    The CA below it is in the cluster, lasts two years, and is renewed by the first ``up`` in its last 180 days: whoever
    trusts the root notices nothing, since certificates carry the CA that signed them.

    Args:
        name, args, opts: As of a `Component`.
        after: What it waits for: the ``ready_resources`` of the layers below.

    Raises:
        ProblemsError: generations or ACME settings that cannot work; nothing has been registered then.
    """

    roots: pulumi.Output[str]
    """PEM of all roots that are trusted; not secret."""

    def __init__(
        self,
        name: str,
        args: CertificatesArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        check_arguments("Certificates", name, args, CertificatesArgs)
        internal: InternalCa = args.get("internal_ca", {"generations": [1], "signs": 1})
        acme = args.get("acme")
        refuse(f"Certificates {name!r}", check(internal, acme))
        super().__init__("Certificates", name, args, CertificatesArgs, opts, after)
        authorities = {
            generation: CertificateAuthority(
                f"{name}-root-{generation}",
                {"common_name": f"root-{generation}.{args['cluster']}.internal"},
                self.child(),
            )
            for generation in internal["generations"]
        }
        self.roots = pulumi.Output.all(*(authority.certificate for authority in authorities.values())).apply("".join)
        namespace = self.namespace(NAMESPACE, "restricted", flows=flows(acme=acme is not None))
        cert_manager = self.install("cert-manager", args["charts"]["cert-manager"], NAMESPACE, needs=[namespace])
        # Its webhook's certificate comes from cert-manager.
        trust_manager = self.install("trust-manager", args["charts"]["trust-manager"], NAMESPACE, needs=[cert_manager])
        secret = self._signing(name, args["cluster"], authorities[internal["signs"]], namespace)
        self.manifest(internal_issuer(), cert_manager, secret)
        self.manifest(bundle(self.roots), trust_manager)
        if acme is not None:
            token = self.secret(NAMESPACE, TOKEN_SECRET, {TOKEN_KEY: acme["token"]}, namespace)
            issuer = acme_issuer(acme["email"], acme["zone"], acme.get("directory", ACME_DIRECTORY))
            self.manifest(issuer, cert_manager, token)
        self.finish({"roots": self.roots})

    def _signing(
        self, name: str, cluster: str, root: CertificateAuthority, namespace: kubernetes.core.v1.Namespace
    ) -> kubernetes.core.v1.Secret:
        key = tls.PrivateKey(f"{name}-ca-key", algorithm="ECDSA", ecdsa_curve="P256", opts=self.child())
        private_key = pulumi.Output.secret(key.private_key_pem)
        request = tls.CertRequest(
            f"{name}-ca-request",
            private_key_pem=private_key,
            subject={"common_name": f"ca.{cluster}.internal"},
            opts=self.child(),
        )
        signed = tls.LocallySignedCert(
            f"{name}-ca",
            cert_request_pem=request.cert_request_pem,
            ca_cert_pem=root.certificate,
            ca_private_key_pem=root.private_key,
            is_ca_certificate=True,
            max_path_length=0,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=CA_HOURS,
            early_renewal_hours=CA_EARLY_RENEWAL_HOURS,
            set_subject_key_id=True,
            opts=self.child(),
        )
        # With the root behind it: cert-manager then knows which certificate is the one to trust.
        chain = pulumi.Output.concat(signed.cert_pem, root.certificate)
        texts = {"tls.crt": chain, "tls.key": private_key, "ca.crt": root.certificate}
        return self.secret(NAMESPACE, CA_SECRET, texts, namespace, type="kubernetes.io/tls")
