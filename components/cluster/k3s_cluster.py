"""The cluster: its keys, its highly available control plane, and when it is ready."""

import asyncio
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_hcloud as hcloud
import pulumi_random as random
import pulumi_tls as tls

from ..component import Component
from ..naming import check_name, labels
from ..network import AddressPlan, Subnet
from ..problem import refuse
from . import hooks, kubeconfig, renewal, user_data
from .arguments import JoinArgs, MachineArgs, ReleaseArgs, machines, release
from .lookup import INITIALIZED_LABELS, look_up
from .machines import SERVERS, Deployed, Machine
from .oidc import Oidc, OidcArgs, oidc_problems
from .pki import ClusterPki
from .readiness import ClusterApi, ClusterError, Patience
from .server import Boot, Placement, cloud_server

_MARKER_HOURS = 50 * 8760
_FORGET = Patience(seconds=180, interval=3)
_DRAIN = Patience(seconds=600, interval=5)


class ReservedAddressArgs(TypedDict):
    id: pulumi.Input[int]
    """Id of a Primary IPv4."""
    address: pulumi.Input[str]
    """The address itself."""


class K3sClusterArgs(TypedDict):
    cluster: str
    """The cluster's name; machines, nodes and labels carry it."""
    index: int
    """The region's index in the address plan, 1 to 9."""
    location: pulumi.Input[str]
    """Hetzner location."""
    image: pulumi.Input[str]
    """Operating system image."""
    release: ReleaseArgs
    """The k3s release."""
    machines: list[MachineArgs]
    """The control-plane servers; an odd number."""
    reserved_addresses: dict[str, ReservedAddressArgs]
    """Primary IPv4 by machine number: where people, the engine and CI reach the API."""
    subnet_id: pulumi.Input[str]
    """Subnet of the servers."""
    firewall_id: pulumi.Input[int]
    """Firewall of the servers."""
    placement_group_ids: dict[str, pulumi.Input[int]]
    """By number of the group."""
    ssh_key_ids: pulumi.Input[list[str]]
    """The administrators' SSH keys."""
    api_name: pulumi.Input[str]
    """DNS name of the API; it stands in the servers' certificates."""
    connect_to: NotRequired[pulumi.Input[str]]
    """Host or host:port that the kubeconfig connects to; ``api_name`` unless told."""
    labels: NotRequired[dict[str, str]]
    """Node labels of the servers."""
    taints: NotRequired[list[str]]
    """Node taints of the servers, beside the control plane's own."""
    oidc: NotRequired[OidcArgs]
    """Whose tokens the API takes. A server that runs takes it up with its next generation."""
    restore_from: NotRequired[str]
    """Name of an etcd snapshot; restored when all servers get a new generation in one deployment, ignored otherwise."""
    restore_s3: NotRequired[pulumi.Input[dict[str, str]]]
    """k3s's ``etcd-s3-*`` settings of the store that holds the snapshot. Secret."""
    ready_within: NotRequired[float]
    """Seconds that the cluster may take to become ready; 900 unless told."""
    ready_interval: NotRequired[float]
    """Seconds between two looks at whether it is; 5 unless told."""
    protection: NotRequired[bool]
    """Protect servers, keys and tokens against deletion; on unless told."""


class K3sCluster(Component):
    """PKI, tokens, kubeconfig, an odd number of k3s servers on reserved addresses, and the marker that it exists.

    Agents join with ``join``. Whatever uses the API depends on ``ready`` and may carry the hook ``gate``.

    Raises:
        ClusterError: a change of machines that this deployment must not make (see `renewal`).
        ProblemsError: an identity provider that the API server would not start with.
    """

    kubeconfig: pulumi.Output[str]
    """The administrator's kubeconfig. Secret."""
    kubeconfig_expires: pulumi.Output[str]
    """When its client certificate ends, RFC 3339; a deployment in the last 90 days renews it."""
    root_certificate: pulumi.Output[str]
    """The cluster's root CA, PEM."""
    ready: pulumi.Output[str]
    """Known once the cluster was ready for the first time."""

    def __init__(self, name: str, args: K3sClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("K3sCluster", name, args, K3sClusterArgs, opts)
        self._name, self._args = name, args
        refuse(f"K3sCluster {name!r}", oidc_problems(args["oidc"]) if "oidc" in args else [])
        self._protection = args.get("protection", True)
        self._machines = machines(SERVERS, args["machines"])
        self._pool = user_data.Pool(
            args["cluster"],
            args["index"],
            release(args["release"]),
            AddressPlan(args["index"]).api_load_balancer,
            args.get("labels", {}),
            args.get("taints", []),
            SERVERS,
            Oidc.of(args["oidc"]) if "oidc" in args else None,
        )
        deployed = look_up(args["cluster"], self.invoke()).of(SERVERS)
        self._restoring = renewal.restores(self._machines, deployed, args.get("restore_from"))
        self._refuse(deployed)

        self._pki = ClusterPki(
            f"{name}-pki", {"cluster": args["cluster"], "protection": self._protection}, self.child()
        )
        self.root_certificate = self._pki.root_certificate
        self.kubeconfig = self._kubeconfig()
        self.kubeconfig_expires = self._pki.admin_expires
        patience = Patience(seconds=args.get("ready_within", 900), interval=args.get("ready_interval", 5))
        self.gate = hooks.ready(name, self.kubeconfig, len(self._machines), patience)
        self.forget_predecessors = hooks.forget_predecessors(name, args["cluster"], self.kubeconfig, _FORGET)
        self.drain = hooks.drain(name, self.kubeconfig, _DRAIN)
        self._machine_hooks = pulumi.ResourceHookBinding(
            before_create=[self.forget_predecessors] if deployed.initialized else [], before_update=[self.drain]
        )
        servers = [self._server(machine, deployed) for machine in self._machines]
        self.ready_resource = self._marker(servers)
        self.ready = self.ready_resource.id
        self.register_outputs(
            {
                "kubeconfig": self.kubeconfig,
                "kubeconfig_expires": self.kubeconfig_expires,
                "root_certificate": self.root_certificate,
                "ready": self.ready,
            }
        )

    @property
    def agent_hooks(self) -> pulumi.ResourceHookBinding:
        """What agent pools are renewed and drained with."""
        return self._machine_hooks

    @property
    def join(self) -> JoinArgs:
        """How agents join."""
        return {
            "cluster": self._args["cluster"],
            "index": self._args["index"],
            "release": self._args["release"],
            "api_address": str(self._pool.api_address),
            "root_certificate": self._pki.root_certificate,
            "agent_token": self._pki.agent_token,
        }

    def _refuse(self, deployed: Deployed) -> None:
        refused = renewal.refusals(self._machines, deployed, restoring=self._restoring)
        if refused:
            raise ClusterError("\n".join(f"{refusal.problem}; {refusal.remedy}" for refusal in refused))
        if self._args.get("restore_from") and not self._restoring:
            pulumi.log.warn(
                "restore_from is set but restores nothing: not every server gets a new generation. Take it out.", self
            )

    def _kubeconfig(self) -> pulumi.Output[str]:
        args = self._args
        rendered = pulumi.Output.all(
            name=args["api_name"],
            connect_to=args.get("connect_to", args["api_name"]),
            ca=self._pki.root_certificate,
            certificate=self._pki.admin_certificate,
            key=self._pki.admin_key,
        ).apply(
            lambda known: kubeconfig.render(
                args["cluster"],
                kubeconfig.Endpoint(known["connect_to"], known["name"]),
                known["ca"],
                known["certificate"],
                known["key"],
            )
        )
        return pulumi.Output.secret(rendered)

    def _server(self, machine: Machine, deployed: Deployed) -> hcloud.Server:
        args = self._args
        reserved = args["reserved_addresses"][str(machine.number)]
        return cloud_server(
            self,
            f"{self._name}-{machine.label}",
            args["cluster"],
            machine,
            Placement(
                args["location"],
                args["image"],
                args["subnet_id"],
                args["firewall_id"],
                args["placement_group_ids"],
                args["ssh_key_ids"],
            ),
            Boot(
                address=str(self._pool.plan.machine(Subnet.SERVERS, machine.number)),
                user_data=self._user_data(machine, deployed),
                config=user_data.fingerprint(
                    lambda secrets: user_data.server(
                        self._pool, machine, [machine.number], [], secrets, initialized=True
                    )
                ),
                primary_ipv4_id=reserved["id"],
            ),
            deployed,
            protected=self._protection and not machine.unprotected,
            server_type=self._guarded(machine, deployed, machine.type),
            generation=self._guarded(machine, deployed, machine.generation),
            hooks=self._machine_hooks,
        )

    def _user_data(self, machine: Machine, deployed: Deployed) -> pulumi.Output[str]:
        args = self._args
        plan = self._pool.plan
        numbers = [each.number for each in self._machines]
        restore_from = args.get("restore_from") if self._restoring else None
        addresses = [str(plan.machine(Subnet.SERVERS, number)) for number in numbers]
        known_names = [
            "127.0.0.1",
            str(plan.ingress_load_balancer),
            str(plan.api_load_balancer),
            *addresses,
        ]
        return pulumi.Output.all(
            name=args["api_name"],
            public=[args["reserved_addresses"][str(number)]["address"] for number in numbers],
            root_certificate=self._pki.root_certificate,
            server_token=self._pki.server_token,
            agent_token=self._pki.agent_token,
            agent_password=self._pki.agent_password,
            authorities=self._pki.authorities,
            service_account_key=self._pki.service_account_key,
            restore_s3=args.get("restore_s3"),
        ).apply(
            lambda known: user_data.server(
                self._pool,
                machine,
                numbers,
                [known.pop("name"), *known_names, *known.pop("public")],
                user_data.Secrets(**known),
                initialized=deployed.initialized,
                restore_from=restore_from,
            )
        )

    def _guarded(self, machine: Machine, deployed: Deployed, value: Any) -> Any:
        """``value``, and if it renews this server only after the others were found to be healthy voters."""
        needed = renewal.needs_voters(self._machines, deployed, restoring=self._restoring)
        current = deployed.by_key().get((SERVERS, machine.number))
        changed = current is not None and (current.generation, current.type) != (machine.generation, machine.type)
        if not needed or not changed:
            return value

        async def check(config: str) -> Any:
            api = ClusterApi(config, lambda _: None)
            try:
                voters: Mapping[str, bool] = await asyncio.to_thread(api.voters)
            except Exception as error:
                raise ClusterError(
                    f"{machine.label} is not renewed: the API does not say who votes in etcd ({type(error).__name__}). "
                    "A server is only renewed while the others are healthy voting members."
                ) from error
            missing = renewal.missing_voters(needed, voters)
            if missing:
                raise ClusterError(
                    f"{machine.label} is not renewed: {', '.join(missing)} is no healthy voting member of etcd, and without "
                    f"{machine.label} the cluster could lose its quorum. Mend it first (kubectl get nodes; journalctl -u k3s-server)."
                )
            return value

        return self.kubeconfig.apply(check)

    def _marker(self, servers: list[hcloud.Server]) -> hcloud.UploadedCertificate:
        """Wait until the cluster is ready, and leave word outside its machines that it exists: nobody initialises it again."""
        args = self._args
        asked = random.RandomId(
            f"{self._name}-ready",
            byte_length=4,
            # Another snapshot asks again: the marker of a cluster that is restored stands already.
            keepers={"restore_from": args.get("restore_from", "")},
            opts=self.child(depends_on=servers, hooks=pulumi.ResourceHookBinding(before_create=[self.gate])),
        )
        key = tls.PrivateKey(f"{self._name}-marker", algorithm="ECDSA", ecdsa_curve="P256", opts=self.child())
        certificate = tls.SelfSignedCert(
            f"{self._name}-marker",
            private_key_pem=key.private_key_pem,
            subject={"common_name": f"{args['cluster']}-initialized"},
            allowed_uses=["digital_signature"],
            validity_period_hours=_MARKER_HOURS,
            opts=self.child(),
        )
        return hcloud.UploadedCertificate(
            f"{self._name}-initialized",
            name=check_name(f"{args['cluster']}-initialized"),
            certificate=certificate.cert_pem,
            private_key=key.private_key_pem,
            labels=labels(args["cluster"], **INITIALIZED_LABELS),
            opts=self.child(
                depends_on=[asked],
                protect=self._protection,
                # It stands for the cluster, not for the key pair inside.
                ignore_changes=["certificate", "privateKey"],
            ),
        )
