"""What an API server holds of the ingress, as a plain mapping: kind → objects. Helm's releases are among them.

A dump is data: it can be kept, changed, and looked at without a cluster.
"""

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from sandbox.deployment import Deployment
from sandbox.plugins.values import Secret
from tests.discovery import discovered

Object = dict[str, Any]
Dump = dict[str, list[Object]]

NAMESPACE = "traefik"
TRAEFIK = "traefik.io/v1alpha1"
RELEASE = "Release"
"""Not a kind of Kubernetes: ``metadata``, and the ``values`` that a release was installed with."""

KINDS: Mapping[str, str] = {
    "Service": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "IngressRoute": TRAEFIK,
    "IngressRouteTCP": TRAEFIK,
    "IngressRouteUDP": TRAEFIK,
    "Middleware": TRAEFIK,
    "ServersTransport": TRAEFIK,
    "TLSOption": TRAEFIK,
    "TLSStore": TRAEFIK,
    "TraefikService": TRAEFIK,
}
"""Kinds that are read in every namespace, and their API."""

OWN_KINDS: Mapping[str, str] = {"DaemonSet": "apps/v1", "ConfigMap": "v1", "Secret": "v1"}
"""Kinds that are read in the ingress's own namespace: nobody needs anybody else's secrets for this."""


def load(client: ApiClient) -> Dump:
    """Read it from an API server; kinds that it does not know are empty."""
    api = discovered(client)
    made = {kind: _listed(api, kind, version, None) for kind, version in KINDS.items()}
    made |= {kind: _listed(api, kind, version, NAMESPACE) for kind, version in OWN_KINDS.items()}
    made[RELEASE] = [release for secret in made["Secret"] if (release := _release(secret)) is not None]
    made["Secret"] = [secret for secret in made["Secret"] if _release(secret) is None]
    return made


def _listed(api: Any, kind: str, version: str, namespace: str | None) -> list[Object]:
    try:
        resource = api.resources.get(api_version=version, kind=kind)
    except ResourceNotFoundError:
        return []
    # Items of the kinds that Kubernetes brings do not tell their kind.
    return [{**item, "kind": kind} for item in api.get(resource, namespace=namespace).to_dict()["items"]]


def _release(secret: Object) -> Object | None:
    """What Helm keeps in a Secret, if it is the release's present state."""
    if secret.get("type") != "helm.sh/release.v1":
        return None
    told = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    if told["info"]["status"] != "deployed":
        return None
    return release(told["name"], told["namespace"], told.get("config") or {})


def release(name: str, namespace: str, values: Mapping[str, Any]) -> Object:
    return {"kind": RELEASE, "metadata": {"name": name, "namespace": namespace}, "values": dict(values)}


def from_objects(objects: Iterable[Object]) -> Dump:
    """From manifests."""
    made: Dump = {kind: [] for kind in (*KINDS, *OWN_KINDS, RELEASE)}
    for each in objects:
        if each["kind"] in made:
            made[each["kind"]].append(each)
    return made


def from_deployment(deployment: Deployment) -> Dump:
    """What a program made, if nothing in a cluster had come of it yet."""
    objects: list[Object] = []
    for state in deployment.states:
        told = _plain(state.outputs)
        if state.type.startswith("kubernetes:helm.sh"):
            objects.append(release(told["name"], told["namespace"], told["values"]))
        elif state.type.startswith("kubernetes:"):
            objects.append(told)
    return from_objects(objects)


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return _plain(value.value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def texts(secret: Object) -> dict[str, str]:
    """The entries of a Secret."""
    coded = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
    return coded | dict(secret.get("stringData") or {})
