"""k3s's configuration as it is found on a disk, and the arguments that it gives to the Kubernetes components."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, cast

import yaml

from .join import RefusedError

STATE: Final = "var/lib/rancher/k3s/server"

_CIPHERS: Final = (
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,"
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,"
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"
)
_DEFAULTS: Final[Mapping[str, str]] = {
    "cluster-cidr": "10.42.0.0/16",
    "service-cidr": "10.43.0.0/16",
    "service-node-port-range": "30000-32767",
    "cluster-domain": "cluster.local",
}
_CRITICAL: Final = (
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "disable-cloud-controller",
    "disable-helm-controller",
    "disable-kube-proxy",
    "disable-network-policy",
    "embedded-registry",
    "flannel-backend",
    "secrets-encryption",
    "secrets-encryption-provider",
    "service-cidr",
    "service-node-port-range",
)
"""What all servers of a cluster must have alike, or k3s refuses to join."""


@dataclass(frozen=True)
class K3sConfig:
    """``config.yaml`` with its drop-ins: a later file wins, ``key+`` adds to what was there."""

    values: Mapping[str, Any]

    @classmethod
    def read(cls, disk: Path) -> "K3sConfig":
        """From ``/etc/rancher/k3s`` of a disk.

        Raises:
            RefusedError: a file is no mapping in YAML.
        """
        directory = disk / "etc/rancher/k3s"
        values: dict[str, Any] = {}
        for path in [directory / "config.yaml", *sorted((directory / "config.yaml.d").glob("*.yaml"))]:
            for key, value in _read(path).items():
                if key.endswith("+"):
                    values[key[:-1]] = [*_listed(values.get(key[:-1])), *_listed(value)]
                else:
                    values[key] = value
        return cls(values)

    def text(self, key: str) -> str:
        """A value as text, k3s's default if it has one; else empty."""
        return str(self.values.get(key) or _DEFAULTS.get(key, ""))

    def list(self, key: str) -> "list[str]":
        """A value as a list of texts."""
        return [str(item) for item in _listed(self.values.get(key))]

    def argument(self, component: str, name: str) -> str:
        """The first value of an argument in ``<component>-arg``; empty when it is not there."""
        pairs = (argument.removeprefix("--").partition("=") for argument in self.list(f"{component}-arg"))
        return next((value for key, _, value in pairs if key == name), "")

    def critical(self) -> dict[str, str]:
        """What must be alike on all servers."""
        return {key: self.text(key) for key in _CRITICAL}

    @property
    def dns_address(self) -> str:
        """Where names are resolved: the tenth address of the services, unless it is given."""
        return self.text("cluster-dns") or str(ip_network(self.text("service-cidr"))[10])

    @property
    def service_address(self) -> str:
        """The first address of the services: the API's own, inside."""
        return str(ip_network(self.text("service-cidr"))[1])


def api_server_arguments(config: K3sConfig, disk: Path, address: str) -> list[str]:
    """What k3s starts kube-apiserver with, its paths below ``disk``.

    Defaults are those of k3s's ``pkg/daemons/control/server.go``; what the configuration gives replaces them. Other than
    in k3s the API server listens on 6443 itself, so ``advertise-port``, which k3s adds to it, is not there; and it reaches
    kubelets without the tunnel, so there is no egress selector.

    Args:
        config: As it was found.
        disk: Of the machine.
        address: Loopback address to listen on.
    """
    state, tls = disk / STATE, disk / STATE / "tls"
    issuer = f"https://kubernetes.default.svc.{config.text('cluster-domain')}"
    defaults = {
        "advertise-address": config.text("advertise-address") or config.text("node-ip") or address,
        "allow-privileged": "true",
        "anonymous-auth": "false",
        "api-audiences": f"{issuer},k3s",
        "authorization-mode": "Node,RBAC",
        "bind-address": address,
        "cert-dir": str(tls / "temporary-certs"),
        "client-ca-file": str(tls / "client-ca.crt"),
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
        "secure-port": "6443",
        "service-account-issuer": issuer,
        "service-account-key-file": str(tls / "service.key"),
        "service-account-signing-key-file": str(tls / "service.current.key"),
        "service-cluster-ip-range": config.text("service-cidr"),
        "service-node-port-range": config.text("service-node-port-range"),
        "storage-backend": "etcd3",
        "tls-cert-file": str(tls / "serving-kube-apiserver.crt"),
        "tls-cipher-suites": _CIPHERS,
        "tls-min-version": "VersionTLS12",
        "tls-private-key-file": str(tls / "serving-kube-apiserver.key"),
        # Only for a metric: six servers would count all their keys every minute.
        "etcd-count-metric-poll-period": "0",
    }
    if config.values.get("secrets-encryption"):
        defaults["encryption-provider-config"] = str(state / "cred/encryption-config.json")
        defaults["encryption-provider-config-automatic-reload"] = "true"
    # The API server refuses the flags beside these files, and so k3s leaves them out.
    if config.argument("kube-apiserver", "authentication-config"):
        del defaults["anonymous-auth"]
    if config.argument("kube-apiserver", "authorization-config"):
        del defaults["authorization-mode"]
    return merged(defaults, config.list("kube-apiserver-arg"), disk, address)


def controller_manager_arguments(config: K3sConfig, disk: Path, address: str, kubeconfig: Path) -> list[str]:
    """What k3s starts kube-controller-manager with.

    Other than in k3s one runs for a cluster, so it elects nobody, and Nodes have five minutes to report: this computer
    may be busy.
    """
    tls = disk / STATE / "tls"
    defaults = {
        "allocate-node-cidrs": "true",
        "authentication-kubeconfig": str(kubeconfig),
        "authorization-kubeconfig": str(kubeconfig),
        "bind-address": address,
        "cluster-cidr": config.text("cluster-cidr"),
        "cluster-signing-kube-apiserver-client-cert-file": str(tls / "client-ca.nochain.crt"),
        "cluster-signing-kube-apiserver-client-key-file": str(tls / "client-ca.key"),
        "cluster-signing-kubelet-client-cert-file": str(tls / "client-ca.nochain.crt"),
        "cluster-signing-kubelet-client-key-file": str(tls / "client-ca.key"),
        "cluster-signing-kubelet-serving-cert-file": str(tls / "server-ca.nochain.crt"),
        "cluster-signing-kubelet-serving-key-file": str(tls / "server-ca.key"),
        "cluster-signing-legacy-unknown-cert-file": str(tls / "server-ca.nochain.crt"),
        "cluster-signing-legacy-unknown-key-file": str(tls / "server-ca.key"),
        "controllers": "*,tokencleaner",
        "kubeconfig": str(kubeconfig),
        "leader-elect": "false",
        "node-monitor-grace-period": "5m",
        "profiling": "false",
        "root-ca-file": str(tls / "server-ca.crt"),
        "secure-port": "10257",
        "service-account-private-key-file": str(tls / "service.current.key"),
        "service-cluster-ip-range": config.text("service-cidr"),
        "tls-cert-file": str(tls / "serving-kube-controller-manager.crt"),
        "tls-private-key-file": str(tls / "serving-kube-controller-manager.key"),
        "use-service-account-credentials": "true",
    }
    return merged(defaults, config.list("kube-controller-manager-arg"), disk, address)


def scheduler_arguments(config: K3sConfig, disk: Path, address: str, kubeconfig: Path) -> list[str]:
    """What k3s starts kube-scheduler with. One runs for a cluster, so it elects nobody."""
    tls = disk / STATE / "tls"
    defaults = {
        "authentication-kubeconfig": str(kubeconfig),
        "authorization-kubeconfig": str(kubeconfig),
        "bind-address": address,
        "kubeconfig": str(kubeconfig),
        "leader-elect": "false",
        "profiling": "false",
        "secure-port": "10259",
        "tls-cert-file": str(tls / "serving-kube-scheduler.crt"),
        "tls-private-key-file": str(tls / "serving-kube-scheduler.key"),
    }
    return merged(defaults, config.list("kube-scheduler-arg"), disk, address)


def merged(defaults: Mapping[str, str], extra: Sequence[str], disk: Path, address: str) -> list[str]:
    """Arguments with those of the configuration, as k3s merges them: they replace, ``key+`` adds, ``key-`` puts first.

    Paths of the machine become paths of this computer, and "all addresses" the machine's own.
    """
    found: dict[str, list[str]] = {}
    left = dict(defaults)
    for argument in extra:
        name, separator, value = argument.removeprefix("--").partition("=")
        value = _here(value, disk, address) if separator else "true"
        key = name.rstrip("+-")
        before = [left[key]] if key in left and name != key else []
        given = [*before, *found.get(key, [])]
        found[key] = [value, *given] if name.endswith("-") else [*given, value]
        left.pop(key, None)
    found.update({key: [value] for key, value in left.items()})
    return [f"--{key}={value}" for key in sorted(found) for value in found[key]]


def _here(value: str, disk: Path, address: str) -> str:
    if value == "0.0.0.0":  # noqa: S104  it is replaced
        return address
    return f"{disk}{value}" if value.startswith("/") else value


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise RefusedError(f"{path.name}: {error}") from error
    if content is not None and not isinstance(content, dict):
        raise RefusedError(f"{path.name}: it is no mapping")
    return cast("dict[str, Any]", content or {})


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else [value]
