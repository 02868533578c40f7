"""Reads what the engine tells: the digest of a preview and the log of its events."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from ..deployment import PROVIDER_PREFIX, STACK_TYPE, Deployment, Diagnostic, Resource
from ..plugins.values import MASKED_UNKNOWN, UNKNOWN_TEXT


class EventReader:
    """Follows an event log.

    Args:
        path: The log; it may not exist yet.
        progress: Called with the operation and the URN of every step.
    """

    def __init__(self, path: Path, progress: Callable[[str, str], None]) -> None:
        self._path = path
        self._progress = progress
        self._position = 0
        self.resources: dict[str, Mapping[str, Any]] = {}
        self.outputs: Mapping[str, Any] = {}
        self.diagnostics: list[Diagnostic] = []
        self.operations: Mapping[str, int] = {}

    def read(self) -> None:
        """Take in what was written since the last time, up to the last whole line."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.splitlines():
            self._take(cast("dict[str, Any]", json.loads(line)))

    def _take(self, event: dict[str, Any]) -> None:
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            self._progress(metadata["op"], metadata["urn"])
            self._note(metadata)
        elif "resOutputsEvent" in event:
            self._note(event["resOutputsEvent"]["metadata"])
        elif "diagnosticEvent" in event:
            said = event["diagnosticEvent"]
            message = _readable(said["message"])
            # That our own launchers were found on PATH is no news.
            if not said.get("ephemeral") and said["severity"] != "debug" and not _LAUNCHED.match(message):
                self.diagnostics.append(Diagnostic(said["severity"].removesuffix("#err"), message, said.get("urn", "")))
        elif "summaryEvent" in event:
            self.operations = event["summaryEvent"]["resourceChanges"]

    def _note(self, metadata: Mapping[str, Any]) -> None:
        new = metadata.get("new")
        if not new:
            return
        self.resources[metadata["urn"]] = new
        if metadata["type"] == STACK_TYPE:
            self.outputs = new.get("outputs") or {}


_ENGINES_OWN = ("version", "pluginDownloadURL", "__internal")
"""What the engine adds to the inputs of a provider."""

_BUILT_IN = "::pulumi:providers:pulumi::default"
"""The engine's own provider of stack references: no part of the program."""

_LAUNCHED = re.compile(r"using pulumi-(resource|language)-\S+ from \$PATH at ")


def read_digest(
    project: str, stack: str, digest: Mapping[str, Any], events: EventReader, *, preview: bool
) -> Deployment:
    """A run as a `Deployment`; the digest of a preview knows more of a resource than the events do."""
    states = {step["urn"]: step["newState"] for step in digest.get("steps", ()) if step.get("newState")}
    resources = [
        _resource(states.get(urn, state)) for urn, state in events.resources.items() if not urn.endswith(_BUILT_IN)
    ]
    return Deployment(
        project=project,
        stack=stack,
        preview=preview,
        resources=tuple(sorted(resources, key=lambda resource: resource.urn)),
        outputs=cast("Mapping[str, Any]", _masked(events.outputs)),
        diagnostics=tuple(events.diagnostics),
        operations=dict(events.operations),
    )


def _resource(state: Mapping[str, Any]) -> Resource:
    urn, inputs = str(state["urn"]), cast("dict[str, Any]", state.get("inputs", {}))
    if str(state["type"]).startswith(PROVIDER_PREFIX):
        inputs = {key: value for key, value in inputs.items() if key not in _ENGINES_OWN}
    return Resource(
        urn=urn,
        type=str(state["type"]),
        name=urn.split("::", 3)[3],
        parent=str(state.get("parent", "")),
        provider=""
        if _BUILT_IN in str(state.get("provider", ""))
        else str(state.get("provider", "")).rpartition("::")[0],
        protect=bool(state.get("protect")),
        custom=bool(state.get("custom")),
        external=bool(state.get("external")),
        dependencies=tuple(sorted(state.get("dependencies", ()))),
        inputs=cast("Mapping[str, Any]", _masked(inputs)),
        ignore_changes=tuple(state.get("ignoreChanges", ())),
        aliases=tuple(state.get("aliases", ())),
        replacement_trigger=state.get("replacementTrigger"),
    )


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_masked(item) for item in cast("list[Any]", value)]
    return MASKED_UNKNOWN if value == UNKNOWN_TEXT else value


def _readable(message: str) -> str:
    """Without the engine's colour directives (``<{%reset%}>``)."""
    text, rest = "", message
    while "<{%" in rest:
        before, _, rest = rest.partition("<{%")
        text += before
        _, _, rest = rest.partition("%}>")
    return (text + rest).strip()
