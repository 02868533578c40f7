"""A cluster's API as the kubernetes provider uses it, through the official client: discovery and raw objects of any kind."""

import json
import threading
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote

from ...package import ProviderError

Manifest = dict[str, Any]

_SECONDS: Final = (5.0, 30.0)
"""To connect, and to be answered."""

_THROTTLED_TRIES: Final = 10
_LONGEST_PAUSE: Final = 10.0


class UnreachableError(ProviderError):
    """No answer came from the cluster."""


class UnknownKindError(ProviderError):
    """The cluster does not have this kind, or not yet."""


class ApiError(ProviderError):
    """The API refused.

    Args:
        status: HTTP status.
        reason: Kubernetes' own word for it, such as ``AlreadyExists``.
        message: What it said.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Cluster:
    """One API server.

    Args:
        kubeconfig: Its text, parsed.
        context: Of the kubeconfig's contexts, unless the current one.
        cancelled: Ends pauses.
    """

    def __init__(self, kubeconfig: Mapping[str, Any], context: str | None, cancelled: threading.Event) -> None:
        # The client costs half a second to import.
        from kubernetes import client, config  # noqa: PLC0415

        settings = client.Configuration()
        # What is tried again is decided here, and the kubeconfig alone says by which way the cluster is reached.
        settings.retries = False  # pyright: ignore[reportAttributeAccessIssue]
        settings.proxy = None
        try:
            self._client: Any = config.new_client_from_config_dict(
                dict(kubeconfig), context=context, client_configuration=settings
            )
        except (config.ConfigException, ValueError) as error:
            raise UnreachableError(f"the kubeconfig cannot be used: {error}") from error
        self.host = str(settings.host)
        self._cancelled = cancelled
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    # -- objects; their place is told by apiVersion, kind and metadata

    def create(self, manifest: Manifest, manager: str, *, dry: bool) -> Manifest:
        """POST: an object that is there is not touched, but refused."""
        collection, namespace = self._collection(manifest["apiVersion"], manifest["kind"])
        path = collection.format(namespace=_namespace(manifest) if namespace else "")
        return self._ask("POST", path, _options(manager, dry), manifest)

    def apply(self, manifest: Manifest, manager: str, *, force: bool, dry: bool) -> Manifest:
        """Server-side apply: fields of other managers are refused, unless they are forced."""
        options = [*_options(manager, dry), ("force", str(force).lower())]
        return self._ask("PATCH", self._path(manifest), options, manifest, "application/apply-patch+yaml")

    def replace(self, manifest: Manifest, manager: str, *, dry: bool) -> Manifest:
        """PUT."""
        return self._ask("PUT", self._path(manifest), _options(manager, dry), manifest)

    def patch(self, manifest: Manifest, operations: list[dict[str, Any]]) -> Manifest:
        """A JSON patch."""
        return self._ask("PATCH", self._path(manifest), [], operations, "application/json-patch+json")

    def get(self, manifest: Mapping[str, Any]) -> Manifest | None:
        """The object; None when it is gone, or its kind is."""
        try:
            return self._ask("GET", self._path(manifest))
        except UnknownKindError:
            return None
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def items(self, api_version: str, kind: str, namespace: str, selector: str) -> list[Manifest]:
        """Objects of a namespace with these labels."""
        collection, _ = self._collection(api_version, kind)
        found = self._ask("GET", collection.format(namespace=namespace), [("labelSelector", selector)])
        return cast("list[Manifest]", found.get("items") or [])

    def delete(self, manifest: Manifest, propagation: str) -> None:
        """Ask for the deletion; an object that is gone already is no error."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        try:
            self._ask("DELETE", self._path(manifest), [], options)
        except UnknownKindError:
            return
        except ApiError as error:
            if error.status != 404:
                raise

    # -- kinds

    def knows(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the cluster has the object's kind."""
        try:
            self._collection(manifest["apiVersion"], manifest["kind"])
        except UnknownKindError:
            return False
        return True

    def is_namespaced(self, manifest: Mapping[str, Any]) -> bool:
        """Whether objects of this kind live in namespaces."""
        return self._collection(manifest["apiVersion"], manifest["kind"])[1]

    def _path(self, manifest: Mapping[str, Any]) -> str:
        collection, namespaced = self._collection(manifest["apiVersion"], manifest["kind"])
        namespace = _namespace(manifest) if namespaced else ""
        return f"{collection.format(namespace=namespace)}/{quote(str(manifest['metadata']['name']), safe='')}"

    def _collection(self, api_version: str, kind: str) -> tuple[str, bool]:
        """Path of a kind's collection with a gap for the namespace, and whether there is that gap."""
        base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        if kind not in self._kinds.get(api_version, {}):
            # Asked again as long as it is not there: its definition may have come since.
            self._kinds[api_version] = self._discover(base)
        if kind not in self._kinds[api_version]:
            raise UnknownKindError(
                f"the cluster at {self.host} has no {kind} in {api_version}: are its definitions installed?"
            )
        plural, namespaced = self._kinds[api_version][kind]
        return f"{base}/namespaces/{{namespace}}/{plural}" if namespaced else f"{base}/{plural}", namespaced

    def _discover(self, base: str) -> dict[str, tuple[str, bool]]:
        try:
            resources = cast("list[dict[str, Any]]", self._ask("GET", base)["resources"])
        except ApiError as error:
            if error.status != 404:
                raise
            return {}
        return {each["kind"]: (each["name"], each["namespaced"]) for each in resources if "/" not in each["name"]}

    # -- requests

    def _ask(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Manifest:
        """A request and its answer; when told to come back later, it does."""
        status, headers, content = self._send(method, path, query or [], body, content_type)
        for _ in range(_THROTTLED_TRIES):
            pause = headers.get("Retry-After", "")
            if not pause.isdigit() or not (status == 429 or status >= 500):
                break
            if self._cancelled.wait(min(float(pause), _LONGEST_PAUSE)):
                break
            status, headers, content = self._send(method, path, query or [], body, content_type)
        if status >= 400:
            message = str(content.get("message") or f"HTTP {status}")
            raise ApiError(status, str(content.get("reason") or ""), message)
        return content

    def _send(
        self, method: str, path: str, query: list[tuple[str, str]], body: Any, content_type: str
    ) -> tuple[int, Mapping[str, str], Manifest]:
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            request = self._client.param_serialize(
                method, path, query_params=query, header_params=headers, auth_settings=["BearerToken"]
            )
            # Objects go as they are: the client would convert what looks like one of its models.
            request = (*request[:3], body, None)
            answer = self._client.call_api(*request, _request_timeout=_SECONDS)
            content = answer.read()
        except (ApiException, HTTPError, OSError) as error:
            reason = " ".join(str(getattr(error, "reason", None) or error).split())
            raise UnreachableError(
                f"the cluster at {self.host} does not answer ({type(error).__name__}: {reason[:300]})"
            ) from error
        return int(answer.status), cast("Mapping[str, str]", answer.getheaders()), _parsed(content)


def _options(manager: str, dry: bool) -> list[tuple[str, str]]:
    return [("fieldManager", manager), *([("dryRun", "All")] if dry else [])]


def _namespace(manifest: Mapping[str, Any]) -> str:
    return quote(str(manifest["metadata"].get("namespace") or "default"), safe="")


def _parsed(content: bytes | None) -> Manifest:
    try:
        parsed: Any = json.loads(content or b"{}")
    except ValueError:
        return {"message": (content or b"").decode(errors="replace")[:200]}
    return cast("Manifest", parsed) if isinstance(parsed, dict) else {}
