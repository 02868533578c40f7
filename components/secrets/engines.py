"""Which engine holds tenants' secrets, and how a namespace reads its own from it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict, cast

import pulumi

Manifest = dict[str, Any]

STORE: Final = "tenant"
"""The SecretStore of every tenant namespace."""
READER: Final = "secrets-reader"
"""The ServiceAccount as which a namespace's secrets are read; for AWS, the Secret with its credentials."""
WRITER: Final = "secrets-writer"
"""The ServiceAccount as which a team writes its secrets."""
MOUNT: Final = "tenants"
"""KV version 2; below it, a namespace's secrets are at ``<namespace>/<name>``."""
AUDIENCE: Final = "openbao"
"""Of the tokens that the engine takes: one that was meant for the API, or for another service, is refused."""
OPERATOR_NAMESPACE: Final = "external-secrets"
"""Of the External Secrets Operator; its account has the same name."""


class Credentials(TypedDict):
    """Of an IAM user that may read one namespace's secrets."""

    access_key_id: pulumi.Input[str]
    secret_access_key: pulumi.Input[str]
    """Secret."""


@dataclass(frozen=True)
class Vault:
    """OpenBao or Vault: both answer the same API.

    Args:
        address: Where it is, with port: ``https://openbao.openbao.svc:8200``.
        authority: PEM of what its certificate is verified with; the public authorities when None.
    """

    address: str
    authority: pulumi.Input[str] | None = None


@dataclass(frozen=True)
class SecretsManager:
    """AWS Secrets Manager.

    Args:
        region: ``eu-central-1``.
        prefix: Stands before every name, and ends with a slash; the IAM policy is confined to it.
        credentials: By namespace. A namespace without its own reads nothing: one user for all could read everybody's.
    """

    region: str
    prefix: str
    credentials: Mapping[str, Credentials] = field(default_factory=dict[str, Credentials])


Engine = Vault | SecretsManager


class MissingCredentialsError(LookupError):
    """A namespace has no credentials for AWS."""


def store(engine: Engine, namespace: str, writers: Sequence[str] = ()) -> list[Manifest]:
    """What a namespace reads its secrets with: its SecretStore ``tenant`` and the identity that this uses.

    The key of an ExternalSecret is ``<namespace>/<name>`` with every engine; the engine, not this store, refuses others.

    Args:
        engine: See `SecretStores.engine`.
        namespace: Of the tenant and environment.
        writers: Groups that write its secrets. Nothing of it concerns AWS, which has its own users.

    Raises:
        MissingCredentialsError: AWS, and no credentials for this namespace.
    """
    if isinstance(engine, SecretsManager):
        return _secrets_manager(engine, namespace)
    return [
        _account(namespace, READER),
        *_token_right(namespace, "external-secrets-token", READER, [_operator()]),
        _account(namespace, WRITER),
        *_token_right(namespace, WRITER, WRITER, [_group(group) for group in writers]),
        _store(namespace, {"vault": _vault(engine)}),
    ]


def _vault(engine: Vault) -> Manifest:
    trusted: Manifest = {} if engine.authority is None else {"caBundle": _encoded(engine.authority)}
    account = {"name": READER, "audiences": [AUDIENCE]}
    kubernetes = {"mountPath": "kubernetes", "role": READER, "serviceAccountRef": account}
    return {
        "server": engine.address,
        "path": MOUNT,
        "version": "v2",
        **trusted,
        "auth": {"kubernetes": kubernetes},
    }


def _secrets_manager(engine: SecretsManager, namespace: str) -> list[Manifest]:
    if namespace not in engine.credentials:
        raise MissingCredentialsError(f"namespace {namespace} has no credentials for AWS Secrets Manager")
    given = engine.credentials[namespace]
    texts = {"access-key-id": given["access_key_id"], "secret-access-key": given["secret_access_key"]}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": _named(namespace, READER), "stringData": texts}
    references = {
        "accessKeyIDSecretRef": {"name": READER, "key": "access-key-id"},
        "secretAccessKeySecretRef": {"name": READER, "key": "secret-access-key"},
    }
    provider = {
        "service": "SecretsManager",
        "region": engine.region,
        "prefix": engine.prefix,
        "auth": {"secretRef": references},
    }
    return [secret, _store(namespace, {"aws": provider})]


def _store(namespace: str, provider: Manifest) -> Manifest:
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "SecretStore",
        "metadata": _named(namespace, STORE),
        "spec": {"provider": provider},
    }


def _account(namespace: str, name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _named(namespace, name),
        "automountServiceAccountToken": False,
    }


def _token_right(namespace: str, name: str, account: str, subjects: Sequence[Manifest]) -> list[Manifest]:
    """The right to ask for tokens of one account; bound only if there is somebody to bind it to."""
    group = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [account], "verbs": ["create"]}
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": _named(namespace, name), "rules": [rule]}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": _named(namespace, name),
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": list(subjects),
    }
    return [role, binding] if subjects else [role]


def _operator() -> Manifest:
    return {"kind": "ServiceAccount", "name": OPERATOR_NAMESPACE, "namespace": OPERATOR_NAMESPACE}


def _group(name: str) -> Manifest:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}


def _named(namespace: str, name: str) -> Manifest:
    return {"name": name, "namespace": namespace}


def _encoded(pem: pulumi.Input[str]) -> pulumi.Input[str]:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    return (
        encoded(pem)
        if isinstance(pem, str)
        else pulumi.Output.from_input(cast("pulumi.Output[str]", pem)).apply(encoded)
    )
