"""k3s's configuration as it is found on a disk, and the arguments that it gives to the Kubernetes API server."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

STATE: Final = "var/lib/rancher/k3s/server"

_CIPHERS: Final = (
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,"
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,"
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"
)


@dataclass(frozen=True)
class K3sConfig:
    """``config.yaml`` with its drop-ins: a later file wins, ``key+`` adds to what was there."""

    values: Mapping[str, Any]

    @classmethod
    def read(cls, disk: Path) -> "K3sConfig":
        """From ``/etc/rancher/k3s`` of a disk."""
        directory = disk / "etc/rancher/k3s"
        values: dict[str, Any] = {}
        for path in [directory / "config.yaml", *sorted((directory / "config.yaml.d").glob("*.yaml"))]:
            if not path.exists():
                continue
            for key, value in cast("dict[str, Any]", yaml.safe_load(path.read_text()) or {}).items():
                if key.endswith("+"):
                    values[key[:-1]] = [*_listed(values.get(key[:-1])), *_listed(value)]
                else:
                    values[key] = value
        return cls(values)

    def text(self, key: str) -> str:
        """A value as text; empty when it is not set."""
        return str(self.values.get(key) or "")

    def list(self, key: str) -> "list[str]":
        """A value as a list of texts."""
        return [str(item) for item in _listed(self.values.get(key))]

    def arguments(self, key: str) -> dict[str, str]:
        """``<component>-arg`` as a mapping."""
        pairs = (argument.partition("=") for argument in self.list(key))
        return {name: value for name, _, value in pairs}


def api_server_arguments(config: K3sConfig, disk: Path, address: str, private: str) -> list[str]:
    """What k3s would start kube-apiserver with, its paths below ``disk``.

    Defaults are those of k3s's ``pkg/daemons/control/server.go``; what the configuration gives wins. k3s serves through
    its own listener on 6443, here the API server listens there itself.

    Args:
        config: As it was found.
        disk: Of the machine.
        address: Loopback address to listen on.
        private: Address that the machine has in its Network, which is advertised.
    """
    tls = disk / STATE / "tls"
    own = config.arguments("kube-apiserver-arg")
    defaults: dict[str, str] = {
        "advertise-address": private,
        "advertise-port": "6443",
        "allow-privileged": "true",
        "anonymous-auth": "false",
        "api-audiences": "https://kubernetes.default.svc.cluster.local,k3s",
        "authorization-mode": "Node,RBAC",
        "bind-address": address,
        "secure-port": "6443",
        "cert-dir": str(disk / STATE / "tls/temporary-certs"),
        "client-ca-file": str(tls / "client-ca.crt"),
        "egress-selector-config-file": "",
        "enable-admission-plugins": "NodeRestriction",
        "enable-aggregator-routing": "true",
        "enable-bootstrap-token-auth": "true",
        "etcd-cafile": str(tls / "etcd/server-ca.crt"),
        "etcd-certfile": str(tls / "etcd/client.crt"),
        "etcd-keyfile": str(tls / "etcd/client.key"),
        "etcd-servers": f"https://{address}:2379",
        "kubelet-certificate-authority": str(tls / "server-ca.crt"),
        "kubelet-client-certificate": str(tls / "client-kube-apiserver.crt"),
        "kubelet-client-key": str(tls / "client-kube-apiserver.key"),
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "profiling": "false",
        "proxy-client-cert-file": str(tls / "client-auth-proxy.crt"),
        "proxy-client-key-file": str(tls / "client-auth-proxy.key"),
        "requestheader-allowed-names": "system:auth-proxy",
        "requestheader-client-ca-file": str(tls / "request-header-ca.crt"),
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": str(tls / "service.key"),
        "service-account-signing-key-file": str(tls / "service.key"),
        "service-cluster-ip-range": config.text("service-cidr") or "10.43.0.0/16",
        "service-node-port-range": config.text("service-node-port-range") or "30000-32767",
        "storage-backend": "etcd3",
        "tls-cert-file": str(tls / "serving-kube-apiserver.crt"),
        "tls-cipher-suites": _CIPHERS,
        "tls-min-version": "VersionTLS12",
        "tls-private-key-file": str(tls / "serving-kube-apiserver.key"),
    }
    if config.values.get("secrets-encryption"):
        defaults["encryption-provider-config"] = str(disk / STATE / "cred/encryption-config.json")
        defaults["encryption-provider-config-automatic-reload"] = "true"
    if "authentication-config" in own:
        # The API server refuses both together, and so k3s leaves it out.
        del defaults["anonymous-auth"]
    merged = {**defaults, **{name: _on_disk(value, disk) for name, value in own.items()}}
    return [f"--{name}={value}" for name, value in sorted(merged.items()) if value]


def _on_disk(value: str, disk: Path) -> str:
    """A path of the machine as a path of this one."""
    return f"{disk}{value}" if value.startswith(("/var/", "/etc/")) else value


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else [value]
