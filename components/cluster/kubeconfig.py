"""The administrator's kubeconfig, written without asking the cluster: its CA is ours."""

import base64
from dataclasses import dataclass

import yaml


@dataclass(frozen=True)
class Endpoint:
    """Where people, the engine and CI reach the API: the servers' public addresses, never the load balancer."""

    address: str
    """Host name or address, with a port if it is not 6443."""
    tls_server_name: str
    """The name that the server's certificate is checked against."""

    @property
    def url(self) -> str:
        """``https://<host>:<port>``."""
        return f"https://{self.address if ':' in self.address else f'{self.address}:6443'}"


def render(cluster: str, endpoint: Endpoint, ca: str, certificate: str, key: str) -> str:
    """A kubeconfig (YAML) with one cluster, one user and one context, all called ``cluster``.

    Args:
        ca: The root that signs the API servers' certificates, PEM.
        certificate: The administrator's client certificate with its chain, PEM.
        key: Its private key, PEM.
    """

    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster,
                    "cluster": {
                        "server": endpoint.url,
                        "tls-server-name": endpoint.tls_server_name,
                        "certificate-authority-data": encoded(ca),
                    },
                }
            ],
            "users": [
                {
                    "name": cluster,
                    "user": {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)},
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
            "current-context": cluster,
        },
        sort_keys=False,
    )
