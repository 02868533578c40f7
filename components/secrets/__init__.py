"""Secrets that outlive a region, each with a generation number."""

from .authority import CertificateAuthority, CertificateAuthorityArgs
from .generations import check_generations
from .shared_secrets import SHARED_SECRETS, SharedSecrets, SharedSecretsArgs

__all__ = [
    "SHARED_SECRETS",
    "CertificateAuthority",
    "CertificateAuthorityArgs",
    "SharedSecrets",
    "SharedSecretsArgs",
    "check_generations",
]
