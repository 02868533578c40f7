"""Names and labels of what we make in the cloud: the one place that knows how they are built."""

import re
from collections.abc import Mapping

MAX_NAME = 63
"""Server names are RFC 1123 host names of at most 63 characters, and node names follow them."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")

CLUSTER_LABEL = "cluster"
"""Every selector names the cluster: two clusters live in one project."""

PLATFORM_LABEL = "platform"
"""On what belongs to no cluster; its value is the program's name."""


class InvalidNameError(ValueError):
    """A name that Hetzner or Kubernetes would refuse."""


def check_name(name: str) -> str:
    """Return ``name`` if it is an RFC 1123 label of at most 63 characters.

    Raises:
        InvalidNameError: it is not.
    """
    if len(name) > MAX_NAME:
        raise InvalidNameError(f"{name!r} has {len(name)} characters; at most {MAX_NAME} are allowed")
    if not _LABEL.fullmatch(name):
        raise InvalidNameError(
            f"{name!r} is not a DNS label (RFC 1123): use lower-case letters, digits and '-', "
            "beginning and ending with a letter or digit"
        )
    return name


def machine_name(cluster: str, pool: str, number: int, generation: int = 1) -> str:
    """Name of a machine and of its node: ``fsn1-general-2``, and ``fsn1-general-2-g3`` in its third generation.

    The name changes with the generation so that k3s does not refuse a "duplicate node name".
    """
    suffix = "" if generation == 1 else f"-g{generation}"
    return check_name(f"{cluster}-{pool}-{number}{suffix}")


def labels(cluster: str, **others: str) -> dict[str, str]:
    """Labels of an object that belongs to ``cluster``."""
    return {CLUSTER_LABEL: cluster, **others}


def selector(wanted: Mapping[str, str]) -> str:
    """Hetzner's label selector for objects that carry all of ``wanted``."""
    return ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))
