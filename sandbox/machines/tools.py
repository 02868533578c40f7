"""The programs that a control plane is made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROGRAMS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Names of the executables, in the order of `Tools`."""


@dataclass(frozen=True)
class Tools:
    """Where they are."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
