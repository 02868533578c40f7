"""OpenBao's configuration, and what it makes of itself when it starts for the first time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ..layer import Flow, Pods, from_prometheus, to_api_server, within
from .engines import AUDIENCE, MOUNT, OPERATOR_NAMESPACE, READER, WRITER, Manifest

NAMESPACE: Final = "openbao"
ADDRESS: Final = f"https://openbao.{NAMESPACE}.svc:8200"
API_PORT: Final = 8200
CLUSTER_PORT: Final = 8201
TLS_SECRET: Final = "openbao-tls"  # noqa: S105  a name
UNSEAL_SECRET: Final = "openbao-unseal"  # noqa: S105
INITIALIZE: Final = "openbao-initialize"
OPERATOR: Final = "operator"
"""The ServiceAccount of the namespace as which operators administer the engine."""

TLS: Final = "/openbao/tls"
UNSEAL: Final = "/openbao/unseal"
DATA: Final = "/openbao/data"
SCRIPT: Final = Path(__file__).parent / "files" / "initialize.sh"

_OWN_NAMESPACE: Final = (
    '{{ "{{" }}identity.entity.aliases.{{ .responses.auth.mount.data.accessor }}'
    '.metadata.service_account_namespace{{ "}}" }}'
)
"""Written by OpenBao: it knows the accessor of its Kubernetes login only once that is there. In the policy then stands
the namespace of whoever asks."""
_READ: Final = ("read",)
_WRITE: Final = ("create", "read", "update", "patch", "delete", "list")
_EVERYTHING: Final = (*_WRITE, "scan", "sudo")


def peers(replicas: int) -> list[str]:
    """How the servers reach each other."""
    return [f"https://openbao-{number}.openbao-internal:{API_PORT}" for number in range(replicas)]


def key_id(generation: int) -> str:
    """The name of a seal key; it must change with the key."""
    return f"generation-{generation}"


def configuration(replicas: int, generation: int, *, previous: bool) -> dict[str, Any]:
    """What every server is started with.

    Args:
        replicas: How many there are.
        generation: Of the seal key.
        previous: Whether the key before is given too, so that what it sealed is sealed anew.
    """
    seal = {"current_key_id": key_id(generation), "current_key": f"file://{UNSEAL}/current"}
    if previous:
        seal |= {"previous_key_id": key_id(generation - 1), "previous_key": f"file://{UNSEAL}/previous"}
    listener = {
        "address": f"0.0.0.0:{API_PORT}",
        "cluster_address": f"0.0.0.0:{CLUSTER_PORT}",
        "tls_cert_file": f"{TLS}/tls.crt",
        "tls_key_file": f"{TLS}/tls.key",
        "tls_min_version": "tls13",
        # Only Prometheus reaches the port, beside the operator that reads secrets.
        "telemetry": {"unauthenticated_metrics_access": True},
    }
    # Without a word beside them, its parser takes the options for the device's name.
    audit = {"description": "Every request and its answer.", "options": {"file_path": "stdout"}}
    join = [{"leader_api_addr": peer, "leader_ca_cert_file": f"{TLS}/ca.crt"} for peer in peers(replicas)]
    return {
        "ui": False,
        "listener": [{"tcp": listener}],
        "storage": {"raft": {"path": DATA, "performance_multiplier": 1, "retry_join": join}},
        "seal": {"static": seal},
        "audit": [{"file": {"stdout": audit}}],
        "telemetry": {"prometheus_retention_time": "24h", "disable_hostname": True},
    }


def initialization() -> dict[str, Any]:
    """Requests that the first server sends itself, once; the root token that they are sent with is revoked after them.

    A new tenant changes nothing here: one role serves every namespace, and one policy names the namespace of whoever asks.
    """
    auth = [
        _request("kubernetes", "update", "sys/auth/kubernetes", {"type": "kubernetes"}),
        _request("mount", "read", "sys/auth/kubernetes"),
        _request("config", "update", "auth/kubernetes/config", {"kubernetes_host": "https://kubernetes.default.svc"}),
    ]
    tenants = [
        _request("mount", "update", f"sys/mounts/{MOUNT}", {"type": "kv", "options": {"version": "2"}}),
        _policy(READER, [(f"data/{_OWN_NAMESPACE}/*", _READ), (f"metadata/{_OWN_NAMESPACE}/*", ("read", "list"))]),
        _policy(WRITER, [(f"{part}/{_OWN_NAMESPACE}/*", _WRITE) for part in _PARTS]),
        _role(READER, READER, "*", "10m"),
        _role(WRITER, WRITER, "*", "1h"),
    ]
    everything = f'path "*" {{ capabilities = {_listed(_EVERYTHING)} }}'
    operators = [
        _request("policy", "update", f"sys/policies/acl/{OPERATOR}", {"policy": everything}),
        _role(OPERATOR, OPERATOR, NAMESPACE, "1h"),
        # Nobody gets it. But without any recovery key, nothing is sealed anew when the seal's key is handed over.
        _request("recovery", "update", "sys/rotate/recovery/init", {"secret_shares": 1, "secret_threshold": 1}),
    ]
    stanzas = {"auth": auth, "tenants": tenants, "operators": operators}
    return {"initialize": [{name: {"request": requests}} for name, requests in stanzas.items()]}


_PARTS: Final = ("data", "metadata", "delete", "undelete", "destroy")
"""Of a KV mount, version 2."""


def _request(name: str, operation: str, path: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    return {name: {"operation": operation, "path": path, **({"data": data} if data else {})}}


def _policy(name: str, paths: Sequence[tuple[str, Sequence[str]]]) -> dict[str, Any]:
    lines = [f'path "{MOUNT}/{path}" {{ capabilities = {_listed(can)} }}' for path, can in paths]
    text = {"eval_source": "template", "eval_type": "string", "template": "\n".join(lines)}
    return _request(f"policy-{name}", "update", f"sys/policies/acl/{name}", {"policy": text})


def _role(name: str, account: str, namespaces: str, lasts: str) -> dict[str, Any]:
    data = {
        "bound_service_account_names": [account],
        "bound_service_account_namespaces": [namespaces],
        "audience": AUDIENCE,
        "token_policies": [name],
        "token_ttl": lasts,
        "token_max_ttl": lasts,
    }
    return _request(f"role-{name}", "update", f"auth/kubernetes/role/{name}", data)


def _listed(capabilities: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{each}"' for each in capabilities) + "]"


def certificate(issuer: str) -> Manifest:
    """The servers' certificate, from a ClusterIssuer, for every name that they are asked by."""
    return server_certificate("openbao", NAMESPACE, TLS_SECRET, issuer)


def server_certificate(name: str, namespace: str, secret: str, issuer: str) -> Manifest:
    """A certificate for a StatefulSet ``name`` that has the Services ``name`` and ``name-internal``."""
    domains = (f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    names = [name, *(name + domain for domain in domains)]
    internal = f"*.{name}-internal"
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": secret, "namespace": namespace, "annotations": {"pulumi.com/waitFor": "condition=Ready"}},
        "spec": {
            "secretName": secret,
            "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": issuer},
            "commonName": f"{name}.{namespace}.svc",
            "dnsNames": [*names, internal, *(internal + domain for domain in domains), "localhost"],
            "ipAddresses": ["127.0.0.1"],
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "server auth", "client auth"],
            "duration": "2160h",
            "renewBefore": "720h",
        },
    }


def port_forward(groups: Sequence[str]) -> list[Manifest]:
    """What ``kubectl port-forward`` to the engine needs, for groups; what they may do there, the engine decides."""
    group = "rbac.authorization.k8s.io"
    named = {"name": "port-forward", "namespace": NAMESPACE}
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create"]},
    ]
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": named,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "port-forward"},
        "subjects": [{"apiGroup": group, "kind": "Group", "name": name} for name in groups],
    }
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": named, "rules": rules}
    return [role, binding] if groups else []


def flows() -> list[Flow]:
    """Who talks to the servers, and to whom they talk: each other, and the API, which knows whose a token is."""
    return [
        Flow("from-external-secrets", "ingress", [Pods(OPERATOR_NAMESPACE)], [API_PORT]),
        *within("within", API_PORT, CLUSTER_PORT),
        from_prometheus(API_PORT),
        to_api_server(),
    ]
