"""Secrets that outlive a region, each with a generation number; and the store that gives a cluster's tenants theirs."""

from .authority import CertificateAuthority, CertificateAuthorityArgs, intermediate
from .engines import Credentials, Engine, MissingCredentialsError, SecretsManager, Vault, store
from .generations import check_generations
from .secret_stores import (
    ENGINES,
    EngineKind,
    SealKey,
    SecretsManagerArgs,
    SecretStores,
    SecretStoresArgs,
    engine_problems,
)
from .shared_secrets import SHARED_SECRETS, SharedSecrets, SharedSecretsArgs

__all__ = [
    "ENGINES",
    "SHARED_SECRETS",
    "CertificateAuthority",
    "CertificateAuthorityArgs",
    "Credentials",
    "Engine",
    "EngineKind",
    "MissingCredentialsError",
    "SealKey",
    "SecretStores",
    "SecretStoresArgs",
    "SecretsManager",
    "SecretsManagerArgs",
    "SharedSecrets",
    "SharedSecretsArgs",
    "Vault",
    "check_generations",
    "engine_problems",
    "intermediate",
    "store",
]
