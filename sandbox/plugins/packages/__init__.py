"""The providers, one module each."""

import importlib

from ..package import Package, ProviderError, Surroundings
from ..skipped import skipped

NAMES = ("cloudflare", "hcloud", "kubernetes", "minio", "random", "tls")


def open_package(name: str, surroundings: Surroundings | None = None) -> Package:
    """A new, unconfigured provider.

    Raises:
        ProviderError: the sandbox has no such provider.
    """
    if name not in NAMES:
        raise ProviderError(f"the sandbox has no plugin for {name}; it has {', '.join(NAMES)}")
    # Imported when asked for: a plugin process serves one package, and tls alone needs `cryptography`.
    module = importlib.import_module(f"{__name__}.{name}")
    kind: type[Package] = module.PACKAGE
    return (skipped(kind) if surroundings and name in surroundings.skipped else kind)(surroundings)
