"""Linkerd: proxies beside pods, which know each other by certificates of one anchor in both regions."""

from collections.abc import Mapping, Sequence
from typing import Final, NotRequired, TypedDict

import pulumi

from ..certificates import CERTIFICATES_NAMESPACE, INTERNAL_ISSUER
from ..component import check_arguments
from ..layer import ChartPin, Layer, to_api_server, unpinned
from ..problem import refuse
from ..secrets import intermediate
from .chain import ISSUER, NAMESPACE, TRUST_DOMAIN, WEBHOOKS, cluster_issuer, identity_issuer, trust_roots, webhook
from .meshed import control_plane_flows

CNI_NAMESPACE: Final = "linkerd-cni"
INTERMEDIATE_HOURS: Final = 2 * 365 * 24
INTERMEDIATE_EARLY_RENEWAL_HOURS: Final = 365 * 24
"""A year before its end, by the first ``up`` then: what it signs lasts two days, so nothing notices."""

CHARTS: Final = ("linkerd2-cni", "linkerd-crds", "linkerd-control-plane")


class MeshArgs(TypedDict):
    """Arguments of ``Mesh``."""

    region: str
    """Stands in the subject of the region's intermediate."""
    charts: Mapping[str, ChartPin]
    """Pins of ``linkerd2-cni``, ``linkerd-crds`` and ``linkerd-control-plane``."""
    anchor: pulumi.Input[str]
    """PEM of the trust anchor of both regions."""
    anchor_key: pulumi.Input[str]
    """Its key, PEM (secret). It signs here and goes nowhere."""
    previous_anchor: NotRequired[pulumi.Input[str]]
    """PEM of the anchor before, trusted beside the new one until no proxy has a certificate below it."""
    issuer: NotRequired[str]
    """ClusterIssuer of the webhooks' certificates; ``internal`` unless told."""


class Mesh(Layer):
    """The CNI plugin, the definitions, and the control plane in high availability.

    cert-manager renews the identity issuer from an intermediate of this region, which is signed here: whoever takes over a
    cluster gets a key that can be given up, not the anchor's. Proxies of both regions trust the anchor, so each other.

    Raises:
        ProblemsError: a chart is not pinned; nothing has been registered then.
    """

    def __init__(
        self,
        name: str,
        args: MeshArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        check_arguments("Mesh", name, args, MeshArgs)
        charts = args["charts"]
        refuse(f"Mesh {name!r}", unpinned(charts, CHARTS))
        super().__init__("Mesh", name, args, MeshArgs, opts, after)
        self.namespace(CNI_NAMESPACE, "privileged", flows=[to_api_server()])
        self.install("linkerd2-cni", charts["linkerd2-cni"], CNI_NAMESPACE)
        self.namespace(
            NAMESPACE,
            "restricted",
            flows=control_plane_flows(),
            labels={"linkerd.io/is-control-plane": "true"},
        )
        self.install("linkerd-crds", charts["linkerd-crds"], NAMESPACE)
        signing = intermediate(
            self,
            f"{name}-intermediate",
            f"{args['region']}.linkerd.{TRUST_DOMAIN}",
            args["anchor"],
            args["anchor_key"],
            # The identity issuer is below it, and nothing that signs is below that.
            path_length=1,
            hours=INTERMEDIATE_HOURS,
            early_renewal_hours=INTERMEDIATE_EARLY_RENEWAL_HOURS,
        )
        self.secret(CERTIFICATES_NAMESPACE, ISSUER, signing, type="kubernetes.io/tls")
        self.manifest(cluster_issuer())
        bundle = args["anchor"]
        if "previous_anchor" in args:
            bundle = pulumi.Output.concat(args["anchor"], args["previous_anchor"])
        self.manifest(trust_roots(bundle))
        self.manifest(identity_issuer())
        for each in WEBHOOKS:
            self.manifest(webhook(each, args.get("issuer", INTERNAL_ISSUER)))
        self.install("linkerd-control-plane", charts["linkerd-control-plane"], NAMESPACE)
        self.finish()
