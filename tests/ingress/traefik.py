"""What Traefik was told at its start: its arguments, and the file that they name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from .dump import NAMESPACE, RELEASE, Dump, Object, texts

_DEFAULT_PORTS: Mapping[str, int] = {"traefik": 8080, "metrics": 9100, "web": 80, "websecure": 443}
"""``exposedPort`` of the chart's ports."""


@dataclass(frozen=True)
class Traefik:
    """One that runs, or will once its release is made.

    Args:
        options: Its arguments by their name in small letters; those without a value are ``true``.
        file: Content of its dynamic file.
        mounts: Directory → name of the Secret that is mounted there.
        secrets: The Secrets of its namespace, their entries by name.
    """

    options: Mapping[str, str]
    file: Mapping[str, Any]
    mounts: Mapping[str, str]
    secrets: Mapping[str, Mapping[str, str]]

    def text(self, name: str) -> str:
        return self.options.get(name.lower(), "")

    def on(self, name: str) -> bool:
        return self.text(name).lower() == "true"

    def many(self, name: str) -> list[str]:
        return [part for part in self.text(name).split(",") if part]

    def entry_points(self) -> set[str]:
        names = (name.split(".") for name in self.options)
        return {parts[1] for parts in names if parts[0] == "entrypoints" and len(parts) > 2}

    def providers(self) -> set[str]:
        names = (name.split(".") for name in self.options)
        return {parts[1] for parts in names if parts[0] == "providers" and len(parts) > 1} - {
            "precedence",
            "providersthrottleduration",
        }

    def read(self, path: str) -> str | None:
        """The content of a file that comes from a Secret; None when there is none."""
        parts = PurePosixPath(path)
        secret = self.secrets.get(self.mounts.get(str(parts.parent), ""), {})
        return secret.get(parts.name)


def found(dump: Dump) -> Traefik | None:
    """As it runs, where a DaemonSet has its arguments; as its release will have it otherwise."""
    release = next((each for each in dump[RELEASE] if each["metadata"]["name"] == "traefik"), None)
    values = release["values"] if release else {}
    pods = [each["spec"]["template"]["spec"] for each in dump["DaemonSet"] if each["metadata"]["name"] == "traefik"]
    pod = next((each for each in pods if each["containers"][0].get("args")), None)
    if pod is None and release is None:
        return None
    given = pod["containers"][0]["args"] if pod else arguments(values)
    return Traefik(
        options=dict(_option(each) for each in given),
        file=_file(dump, values),
        mounts=_mounts(pod) if pod else {each["mountPath"]: each["name"] for each in values.get("volumes", ())},
        secrets={
            each["metadata"]["name"]: texts(each)
            for each in dump["Secret"]
            if each["metadata"]["namespace"] == NAMESPACE
        },
    )


def _option(argument: str) -> tuple[str, str]:
    name, _, value = argument.removeprefix("--").partition("=")
    return name.lower(), value or "true"


def _file(dump: Dump, values: Mapping[str, Any]) -> Mapping[str, Any]:
    for each in dump["ConfigMap"]:
        if each["metadata"]["name"] == "traefik-file-provider":
            return yaml.safe_load(each["data"]["config.yml"]) or {}
    return _at(values, "providers.file.content") or {}


def _mounts(pod: Object) -> dict[str, str]:
    volumes = {each["name"]: each["secret"]["secretName"] for each in pod.get("volumes", ()) if "secret" in each}
    mounts = pod["containers"][0].get("volumeMounts", ())
    return {each["mountPath"]: volumes[each["name"]] for each in mounts if each["name"] in volumes}


def arguments(values: Mapping[str, Any]) -> list[str]:
    """What the chart (41.3.0) makes of these values, as far as anything here depends on it, its defaults included.

    Held against the chart's own rendering, of ours and of no values: the same arguments, but for those that no rule reads.
    """
    made: list[str] = []

    def say(name: str, value: Any) -> None:
        if value not in (None, "", [], {}, False):
            text = ",".join(value) if isinstance(value, list) else str(value)
            made.append(f"--{name}={'true' if value is True else text}")

    ports: dict[str, Any] = {name: {} for name in _DEFAULT_PORTS} | dict(values.get("ports") or {})
    for name, port in ports.items():
        at = f"entryPoints.{name}"
        exposed = {key: each.get("exposedPort", _DEFAULT_PORTS.get(key)) for key, each in ports.items()}
        made.append(f"--{at}.address=:{port.get('port', '')}/tcp")
        say(f"{at}.asDefault", port.get("asDefault"))
        say(f"{at}.http.middlewares", _at(port, "http.middlewares"))
        redirection = _at(port, "http.redirections.entryPoint") or {}
        say(f"{at}.http.redirections.entryPoint.to", redirection and f":{exposed.get(redirection['to'])}")
        say(f"{at}.http.redirections.entryPoint.scheme", redirection.get("scheme"))
        say(f"{at}.http.redirections.entryPoint.permanent", redirection.get("permanent"))
        say(f"{at}.http.underscoreHeadersStrategy", _at(port, "http.underscoreHeadersStrategy"))
        say(f"{at}.http.tls", _at(port, "http.tls.enabled", name == "websecure"))
        say(f"{at}.http.tls.options", _at(port, "http.tls.options"))
        say(f"{at}.http3", _at(port, "http3.enabled"))
        say(f"{at}.allowACMEByPass", port.get("allowACMEByPass"))
        for trust in ("forwardedHeaders", "proxyProtocol"):
            say(f"{at}.{trust}.trustedIPs", _at(port, f"{trust}.trustedIPs"))
            say(f"{at}.{trust}.insecure", _at(port, f"{trust}.insecure"))
    for name, value in {"dashboard": True, **(values.get("api") or {})}.items():
        made.append(f"--api.{name}={'true' if value is True else 'false'}")
    if _at(values, "providers.kubernetesCRD.enabled", True):
        made.append("--providers.kubernetescrd")
    for name in ("crossProviderNamespaces", "defaultTLSResourcesNamespace", "safeNaming", "nativeLBByDefault"):
        say(f"providers.kubernetescrd.{name}", _at(values, f"providers.kubernetesCRD.{name}"))
    for name in ("allowCrossNamespace", "allowExternalNameServices", "ingressClass", "labelSelector"):
        say(f"providers.kubernetescrd.{name}", _at(values, f"providers.kubernetesCRD.{name}"))
    for name, default in {"kubernetesIngress": True, "kubernetesGateway": False, "knative": False}.items():
        if _at(values, f"providers.{name}.enabled", default):
            made.append(f"--providers.{name.lower()}")
    if _at(values, "providers.file.enabled", False):
        made.append("--providers.file.directory=/etc/traefik/dynamic")
        say("providers.file.watch", _at(values, "providers.file.watch", True))
    for name in _at(values, "experimental.plugins", {}) or {}:
        made.append(f"--experimental.plugins.{name}.modulename=")
    if _at(values, "accessLog.enabled", False):
        made += ["--accesslog=true", f"--accesslog.format={_at(values, 'accessLog.format')}"]
        made.append(f"--accesslog.fields.headers.defaultmode={_at(values, 'accessLog.fields.headers.defaultMode')}")
        names = _at(values, "accessLog.fields.headers.names", {}) or {}
        made += [f"--accesslog.fields.headers.names.{name}={mode}" for name, mode in names.items()]
        say("accesslog.fields.queryparameters.defaultmode", _at(values, "accessLog.fields.queryParameters.defaultMode"))
    return made + list(values.get("additionalArguments") or ())


def _at(values: Mapping[str, Any], path: str, default: Any = None) -> Any:
    value: Any = values
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return default if value is None else value
