"""Traefik on the machines that a region's load balancer targets."""

import dataclasses
import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi

from ..component import check_arguments
from ..layer import INGRESS, ChartPin, Layer
from ..mesh import metrics_policy
from ..naming import InvalidNameError, check_name
from ..problem import Problem, refuse
from .flows import flows
from .settings import ORIGIN_CERTIFICATE, ORIGIN_PULL_CA, SERVERS, values

REQUESTS_PER_SECOND: Final = 100
BURST: Final = 200
BODY_MB: Final = 10
"""MiB; Cloudflare passes no more than 100 MB on its Free and Pro plans."""


class ForwardAuthentication(TypedDict):
    """Who is asked about requests of routes with the Middleware ``authenticated``."""

    address: str
    """URL, such as ``http://oauth2-proxy.platform.svc.cluster.local:4180/oauth2/auth``."""


class IngressArgs(TypedDict):
    """Arguments of ``Ingress``."""

    chart: ChartPin
    """Pin of ``traefik``."""
    targets: str
    """``servers``, or the name of the pool that the load balancer targets."""
    load_balancer_ip: str
    """Private IPv4 address of the region's load balancer."""
    origin_certificate: pulumi.Input[str]
    """PEM that is shown to Cloudflare; it covers the names that are served, and others are refused in the handshake."""
    origin_private_key: pulumi.Input[str]
    """PEM of its key (secret)."""
    origin_pull_ca: pulumi.Input[str]
    """PEM of the one CA whose client certificates are accepted."""
    forward_authentication: NotRequired[ForwardAuthentication]
    """Nobody is asked unless told."""
    requests_per_second: NotRequired[int]
    """On average, for a visitor's address and in each pod; 100 unless told."""
    burst: NotRequired[int]
    """Requests at once; 200 unless told."""
    body_mb: NotRequired[int]
    """Largest body of a request, MiB; 10 unless told."""
    meshed: NotRequired[bool]
    """Whether requests go on through the mesh, which must be there then; True unless told."""


class Ingress(Layer):
    """One Traefik on each machine that the load balancer targets, published on the node ports that it passes to.

    See docs/ingress.md for what keeps strangers out, and docs/origin.md for why.

    Args:
        name, args, opts: As of a `Component`.
        after: What it waits for: the ``ready_resources`` of the layers below, the mesh's among them.

    Raises:
        ProblemsError: an address, a pool's name, a limit or a URL that cannot be; nothing has been registered then.
    """

    def __init__(
        self,
        name: str,
        args: IngressArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        check_arguments("Ingress", name, args, IngressArgs)
        limits = {
            "requests_per_second": args.get("requests_per_second", REQUESTS_PER_SECOND),
            "burst": args.get("burst", BURST),
            "body_mb": args.get("body_mb", BODY_MB),
        }
        authentication = args.get("forward_authentication")
        address = authentication["address"] if authentication else None
        refuse(f"Ingress {name!r}", check(args["targets"], args["load_balancer_ip"], limits, address))
        super().__init__("Ingress", name, args, IngressArgs, opts, after)
        meshed = args.get("meshed", True)
        allowed = flows(args["load_balancer_ip"], address, meshed=meshed)
        self.namespace(INGRESS, "restricted", flows=allowed, meshed=meshed)
        for manifest in metrics_policy(INGRESS) if meshed else ():
            self.manifest(manifest)
        pair = {"tls.crt": args["origin_certificate"], "tls.key": args["origin_private_key"]}
        self.secret(INGRESS, ORIGIN_CERTIFICATE, pair, type="kubernetes.io/tls")
        self.secret(INGRESS, ORIGIN_PULL_CA, {"ca.crt": args["origin_pull_ca"]})
        shown = pulumi.Output.all(args["origin_certificate"], args["origin_pull_ca"]).apply(fingerprint)
        self.install(
            "traefik",
            args["chart"],
            INGRESS,
            values=values(
                targets=args["targets"],
                load_balancer_ip=args["load_balancer_ip"],
                **limits,
                meshed=meshed,
                # Certificates are shown to whoever connects: what is made of them alone is no secret.
                fingerprint=pulumi.Output.unsecret(shown),
            ),
        )
        if args["targets"] != SERVERS:
            self.workloads = [dataclasses.replace(workload, on="agents") for workload in self.workloads]
        self.finish()


def fingerprint(certificates: Sequence[str]) -> str:
    """Changes with any of the certificates."""
    return hashlib.sha256("\0".join(certificates).encode()).hexdigest()


def rate_problems(requests_per_second: int, burst: int) -> list[Problem]:
    """What would never be reached; the key is ``burst``."""
    if burst >= requests_per_second:
        return []
    problem = f"is less than requests_per_second ({requests_per_second})"
    return [Problem("burst", burst, problem, "raise it: it is what one client may send at once")]


def check(targets: str, load_balancer_ip: str, limits: Mapping[str, int], address: str | None) -> list[Problem]:
    """What Traefik or Kubernetes would refuse, or what would let strangers in."""
    problems: list[Problem] = []
    try:
        check_name(targets)
    except InvalidNameError as error:
        problems.append(Problem("targets", targets, str(error), f"write {SERVERS}, or a pool's name"))
    if not _is_private(load_balancer_ip):
        remedy = "write the load balancer's address in the Network, such as 10.0.0.2"
        problems.append(Problem("load_balancer_ip", load_balancer_ip, "is no private IPv4 address", remedy))
    problems += [
        Problem(key, number, "limits nothing", "write a whole number from 1 on")
        for key, number in limits.items()
        if number < 1
    ]
    problems += rate_problems(limits["requests_per_second"], limits["burst"])
    if address is not None and (urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname):
        remedy = "write an http or https URL, such as http://oauth2-proxy.platform.svc.cluster.local:4180/oauth2/auth"
        problems.append(Problem("forward_authentication.address", address, "cannot be asked", remedy))
    return problems


def _is_private(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address).is_private
    except ValueError:
        return False
