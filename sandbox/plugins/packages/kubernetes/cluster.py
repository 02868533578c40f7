"""A cluster's API, as the kubernetes provider uses it: discovery, server-side apply, foreground deletes."""

import json
import threading
import time
from typing import Any, Final, cast

import yaml

from ...package import ProviderError

Manifest = dict[str, Any]

_FIELD_MANAGER: Final = "pulumi-kubernetes"
_TIMEOUT: Final = 20.0
_DELETE_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.2


class Cluster:
    """One API server, by the current context of a kubeconfig."""

    def __init__(self, kubeconfig: str) -> None:
        # The client costs half a second to import.
        from kubernetes import config  # noqa: PLC0415

        loaded: dict[str, Any] = yaml.safe_load(kubeconfig)
        self._client: Any = config.new_client_from_config_dict(loaded)
        self._client.configuration.retries = False
        self._host = str(self._client.configuration.host)
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    def apply(self, manifest: Manifest) -> Manifest:
        """Create the object or change it; what others manage is not taken from them unless the annotation says so."""
        annotations = cast("dict[str, str]", manifest["metadata"].get("annotations") or {})
        force = str(annotations.get("pulumi.com/patchForce") == "true").lower()
        query = f"?fieldManager={_FIELD_MANAGER}&force={force}&fieldValidation=Strict"
        status, content = self._ask("PATCH", self._path(manifest) + query, manifest, "application/apply-patch+yaml")
        return self._checked(status, content, manifest)

    def get(self, manifest: Manifest) -> Manifest | None:
        """The object; None when there is none."""
        status, content = self._ask("GET", self._path(manifest))
        return None if status == 404 else self._checked(status, content, manifest)

    def delete(self, manifest: Manifest, cancelled: threading.Event) -> None:
        """Delete the object after everything that it owns, and wait until it is gone.

        Raises:
            ProviderError: it does not go in time.
        """
        path = self._path(manifest)
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
        status, content = self._ask("DELETE", path, options)
        if status != 404:
            self._checked(status, content, manifest)
        deadline = time.monotonic() + _DELETE_SECONDS
        while self._ask("GET", path)[0] != 404:
            if cancelled.wait(_POLL_SECONDS) or time.monotonic() > deadline:
                finalizers = ", ".join(content.get("metadata", {}).get("finalizers") or []) or "none"
                raise ProviderError(f"{_named(manifest)} is still there; its finalizers: {finalizers}")

    def _path(self, manifest: Manifest) -> str:
        group_version, kind = str(manifest["apiVersion"]), str(manifest["kind"])
        plural, namespaced = self._discover(group_version, kind)
        metadata = manifest["metadata"]
        base = f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
        namespace = f"/namespaces/{metadata.get('namespace') or 'default'}" if namespaced else ""
        return f"{base}{namespace}/{plural}/{metadata['name']}"

    def _discover(self, group_version: str, kind: str) -> tuple[str, bool]:
        if kind not in self._kinds.get(group_version, {}):
            base = f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
            status, content = self._ask("GET", base)
            found: dict[str, tuple[str, bool]] = {}
            if status == 200:
                resources = cast("list[dict[str, Any]]", content["resources"])
                found = {
                    each["kind"]: (each["name"], each["namespaced"]) for each in resources if "/" not in each["name"]
                }
            self._kinds[group_version] = found
        if kind not in self._kinds[group_version]:
            raise ProviderError(
                f"the cluster at {self._host} knows no {kind} in {group_version}: is its definition installed?"
            )
        return self._kinds[group_version][kind]

    def _ask(
        self, method: str, path: str, body: Manifest | None = None, content: str = "application/json"
    ) -> tuple[int, Manifest]:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        headers = {"Accept": "application/json", "Content-Type": content}
        try:
            answer = self._client.call_api(method, self._host + path, headers, body, _request_timeout=_TIMEOUT)
        except ApiException as error:
            return int(error.status), _parsed(error.body)
        except (HTTPError, OSError) as error:
            raise ProviderError(f"the cluster at {self._host} does not answer ({type(error).__name__})") from error
        return int(answer.status), _parsed(answer.data if answer.data is not None else answer.read())

    def _checked(self, status: int, content: Manifest, manifest: Manifest) -> Manifest:
        if status >= 400:
            raise ProviderError(f"{_named(manifest)}: {content.get('message') or f'HTTP {status}'}")
        return content


def _parsed(content: Any) -> Manifest:
    try:
        parsed: Any = json.loads(content or "{}")
    except ValueError:
        return {"message": str(content)[:200]}
    return cast("Manifest", parsed) if isinstance(parsed, dict) else {}


def _named(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return f"{manifest['kind']} {metadata.get('namespace', '')}/{metadata['name']}".replace(" /", " ")
