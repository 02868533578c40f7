"""Charts named and versioned as upstream ones, made of what charts/workloads.yaml says that those run.

Real are the pods' names, labels, numbers, requests, security and places, the Services, the claims, the StorageClasses, and
the names of the kinds that they define. Nothing in them does anything: no image, no webhook, no account, no disruption budget.
"""

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import yaml

from .definitions import at, definitions
from .storage_classes import storage_classes

REGISTRY: Final = "stand-in.invalid"

_OWN: Final = "stand-in.invalid/workload"

_CHECKOUT: Final = Path(__file__).resolve().parents[2]
_REQUESTS: Final = _CHECKOUT / "components" / "layer" / "requests.py"
_WORKLOADS: Final = _CHECKOUT / "charts" / "workloads.yaml"

_SERVERS: Final = {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}
_PLACES: Final[Mapping[str, tuple[Mapping[str, str], Sequence[Mapping[str, str]]]]] = {
    "agents": ({}, ()),
    "servers": ({"node-role.kubernetes.io/control-plane": "true"}, (_SERVERS,)),
    "every": ({}, ({"operator": "Exists"},)),
    "storage": ({"node.longhorn.io/create-default-disk": "true"}, ()),
    "gpu": ({"nvidia.com/gpu": "present"}, ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},)),
}
"""Node selector and tolerations by where a workload runs."""

_SECURITY: Final[Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]] = {
    "restricted": (
        {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    ),
    "baseline": ({}, {}),
    "privileged": ({}, {"privileged": True}),
}
"""Security context of pod and container, each the least that its level allows."""


class ChartError(Exception):
    """No stand-in can be made; the message says what charts/workloads.yaml lacks."""


@dataclass(frozen=True)
class StandIn:
    """A chart of a release.

    Args:
        name, version: As upstream's.
        objects: What goes with a release.
        kept: Definitions that Helm keeps.
    """

    name: str
    version: str
    objects: list[dict[str, Any]]
    kept: list[dict[str, Any]]


def stand_in(
    chart: str,
    version: str,
    release: str,
    values: Mapping[str, Any],
    *,
    real_definitions: Path | None = None,
    listing: Path = _WORKLOADS,
) -> StandIn:
    """The chart for a release with these values.

    Args:
        chart, version: Of the upstream chart.
        release: Name of the release, which the pods' labels tell.
        values: All values of the release.
        real_definitions: See `definitions`.
        listing: What charts run.

    Raises:
        ChartError: the listing does not tell, or tells something else than the values hold.
    """
    going, kept = definitions(chart, values, real_definitions)
    made = [*going, *storage_classes(chart, values), *objects(chart, version, release, values, listing)]
    return StandIn(chart, version, made, kept)


def write_chart(made: StandIn, directory: Path) -> None:
    """Write it as a chart that Helm installs."""
    metadata = {
        "apiVersion": "v2",
        "name": made.name,
        "version": made.version,
        "appVersion": made.version,
        "description": "Stands in for the chart of this name",
    }
    (directory / "templates").mkdir(parents=True)
    (directory / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    if made.kept:
        (directory / "crds").mkdir()
        (directory / "crds" / "kept.yaml").write_text(yaml.safe_dump_all(made.kept))
    # Taken as it is: what looks like a template in it is none.
    (directory / "objects.yaml").write_text(yaml.safe_dump_all(made.objects))
    (directory / "templates" / "objects.yaml").write_text('{{ .Files.Get "objects.yaml" }}\n')


def objects(
    chart: str, version: str, release: str, values: Mapping[str, Any], listing: Path = _WORKLOADS
) -> list[dict[str, Any]]:
    """Workloads and Services of a chart with these values.

    Raises:
        ChartError: as of `stand_in`.
    """
    reader = _reader()
    try:
        wanted = reader.workloads(chart, values, listing)
        by_name = {each["name"]: each for each in reader.listed(listing)[chart]}
        return [
            made
            for workload in wanted
            for made in _Entry(f"{chart}/{workload.name}", by_name[workload.name], values).objects(
                workload, {"chart": chart, "version": version, "release": release}
            )
        ]
    except (LookupError, ValueError) as error:
        raise ChartError(f"no stand-in for the chart {chart}: {error}") from error


@cache
def _reader() -> Any:
    """The reader of requests, without its package: that imports the SDKs, which take a plugin a second."""
    name = f"{__name__}.requests"
    spec = importlib.util.spec_from_file_location(name, _REQUESTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class _Entry:
    """A workload's entry in the listing, with the values that its paths lead into."""

    name: str
    entry: Mapping[str, Any]
    values: Mapping[str, Any]

    def objects(self, workload: Any, of: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        labels: dict[str, str] = {
            "app.kubernetes.io/name": workload.name,
            "app.kubernetes.io/instance": of["release"],
            **self.entry.get("labels", {}),
        }
        services = self._services()
        metadata = {"name": workload.name, "labels": labels}
        # Two workloads may carry the same labels, as upstream's do: each must know its own pods.
        own = {**labels, _OWN: workload.name}
        pod = {
            "metadata": {"labels": own},
            "spec": self._pod(workload, f"{REGISTRY}/{of['chart']}/{workload.name}:{of['version']}", services),
        }
        yield self._workload(workload, metadata, own, pod, services)
        for service in services:
            yield self._service(service, labels)

    def _workload(
        self,
        workload: Any,
        metadata: dict[str, Any],
        own: dict[str, str],
        pod: dict[str, Any],
        services: list[dict[str, Any]],
    ) -> dict[str, Any]:
        selected = {"selector": {"matchLabels": own}, "template": pod}
        match workload.kind:
            case "Deployment":
                spec = {"replicas": workload.replicas, **selected}
            case "DaemonSet":
                spec = selected
            case "StatefulSet":
                governing = next((each["name"] for each in services), workload.name)
                spec = {
                    "replicas": workload.replicas,
                    "serviceName": governing,
                    "volumeClaimTemplates": [self._claim(each) for each in self.entry.get("claims", [])],
                    **selected,
                }
            case "Job":
                # Jobs of charts are hooks: Helm waits for them, and makes them anew for each revision.
                hook = {
                    "helm.sh/hook": "post-install,post-upgrade",
                    "helm.sh/hook-delete-policy": "before-hook-creation",
                }
                pod["spec"]["restartPolicy"] = "Never"
                return {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "metadata": {**metadata, "annotations": hook},
                    "spec": {"completions": workload.replicas, "parallelism": workload.replicas, "template": pod},
                }
            case _:
                raise ValueError(f"{self.name}: {workload.kind!r} is no kind of workload")
        return {"apiVersion": "apps/v1", "kind": workload.kind, "metadata": metadata, "spec": spec}

    def _pod(self, workload: Any, image: str, services: list[dict[str, Any]]) -> dict[str, Any]:
        level = self.entry.get("security", "restricted")
        if level not in _SECURITY:
            raise ValueError(f"{self.name}: {level!r} is no level of security")
        pod_security, security = _SECURITY[level]
        selector, tolerations = _PLACES[workload.on]
        if "nodeSelector" in self.entry:
            selector = cast("Mapping[str, str]", at(self.values, self.entry["nodeSelector"]) or {})
        if "tolerations" in self.entry:
            tolerations = cast("Sequence[Mapping[str, str]]", at(self.values, self.entry["tolerations"]) or ())
        requests = {
            **({"cpu": f"{workload.cpu}m"} if workload.cpu else {}),
            **({"memory": f"{workload.memory}Mi"} if workload.memory else {}),
        }
        container = {
            "name": workload.name,
            "image": image,
            "resources": {"requests": requests},
            "securityContext": dict(security),
            "ports": list(
                {
                    (each["containerPort"], each["protocol"]): each
                    for service in services
                    for each in self._container_ports(service)
                }.values()
            ),
        }
        claims = self.entry.get("claims", [])
        if claims:
            container["volumeMounts"] = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in claims]
        return {
            "automountServiceAccountToken": False,
            "hostNetwork": bool(self.entry.get("hostNetwork", False)),
            "securityContext": dict(pod_security),
            "nodeSelector": dict(selector),
            "tolerations": [dict(each) for each in tolerations],
            "containers": [container],
            **(_apart(workload.name) if self.entry.get("apart") else {}),
        }

    def _services(self) -> list[dict[str, Any]]:
        given: Any = self.entry.get("service", [])
        listed = cast("list[dict[str, Any]]", given if isinstance(given, list) else [given])
        return [{"name": self.entry["name"], **each} for each in listed]

    def _container_ports(self, service: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for port in cast("list[dict[str, Any]]", service["ports"]):
            target, protocol = port.get("targetPort", port["port"]), port.get("protocol", "TCP")
            if _is_number_or_path(target):
                yield {"containerPort": self._number(target), "protocol": protocol}
            else:
                yield {"name": target, "containerPort": self._number(port["port"]), "protocol": protocol}

    def _service(self, service: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
        ports: list[dict[str, Any]] = []
        for port in cast("list[dict[str, Any]]", service["ports"]):
            target = port.get("targetPort", port["port"])
            ports.append(
                {
                    "name": port["name"],
                    "protocol": port.get("protocol", "TCP"),
                    "port": self._number(port["port"]),
                    "targetPort": self._number(target) if _is_number_or_path(target) else target,
                    **({"nodePort": self._number(port["nodePort"])} if "nodePort" in port else {}),
                }
            )
        policy = service.get("externalTrafficPolicy")
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": service["name"], "labels": dict(labels)},
            "spec": {
                "type": service.get("type", "ClusterIP"),
                "selector": dict(labels),
                "ports": ports,
                **({"clusterIP": "None"} if service.get("headless") else {}),
                **({"externalTrafficPolicy": policy} if policy else {}),
            },
        }

    def _claim(self, claim: Mapping[str, Any]) -> dict[str, Any]:
        size = str(claim["size"])
        size = size if size[:1].isdigit() else str(self._value(size))
        storage = self._value(claim["class"]) if "class" in claim else None
        return {
            "metadata": {"name": claim["name"]},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": size}},
                **({"storageClassName": storage} if storage is not None else {}),
            },
        }

    def _number(self, given: int | str) -> int:
        found = given if isinstance(given, int) else self._value(given)
        if not isinstance(found, int):
            raise ValueError(f"{self.name}: the values hold no number at {given}")
        return found

    def _value(self, path: str) -> Any:
        found = at(self.values, path)
        if found is None:
            raise ValueError(f"{self.name}: the values hold nothing at {path}")
        return found


def _apart(name: str) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": {_OWN: name}}, "topologyKey": "kubernetes.io/hostname"}
    return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def _is_number_or_path(target: int | str) -> bool:
    """Ports' names have no dots, paths have."""
    return isinstance(target, int) or "." in target
