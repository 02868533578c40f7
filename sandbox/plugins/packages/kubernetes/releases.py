"""Releases of charts: what the real provider does with Helm's library is done here with Helm's command line.

Installed, upgraded and uninstalled as it does; a release that was made but did not become ready is recorded and upgraded by
the next run. Charts that upstream publishes are stand-ins (`sandbox.charts`) unless they are to be fetched.
"""

import base64
import contextlib
import gzip
import json
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import yaml

from ....charts import PARSER, ChartError, stand_in, write_chart
from ...check import Failure
from ...package import Change, Created, PartiallyCreated, ProviderError, Read
from ...values import Properties, Unknown, contains
from . import troubles
from .cluster import Cluster
from .helm import Helm, HelmError

DEFAULT_SECONDS: Final = 300
"""The real provider's, for releases that are waited for."""

_SWITCHES: Final[Mapping[str, Mapping[str, str]]] = {
    "install": {"createNamespace": "--create-namespace", "replace": "--replace"},
    "upgrade": {
        "cleanupOnFail": "--cleanup-on-fail",
        "forceUpdate": "--force",
        "resetValues": "--reset-values",
        "reuseValues": "--reuse-values",
    },
}
_COMMON_SWITCHES: Final = {
    "atomic": "--atomic",
    "dependencyUpdate": "--dependency-update",
    "devel": "--devel",
    "disableOpenapiValidation": "--disable-openapi-validation",
    "disableWebhooks": "--no-hooks",
    "renderSubchartNotes": "--render-subchart-notes",
    "skipCrds": "--skip-crds",
    "takeOwnership": "--take-ownership",
}
_REFUSED: Final = {
    "allowNullValues": "nulls in values",
    "keyring": "keyrings",
    "lint": "linting",
    "postrender": "post-renderers",
    "recreatePods": "an option that Helm gave up",
    "valueYamlFiles": "files of values: give them as values",
    "verify": "signatures of charts",
}
_REFUSED_OF_REPOSITORIES: Final = ("caFile", "certFile", "keyFile", "password", "username")


@dataclass(frozen=True)
class Live:
    """A release as Helm wrote it down.

    Args:
        name, namespace: Its place.
        chart, version, app_version: What it was made of.
        revision: Counted from 1.
        status: ``deployed``, ``failed``, ``pending-install`` and the like.
        values: That were given.
        objects: What it made, hooks left out.
        hooks: Objects that its hooks made.
    """

    name: str
    namespace: str
    chart: str
    version: str
    app_version: str
    revision: int
    status: str
    values: dict[str, Any]
    objects: list[dict[str, Any]]
    hooks: list[dict[str, Any]]


# -- inputs


def check(inputs: Properties, namespace: str, *, real_charts: bool, definitions: Path | None) -> list[Failure]:
    """What is wrong with the inputs; what is not given is filled in.

    Args:
        inputs: Of the right types.
        namespace: The provider's own, for releases without one.
        real_charts: Whether Helm fetches charts.
        definitions: See `sandbox.charts.definitions`.
    """
    inputs["namespace"] = inputs.get("namespace") or namespace or "default"
    if not inputs.get("skipAwait"):
        inputs.setdefault("timeout", DEFAULT_SECONDS)
    failures = [
        Failure(name, f"the sandbox's Helm does not do {what}") for name, what in _REFUSED.items() if inputs.get(name)
    ]
    options = inputs.get("repositoryOpts")
    if isinstance(options, dict):
        failures += [
            Failure(f"repositoryOpts.{name}", "the sandbox's Helm takes no credentials of repositories")
            for name in _REFUSED_OF_REPOSITORIES
            if options.get(name)
        ]
    timeout = inputs.get("timeout")
    if isinstance(timeout, int) and timeout < 0:
        failures.append(Failure("timeout", "must not be negative: seconds"))
    return failures or _check_chart(inputs, real_charts=real_charts, definitions=definitions)


def _check_chart(inputs: Properties, *, real_charts: bool, definitions: Path | None) -> list[Failure]:
    if isinstance(inputs["chart"], Unknown) or contains(inputs.get("repositoryOpts"), Unknown):
        return []
    local = local_chart(inputs)
    if local is not None:
        metadata = _metadata(local)
        if not metadata.get("name") or not metadata.get("version"):
            return [Failure("chart", f"{local}/Chart.yaml names no name and version")]
        # As the real provider does: what a chart's edit changes must show.
        inputs["version"] = str(metadata["version"])
        return []
    if str(inputs["chart"]).startswith((".", "/")):
        return [Failure("chart", f"there is no chart at {inputs['chart']}: a directory with Chart.yaml, or an archive")]
    if real_charts:
        return []
    if not inputs.get("version"):
        return [Failure("version", "is required here: a stand-in is named and versioned as the chart that is pinned")]
    if contains(inputs.get("values"), Unknown) or contains(inputs.get("version"), Unknown):
        return []
    try:
        _stand_in(inputs, definitions)
    except ChartError as error:
        return [Failure("chart", str(error))]
    return []


def _metadata(chart: Path) -> dict[str, Any]:
    if chart.is_file():
        return {"name": chart.name, "version": chart.name}
    try:
        found: Any = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    except yaml.YAMLError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def local_chart(inputs: Properties) -> Path | None:
    """The chart's directory or archive, if it is told by its path."""
    options = inputs.get("repositoryOpts")
    if isinstance(options, dict) and options.get("repo"):
        return None
    path = Path(str(inputs["chart"]))
    return path.resolve() if (path / "Chart.yaml").is_file() or (path.suffix == ".tgz" and path.is_file()) else None


def diff(change: Change, new: Properties, outputs: Properties) -> Change:
    """What changes: between inputs, and between what is given and what is there."""
    changed = list(change.changed)
    if "version" not in changed and not contains(new.get("version"), Unknown):
        there = outputs.get("version")
        if there and new.get("version") and _bare(new["version"]) != _bare(there):
            changed.append("version")
    if "values" not in changed and not _holds(outputs.get("values") or {}, new.get("values") or {}):
        changed.append("values")
    return Change(tuple(sorted(changed)), change.replaces, change.delete_before_replace)


def _bare(version: Any) -> str:
    return str(version).removeprefix("v")


def _holds(there: Any, wanted: Any) -> bool:
    """Whether what is there holds everything that is wanted; it may hold more."""
    if isinstance(there, dict) and isinstance(wanted, dict):
        known = cast("dict[str, Any]", there)
        return all(
            name in known and _holds(known[name], value) for name, value in cast("dict[str, Any]", wanted).items()
        )
    return bool(there == wanted)


# -- the life of a release


class Releases:
    """The releases of a cluster.

    Args:
        helm: Runs Helm for it.
        cluster: The cluster.
        real_charts: Whether Helm fetches charts.
        definitions: See `sandbox.charts.definitions`.
    """

    def __init__(self, helm: Helm, cluster: Cluster, *, real_charts: bool, definitions: Path | None) -> None:
        self._helm, self._cluster = helm, cluster
        self._real_charts, self._definitions = real_charts, definitions

    def make(self, inputs: Properties) -> Created:
        """Install it.

        Raises:
            PartiallyCreated: it is there, but not ready.
            ProviderError: it is not there, or belongs to somebody else.
        """
        if (there := self.find(inputs)) is not None and not inputs.get("replace"):
            raise ProviderError(f"{_named(inputs)} is there already, {_whose(there)}")
        try:
            self._run("install", inputs)
        except HelmError as error:
            live, why = self.find(inputs), self._explained(error, inputs)
            if live is None:
                raise ProviderError(f"{_named(inputs)} was not installed: {why}") from error
            raise PartiallyCreated(
                _id(inputs), outputs(inputs, live), f"{_named(inputs)} was installed, but {why}"
            ) from error
        return Created(_id(inputs), outputs(inputs, self._found(inputs)))

    def change(self, inputs: Properties) -> Properties:
        """Upgrade it.

        Raises:
            PartiallyCreated: it was changed, but is not ready.
            ProviderError: it was not changed.
        """
        before = self.find(inputs)
        if before is None:
            raise ProviderError(f"{_named(inputs)} is gone, so it cannot be changed: refresh first")
        try:
            self._run("upgrade", inputs)
        except HelmError as error:
            live, why = self.find(inputs), self._explained(error, inputs)
            if live is None or live.revision == before.revision:
                raise ProviderError(f"{_named(inputs)} was not changed: {why}") from error
            raise PartiallyCreated(
                _id(inputs), outputs(inputs, live), f"{_named(inputs)} was changed, but {why}"
            ) from error
        return outputs(inputs, self._found(inputs))

    def read(self, id: str, inputs: Properties, known: Properties) -> Read | None:
        """It as it is now; None when it is gone."""
        given = inputs or known
        if given:
            live = self.find(given)
            return None if live is None else Read(outputs(given, live), inputs)
        namespace, _, name = id.rpartition("/")
        place: Properties = {"name": name, "namespace": namespace or "default"}
        live = self.find(place)
        if live is None:
            return None
        imported: Properties = {**place, "chart": live.chart, "version": live.version, "timeout": DEFAULT_SECONDS}
        if live.values:
            imported["values"] = live.values
        return Read(outputs(imported, live), imported)

    def remove(self, known: Properties) -> None:
        """Uninstall it; one that is gone is no error.

        Raises:
            ProviderError: it is still there, or something of it.
        """
        live = self.find(known)
        if live is None:
            return
        waits = known.get("atomic") or not known.get("skipAwait")
        timeout = ["--wait", "--timeout", f"{_seconds(known)}s"] if waits else []
        hooks = ["--no-hooks"] if known.get("disableWebhooks") else []
        try:
            self._helm.run(
                ["uninstall", live.name, "--namespace", live.namespace, "--ignore-not-found", *timeout, *hooks]
            )
        except HelmError as error:
            left = troubles.left_over(self._cluster, live.namespace, live.objects)
            raise ProviderError(f"{_named(known)} cannot be uninstalled: {error}{left}") from error

    def find(self, place: Properties) -> Live | None:
        """The newest revision of a release; None when there is none.

        Raises:
            UnreachableError: the cluster does not answer.
        """
        selector = f"owner=helm,name={place['name']},status!=superseded"
        secrets = self._cluster.items("v1", "Secret", str(place["namespace"]), selector)
        newest = max(secrets, key=lambda each: int(each["metadata"]["labels"]["version"]), default=None)
        return None if newest is None else _decoded(newest["data"]["release"])

    def _found(self, inputs: Properties) -> Live:
        live = self.find(inputs)
        if live is None:
            raise ProviderError(f"{_named(inputs)} was installed, and is gone already")
        return live

    def _run(self, action: str, inputs: Properties) -> None:
        switches = {**_COMMON_SWITCHES, **_SWITCHES[action]}
        options = [switch for name, switch in switches.items() if inputs.get(name)]
        if not inputs.get("skipAwait") or inputs.get("atomic"):
            options.append("--wait")
            options += ["--wait-for-jobs"] if inputs.get("waitForJobs") else []
        if description := inputs.get("description"):
            options += ["--description", str(description)]
        if action == "upgrade":
            options += ["--history-max", str(inputs.get("maxHistory") or 0)]
        place = ["--namespace", str(inputs["namespace"]), "--timeout", f"{_seconds(inputs)}s"]
        with self._chart(inputs) as chart:
            self._helm.run([action, str(inputs["name"]), *chart, *place, *options], values=_values(inputs))

    @contextlib.contextmanager
    def _chart(self, inputs: Properties) -> Generator[Sequence[str]]:
        """The arguments that tell Helm where the chart is."""
        local = local_chart(inputs)
        if local is not None:
            yield [str(local)]
        elif self._real_charts:
            options = cast("dict[str, Any]", inputs.get("repositoryOpts") or {})
            version = ["--version", str(inputs["version"])] if inputs.get("version") else []
            yield [str(inputs["chart"]), *version, *(["--repo", str(options["repo"])] if options.get("repo") else [])]
        else:
            with tempfile.TemporaryDirectory(prefix="chart-") as directory:
                try:
                    made = _stand_in(inputs, self._definitions)
                except ChartError as error:
                    raise ProviderError(f"{_named(inputs)}: {error}") from error
                write_chart(made, Path(directory) / made.name)
                yield [str(Path(directory) / made.name)]

    def _explained(self, error: HelmError, inputs: Properties) -> str:
        """What to do about it, with what the cluster tells."""
        said = str(error)
        if "deadline exceeded" in said or "timed out waiting" in said:
            live = self.find(inputs)
            found = (
                troubles.of_release(self._cluster, str(inputs["namespace"]), live.objects + live.hooks) if live else []
            )
            why = "; ".join(found) or "Helm does not say what it waited for"
            return f"was not ready within {_seconds(inputs)} s: {why}. Mend that and run again, or give it a longer timeout"
        if told := troubles.of_webhook(said):
            return told
        if "another operation" in said:
            place = f"{inputs['name']} --namespace {inputs['namespace']}"
            return (
                f"an earlier run was killed in the middle of it: {said}. `helm rollback {place}` brings the last revision back "
                f"that worked; without one, `helm uninstall {place}`; then refresh and run again"
            )
        if _is_unfetched(said):
            options = cast("dict[str, Any]", inputs.get("repositoryOpts") or {})
            source = options.get("repo") or inputs["chart"]
            return (
                f"its chart {inputs['chart']} {inputs.get('version', '')} cannot be fetched from {source}: {said}. Run again when "
                "the repository answers, or pin another repository or version"
            )
        return f"Helm failed: {said}"


def outputs(inputs: Properties, live: Live) -> Properties:
    """What is told of a release, as the real provider tells it."""
    names: dict[str, list[str]] = {}
    for each in live.objects:
        metadata = cast("dict[str, Any]", each.get("metadata") or {})
        group, _, _ = str(each.get("apiVersion")).rpartition("/")
        kind = f"{each.get('kind')}.{group}" if group else str(each.get("kind"))
        space = metadata.get("namespace")
        names.setdefault(f"{kind}/{each.get('apiVersion')}", []).append(
            f"{space}/{metadata.get('name')}" if space else str(metadata.get("name"))
        )
    told: dict[str, Any] = {
        **inputs,
        "values": _merged(cast("dict[str, Any]", inputs.get("values") or {}), live.values),
        "version": live.version,
        "resourceNames": {kind: sorted(found) for kind, found in sorted(names.items())},
        "status": {
            "appVersion": live.app_version,
            "chart": live.chart,
            "name": live.name,
            "namespace": live.namespace,
            "revision": live.revision,
            "status": live.status,
            "version": live.version,
        },
    }
    return cast("Properties", told)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    made = dict(below)
    for name, value in above.items():
        old: Any = made.get(name)
        both = isinstance(old, dict) and isinstance(value, dict)
        made[name] = _merged(cast("dict[str, Any]", old), cast("dict[str, Any]", value)) if both else value
    return made


def _decoded(data: str) -> Live:
    """A revision from the Secret in which Helm keeps it."""
    told: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(data))))
    metadata = told["chart"]["metadata"]
    hooks = cast("list[dict[str, Any]]", told.get("hooks") or [])
    return Live(
        name=told["name"],
        namespace=told["namespace"],
        chart=metadata["name"],
        version=metadata["version"],
        app_version=metadata.get("appVersion") or "",
        revision=told["version"],
        status=told["info"]["status"],
        values=told.get("config") or {},
        objects=_parsed(told.get("manifest") or ""),
        hooks=[parsed for hook in hooks for parsed in _parsed(hook["manifest"])],
    )


def _parsed(manifest: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for document in manifest.split("\n---"):
        # Some definitions hold what YAML 1.1 does not allow; nothing is looked for in them.
        with contextlib.suppress(yaml.YAMLError):
            parsed: Any = yaml.load(document.removeprefix("---"), Loader=PARSER)  # noqa: S506  it is a safe one
            if isinstance(parsed, dict):
                found.append(cast("dict[str, Any]", parsed))
    return found


def _whose(there: Live) -> str:
    place = f"{there.name} --namespace {there.namespace}"
    state = f"{there.status} at revision {there.revision}"
    if there.status == "deployed":
        return f"{state}, and belongs to another: import it by its id {there.namespace}/{there.name}, or uninstall it"
    return f"{state}: a run that was killed may have left it. If it did, `helm uninstall {place}` and run again"


def _is_unfetched(said: str) -> bool:
    told = (
        "cannot be reached",
        "failed to fetch",
        "failed to do request",
        "failed to perform",
        "failed to download",
        "not found in",
    )
    return any(each in said for each in told)


def _stand_in(inputs: Properties, definitions: Path | None) -> Any:
    chart = str(inputs["chart"]).rpartition("/")[2]
    return stand_in(chart, str(inputs["version"]), str(inputs["name"]), _values(inputs), real_definitions=definitions)


def _values(inputs: Properties) -> dict[str, Any]:
    return cast("dict[str, Any]", inputs.get("values") or {})


def _seconds(inputs: Properties) -> int:
    return int(cast("Any", inputs.get("timeout")) or DEFAULT_SECONDS)


def _id(inputs: Properties) -> str:
    return f"{inputs['namespace']}/{inputs['name']}"


def _named(inputs: Properties) -> str:
    return f"release {_id(inputs)}"
