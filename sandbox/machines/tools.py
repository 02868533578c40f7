"""The programs that a control plane is made of."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tools:
    """Where they are."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
