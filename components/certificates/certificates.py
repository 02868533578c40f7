"""The operators that issue certificates in a cluster, and the authorities that they issue from."""

from collections.abc import Mapping, Sequence
from typing import Final, NotRequired, TypedDict

import pulumi

from ..component import check_arguments
from ..layer import ChartPin, Layer, unpinned
from ..problem import refuse
from ..secrets import CertificateAuthority, intermediate
from .issuers import (
    ACME_DIRECTORY,
    CA_SECRET,
    CERTIFICATES_NAMESPACE,
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

CHARTS: Final = ("cert-manager", "trust-manager")
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
        ProblemsError: generations or ACME settings that cannot work, or a chart that is not pinned; nothing has been registered then.
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
        refuse(f"Certificates {name!r}", [*check(internal, acme), *unpinned(args["charts"], CHARTS)])
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
        self.namespace(CERTIFICATES_NAMESPACE, "restricted", flows=flows(acme=acme is not None))
        self.install("cert-manager", args["charts"]["cert-manager"], CERTIFICATES_NAMESPACE)
        # Its webhook's certificate comes from cert-manager.
        self.install("trust-manager", args["charts"]["trust-manager"], CERTIFICATES_NAMESPACE)
        root = authorities[internal["signs"]]
        signing = intermediate(
            self,
            f"{name}-ca",
            f"ca.{args['cluster']}.internal",
            root.certificate,
            root.private_key,
            path_length=0,
            hours=CA_HOURS,
            early_renewal_hours=CA_EARLY_RENEWAL_HOURS,
        )
        self.secret(CERTIFICATES_NAMESPACE, CA_SECRET, signing, type="kubernetes.io/tls")
        self.manifest(internal_issuer())
        self.manifest(bundle(self.roots))
        if acme is not None:
            self.secret(CERTIFICATES_NAMESPACE, TOKEN_SECRET, {TOKEN_KEY: acme["token"]})
            issuer = acme_issuer(acme["email"], acme["zone"], acme.get("directory", ACME_DIRECTORY))
            self.manifest(issuer)
        self.finish({"roots": self.roots})
