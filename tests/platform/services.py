"""Tenants' services, installed by real Helm as what Argo CD deploys with."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .cluster import RegionCluster

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/service"
ACCOUNTS, GATEWAY = "accounts-production", "gateway-production"


def values(tenant: str, service: str, **more: Any) -> dict[str, Any]:
    """Of a service in production."""
    image = {"repository": f"registry.example.com/{tenant}/{service}", "digest": f"sha256:{'0' * 64}"}
    owner = {"accounts": "team-accounts", "gateway": "team-edge"}[tenant]
    return {"tenant": tenant, "environment": "production", "owner": owner, "image": image, **more}


USERS = values(
    "accounts",
    "users",
    route={"hosts": ["accounts.example.com"], "pathPrefix": "/", "authenticated": True},
    reaches={"databases": True, "objectStore": True},
    secrets=["database"],
    metrics={"enabled": True, "port": 9090, "path": "/metrics"},
    mesh={"enabled": True, "clients": ["frontend"]},
)
ROUTER = values(
    "gateway",
    "router",
    route={"hosts": ["api.example.com"], "pathPrefix": "/", "authenticated": False},
    reaches={"databases": True, "internet": True},
)


@dataclass
class Services:
    """Of a region's cluster.

    Args:
        cluster: Where they are.
        program: Helm.
    """

    cluster: RegionCluster
    program: Path
    done: bool = False

    def install(self) -> None:
        """Both, once."""
        if not self.done:
            # What External Secrets would write, once somebody has put it into the store.
            metadata = {"name": "users-database", "namespace": ACCOUNTS}
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"PASSWORD": "none"}}
            self.cluster.apply(secret)
            for name, namespace, given in (("users", ACCOUNTS, USERS), ("router", GATEWAY, ROUTER)):
                answer = self.helm("upgrade", name, namespace, given, "--install")
                assert answer.returncode == 0, answer.stderr
        self.done = True

    def helm(
        self, action: str, name: str, namespace: str, given: dict[str, Any], *options: str, account: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """As the account that Argo CD takes in the namespace. It reads no Secrets: releases are kept in ConfigMaps."""
        kubeconfig = self.cluster.directory / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(yaml.safe_dump(self.cluster.kubeconfig))
        place = account or namespace
        who = [f"--kube-as-user=system:serviceaccount:{place}:argocd-sync"]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{place}", "system:authenticated")
        who += [f"--kube-as-group={group}" for group in groups]
        return subprocess.run(
            [
                *(str(self.program), action, name, str(CHART), "--namespace", namespace, "--values", "-"),
                *("--kubeconfig", str(kubeconfig), *who, *options),
            ],
            input=json.dumps(given),
            env={"HELM_DRIVER": "configmap", "HOME": str(self.cluster.directory), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
