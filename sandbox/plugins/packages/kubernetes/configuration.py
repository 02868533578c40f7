"""The provider's own configuration: which cluster a kubeconfig leads to."""

from pathlib import Path
from typing import Any, cast

import yaml

from ...values import Properties


def kubeconfig(configured: Properties) -> dict[str, Any] | None:
    """The kubeconfig's content, given as its text or its path, with the cluster that the configuration chooses."""
    given = configured.get("kubeconfig")
    if not isinstance(given, str):
        return None
    is_path = "\n" not in given and len(given) < 4096 and Path(given).expanduser().is_file()
    parsed = _parsed(Path(given).expanduser().read_text() if is_path else given)
    cluster = configured.get("cluster")
    if parsed is None or not cluster:
        return parsed
    contexts = [
        {**each, "context": {**_mapping(each.get("context")), "cluster": cluster}} for each in _list(parsed, "contexts")
    ]
    return {**parsed, "contexts": contexts}


def context_name(configured: Properties) -> str | None:
    """The context that the configuration chooses; None for the kubeconfig's own choice."""
    return cast("str | None", configured.get("context") or None)


def context(configured: Properties) -> dict[str, Any]:
    """The context in use; empty when there is none."""
    parsed = kubeconfig(configured) or {}
    wanted = context_name(configured) or parsed.get("current-context")
    found = next((each.get("context") for each in _list(parsed, "contexts") if each.get("name") == wanted), None)
    return _mapping(found)


def cluster(configured: Properties) -> dict[str, Any]:
    """What the kubeconfig tells of the cluster in use; empty when it tells nothing."""
    name, parsed = context(configured).get("cluster"), kubeconfig(configured) or {}
    return _mapping(next((each.get("cluster") for each in _list(parsed, "clusters") if each.get("name") == name), None))


def _list(parsed: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found: Any = parsed.get(name)
    entries = cast("list[Any]", found) if isinstance(found, list) else []
    return [_mapping(entry) for entry in entries]


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _parsed(text: str) -> dict[str, Any] | None:
    """A kubeconfig's content; None when it is none."""
    try:
        parsed: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    if not isinstance(parsed, dict) or not {"clusters", "users", "contexts"} <= set(cast("dict[str, Any]", parsed)):
        return None
    return cast("dict[str, Any]", parsed)
