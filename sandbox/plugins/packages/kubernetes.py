"""The kubernetes provider: any object, remembered as it was given. No cluster is asked."""

from typing import Any, cast

import yaml

from ..check import Failure
from ..package import Created, Package, Target, autoname
from ..values import Properties, Unknown


class Kubernetes(Package):
    """``pulumi_kubernetes``: ids ``<namespace>/<name>``, invented names where none is given."""

    name = "kubernetes"

    def check_config(self, inputs: Properties) -> list[Failure]:
        failures = super().check_config(inputs)
        content = inputs.get("kubeconfig")
        if isinstance(content, str) and not _is_kubeconfig(content):
            failures.append(Failure("kubeconfig", "is no kubeconfig: YAML with clusters, users and contexts"))
        return failures

    def check_more(self, target: Target, inputs: Properties) -> list[Failure]:
        metadata = cast("dict[str, Any]", inputs.get("metadata") or {})
        if not isinstance(inputs.get("metadata"), Unknown) and "name" not in metadata:
            inputs["metadata"] = {**metadata, "name": autoname(target, None)}
        return []

    def make(self, target: Target, inputs: Properties) -> Created:
        metadata = cast("dict[str, Any]", inputs["metadata"])
        name = str(metadata["name"])
        namespace = metadata.get("namespace")
        return Created(f"{namespace}/{name}" if namespace else name, dict(inputs))


def _is_kubeconfig(content: str) -> bool:
    try:
        parsed: Any = yaml.safe_load(content)
    except yaml.YAMLError:
        return False
    return isinstance(parsed, dict) and {"clusters", "users", "contexts"} <= set(cast("dict[str, Any]", parsed))


PACKAGE = Kubernetes
