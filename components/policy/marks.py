"""What the constraints know of a tenant: it stands on its namespace.

Every kind has one constraint for all tenants, which reads the object's namespace as Gatekeeper synchronised it. So adding a
tenant writes its namespace and nothing else, a tenant's facts go when its namespace goes, and a namespace without facts may
nothing. Tenants cannot change them: no persona of theirs may write namespaces.
"""

from collections.abc import Iterable
from typing import Final

HOSTS: Final = "hetzner-platform/hosts"
REACHES: Final = "hetzner-platform/reaches"
GPUS: Final = "hetzner-platform/gpus"


def tenant_annotations(hosts: Iterable[str], reaches: Iterable[str], gpus: int) -> dict[str, str]:
    """Annotations of a tenant's namespace, for the constraints.

    Args:
        hosts: Names that its routes may take.
        reaches: What its pods may ask for: ``databases``, ``internet``, ``object-store``, ``kubernetes-api``.
        gpus: Its share of GPUs in this region; 0 for none.

    Raises:
        ValueError: an entry holds a comma or white space, or is empty: it would read as another.
    """
    lists = {HOSTS: sorted(set(hosts)), REACHES: sorted(set(reaches))}
    for key, entries in lists.items():
        for entry in entries:
            if not entry or "," in entry or any(letter.isspace() for letter in entry):
                raise ValueError(f"{key}: {entry!r} is no single name")
    return {**{key: ",".join(entries) for key, entries in lists.items()}, GPUS: str(gpus)}
