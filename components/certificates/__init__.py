"""Certificates inside a cluster: the operators, the region's own CA with its trust bundle, and public ones by ACME."""

from .certificates import Certificates, CertificatesArgs
from .issuers import (
    ACME_DIRECTORY,
    ACME_ISSUER,
    BUNDLE,
    CERTIFICATES_NAMESPACE,
    INTERNAL_ISSUER,
    TRUST_LABEL,
    Acme,
    InternalCa,
    acme_issuer,
    bundle,
    check,
    internal_issuer,
)

__all__ = [
    "ACME_DIRECTORY",
    "ACME_ISSUER",
    "BUNDLE",
    "CERTIFICATES_NAMESPACE",
    "INTERNAL_ISSUER",
    "TRUST_LABEL",
    "Acme",
    "Certificates",
    "CertificatesArgs",
    "InternalCa",
    "acme_issuer",
    "bundle",
    "check",
    "internal_issuer",
]
