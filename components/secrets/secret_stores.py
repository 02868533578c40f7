"""Tenants' secrets: the operator that brings them into namespaces, the engine that holds them, and what restarts pods."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi

from ..component import check_arguments
from ..layer import (
    INTERNET,
    ChartPin,
    Flow,
    Layer,
    Peer,
    Pods,
    behind,
    from_api_server,
    from_prometheus,
    to_api_server,
    unpinned,
    within,
)
from ..problem import Problem, refuse
from ..storage import CLOUD_VOLUMES
from . import openbao
from .engines import OPERATOR_NAMESPACE, Credentials, Engine, SecretsManager, Vault

EngineKind = Literal["openbao", "vault", "aws"]
ENGINES: Final[tuple[EngineKind, ...]] = ("openbao", "vault", "aws")
RELOADER_NAMESPACE: Final = "reloader"
VAULT_NAMESPACE: Final = "vault"
REPLICAS: Final = 3
_WEBHOOK: Final = 10250
_METRICS: Final = 8080
_RELOADER_METRICS: Final = 9090


class SealKey(TypedDict):
    """What OpenBao unseals itself with."""

    key: pulumi.Input[str]
    """32 bytes in base64 (secret): the shared ``vault_seal_key``."""
    generation: pulumi.Input[int]
    """Of the key; it names the key for OpenBao."""
    previous: NotRequired[pulumi.Input[str]]
    """The key of the generation before, while what it sealed is sealed anew (secret)."""


class SecretsManagerArgs(TypedDict):
    """AWS Secrets Manager."""

    region: str
    """``eu-central-1``."""
    prefix: NotRequired[str]
    """Stands before every name; ``hetzner-platform/`` unless told."""
    credentials: NotRequired[Mapping[str, Credentials]]
    """By namespace (secret); a namespace without its own is refused."""


class SecretStoresArgs(TypedDict):
    """Arguments of ``SecretStores``."""

    charts: Mapping[str, ChartPin]
    """Pins of ``external-secrets`` and ``reloader``, and of ``openbao`` or ``vault`` where it is run here."""
    engine: NotRequired[EngineKind]
    """``openbao`` unless told."""
    issuer: NotRequired[str]
    """ClusterIssuer of the engine's certificate; ``internal`` unless told."""
    authority: NotRequired[pulumi.Input[str]]
    """PEM of what the engine's certificate is verified with: the internal roots. Without it, the public authorities: for a
    Vault elsewhere."""
    seal: NotRequired[SealKey]
    """OpenBao needs it."""
    address: NotRequired[str]
    """Of a Vault that is there already (``https://vault.example.com:8200``). Without it, Vault is installed here."""
    aws: NotRequired[SecretsManagerArgs]
    """AWS needs it."""
    replicas: NotRequired[int]
    """Servers of the engine; 3 unless told. One has no other to hold what it holds."""
    storage_class: NotRequired[str]
    """Of the engine's volumes; ``hcloud-volumes`` unless told."""
    writers: NotRequired[Sequence[str]]
    """Groups that may reach the engine by ``kubectl port-forward``; none unless told. What they may read or write there, it
    decides by their token."""


def check(args: SecretStoresArgs) -> list[Problem]:
    """What would leave tenants without secrets; keys are the arguments' names."""
    kind = args.get("engine", "openbao")
    problems: list[Problem] = []
    if kind not in ENGINES:
        return [Problem("engine", kind, "is no secrets engine", f"write one of {', '.join(ENGINES)}")]
    if kind == "openbao" and "seal" not in args:
        problems.append(
            Problem("seal", None, "is missing: OpenBao could not unseal itself", "give the shared seal key")
        )
    seal = args.get("seal")
    if seal is not None and isinstance(seal["generation"], int):
        problems += check_seal(seal["generation"], previous="previous" in seal)
    address = args.get("address")
    problems += engine_problems(kind, address=address, aws="aws" in args)
    if address is not None and urlsplit(address).scheme != "https":
        problems.append(Problem("address", address, "is not where a Vault answers over TLS", "write https://…"))
    if args.get("replicas", REPLICAS) % 2 == 0:
        remedy = "write 1, 3 or 5"
        problems.append(Problem("replicas", args.get("replicas"), "outvotes nobody: an even number", remedy))
    return problems


def _installed(args: SecretStoresArgs) -> list[str]:
    """Charts: an engine's own where it is run here."""
    kind = args.get("engine", "openbao")
    here = kind == "openbao" or (kind == "vault" and "address" not in args)
    return ["reloader", "external-secrets", *([kind] if here else [])]


def engine_problems(kind: EngineKind, *, address: object, aws: object) -> list[Problem]:
    """An engine's own settings are there with it, and with no other; keys are ``aws`` and ``address``.

    Args:
        kind: The engine.
        address, aws: What is set of these; nothing when None or False.
    """
    problems: list[Problem] = []
    if kind == "aws" and not aws:
        problems.append(Problem("aws", None, "is missing: the engine is aws", "write aws: {region: eu-central-1}"))
    for key, engine, value in (("address", "vault", address), ("aws", "aws", aws)):
        if value and kind != engine:
            remedy = f"take it out, or write engine: {engine}"
            problems.append(Problem(key, None, f"has no effect: the engine is {kind}", remedy))
    return problems


def check_seal(generation: int, *, previous: bool) -> list[Problem]:
    """Keys that OpenBao could not be told apart by."""
    if generation < 1:
        return [Problem("seal.generation", generation, "is no generation", "write a number from 1 on")]
    if previous and generation < 2:
        remedy = "leave it out: before the first generation there was no key"
        return [Problem("seal.previous", "(secret)", "belongs to no generation", remedy)]
    return []


class SecretStores(Layer):
    """External Secrets Operator, Reloader, and the engine by configuration: OpenBao, Vault or AWS Secrets Manager.

    A namespace gets its own store by `store`. OpenBao initialises and unseals itself; Vault, installed here, is initialised
    and unsealed by hand (docs/secrets.md); a Vault elsewhere and AWS are only spoken to.

    Raises:
        ProblemsError: an engine that is unknown or misses what it needs, a chart that is not pinned; nothing has been registered then.
    """

    engine: Engine
    """What `store` is given."""

    def __init__(
        self,
        name: str,
        args: SecretStoresArgs,
        opts: pulumi.ResourceOptions | None = None,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        check_arguments("SecretStores", name, args, SecretStoresArgs)
        refuse(f"SecretStores {name!r}", [*check(args), *unpinned(args["charts"], _installed(args))])
        super().__init__("SecretStores", name, args, SecretStoresArgs, opts, after)
        kind = args.get("engine", "openbao")
        charts = args["charts"]
        self.engine = self._engine(kind, args)
        self.namespace(RELOADER_NAMESPACE, "restricted", flows=_reloader_flows())
        self.namespace(OPERATOR_NAMESPACE, "restricted", flows=operator_flows(self.engine))
        self.install("reloader", charts["reloader"], RELOADER_NAMESPACE)
        self.install("external-secrets", charts["external-secrets"], OPERATOR_NAMESPACE)
        self.finish()

    def _engine(self, kind: EngineKind, args: SecretStoresArgs) -> Engine:
        authority = args.get("authority")
        if "aws" in args and kind == "aws":
            aws = args["aws"]
            prefix = aws.get("prefix", "hetzner-platform/").rstrip("/") + "/"
            return SecretsManager(aws["region"], prefix, aws.get("credentials", {}))
        if kind == "vault":
            return Vault(args["address"] if "address" in args else self._vault(args), authority)
        assert "seal" in args
        self._openbao(args, args["seal"])
        return Vault(openbao.ADDRESS, authority)

    def _openbao(self, args: SecretStoresArgs, seal: SealKey) -> None:
        replicas = args.get("replicas", REPLICAS)
        self.namespace(openbao.NAMESPACE, "restricted", flows=openbao.flows())
        self.manifest(openbao.certificate(args.get("issuer", "internal")))
        keys: dict[str, pulumi.Input[str]] = {"current": seal["key"]}
        if "previous" in seal:
            keys["previous"] = seal["previous"]
        self.secret(openbao.NAMESPACE, openbao.UNSEAL_SECRET, keys)
        self.manifest(
            _config_map(
                openbao.NAMESPACE,
                openbao.INITIALIZE,
                {
                    "initialize.sh": openbao.SCRIPT.read_text(encoding="utf-8"),
                    "initialize.json": json.dumps(openbao.initialization(), indent=2),
                    "peers": "".join(f"{peer}\n" for peer in openbao.peers(replicas)[1:]),
                },
            )
        )
        self.manifest(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": openbao.OPERATOR, "namespace": openbao.NAMESPACE},
                "automountServiceAccountToken": False,
            }
        )
        for manifest in openbao.port_forward(args.get("writers", ())):
            self.manifest(manifest)

        def server(generation: int) -> str:
            refuse("SecretStores", check_seal(generation, previous="previous" in seal))
            return json.dumps(openbao.configuration(replicas, generation, previous="previous" in seal), indent=2)

        generation = seal["generation"]
        configuration = (
            server(generation)
            if isinstance(generation, int)
            else pulumi.Output.from_input(generation).apply(lambda known: server(int(known)))
        )
        values = _servers(args, configuration)
        self.install("openbao", args["charts"]["openbao"], openbao.NAMESPACE, values=values)

    def _vault(self, args: SecretStoresArgs) -> str:
        self.namespace(VAULT_NAMESPACE, "restricted", flows=_vault_flows())
        issuer = args.get("issuer", "internal")
        self.manifest(openbao.server_certificate("vault", VAULT_NAMESPACE, "vault-tls", issuer))
        configuration = json.dumps(vault_configuration(args.get("replicas", REPLICAS)), indent=2)
        self.install("vault", args["charts"]["vault"], VAULT_NAMESPACE, values=_servers(args, configuration))
        return f"https://vault.{VAULT_NAMESPACE}.svc:{openbao.API_PORT}"


def vault_configuration(replicas: int) -> dict[str, Any]:
    """Of a Vault that is run here: as OpenBao's, without a seal and an audit device, which are set up by hand."""
    tls = "/vault/tls"
    join = [
        {"leader_api_addr": f"https://vault-{number}.vault-internal:8200", "leader_ca_cert_file": f"{tls}/ca.crt"}
        for number in range(replicas)
    ]
    listener = {
        "address": "0.0.0.0:8200",
        "cluster_address": "0.0.0.0:8201",
        "tls_cert_file": f"{tls}/tls.crt",
        "tls_key_file": f"{tls}/tls.key",
    }
    return {
        "ui": False,
        "disable_mlock": True,
        "listener": [{"tcp": listener}],
        "storage": {"raft": {"path": "/vault/data", "retry_join": join}},
    }


def operator_flows(engine: Engine) -> list[Flow]:
    """Of the External Secrets Operator: the API, its webhook, and the engine, wherever that is."""
    return [
        from_api_server(_WEBHOOK),
        from_prometheus(_METRICS),
        to_api_server(),
        Flow("to-engine", "egress", *_engine_peer(engine)),
    ]


def _engine_peer(engine: Engine) -> tuple[list[Peer], list[int]]:
    if isinstance(engine, SecretsManager):
        return [INTERNET], [443]
    peer, port = behind(engine.address), urlsplit(engine.address).port or 443
    if isinstance(peer, Pods) and peer.namespace not in (openbao.NAMESPACE, VAULT_NAMESPACE):
        # Somebody else's Service: its number need not be the pod's.
        return [peer], []
    return [peer], [port]


def _reloader_flows() -> list[Flow]:
    return [from_prometheus(_RELOADER_METRICS), to_api_server()]


def _vault_flows() -> list[Flow]:
    return [
        Flow("from-external-secrets", "ingress", [Pods(OPERATOR_NAMESPACE)], [openbao.API_PORT]),
        *within("within", openbao.API_PORT, openbao.CLUSTER_PORT),
        to_api_server(),
    ]


def _servers(args: SecretStoresArgs, configuration: pulumi.Input[str]) -> dict[str, Any]:
    replicas = args.get("replicas", REPLICAS)
    return {
        "server": {
            "ha": {"replicas": replicas, "raft": {"config": configuration}},
            "dataStorage": {"storageClass": args.get("storage_class", CLOUD_VOLUMES)},
        }
    }


def _config_map(namespace: str, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": dict(data),
    }
