"""What holds for every resource of every graph; each rule has its bad case in tests/graph/test_graph.py."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from typing import Any

from sandbox.deployment import PROVIDER_PREFIX, REFERENCE_TYPE, STACK_TYPE, Deployment, Resource
from sandbox.scratch import STACKS, dummy
from stacks.stack_secrets import possible_secrets

from .shape import in_cluster

SERVER = "hcloud:index/server:Server"
NAMESPACE = "kubernetes:core/v1:Namespace"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
RELEASE = "kubernetes:helm.sh/v3:Release"
SECRET = "kubernetes:core/v1:Secret"
ACCOUNT_PATCH = "kubernetes:core/v1:ServiceAccountPatch"

PROTECTED = {
    "hcloud:index/network:Network",
    "hcloud:index/primaryIp:PrimaryIp",
    "minio:index/s3Bucket:S3Bucket",
}
"""Protected by type, beside the control plane's servers, its keys and tokens, and its marker."""

PATHS = 10_000_000
"""What Pulumi 3.259 walks in seconds; it follows each of them after a deletion that failed (`TransitiveDependenciesOf`)."""

MASKED = ("[secret]", "[unknown]")
DUMMIES = frozenset(dummy(key) for stack in STACKS for key in possible_secrets(stack))
_LEVELS = ("privileged", "baseline", "restricted")
_PINNED = re.compile(r"v?\d+\.\d+\.\d+")


def managed(deployment: Deployment) -> list[Resource]:
    """What a provider manages."""
    return [
        resource
        for resource in deployment.resources
        if resource.custom and not resource.type.startswith(PROVIDER_PREFIX) and resource.type != REFERENCE_TYPE
    ]


def problems(deployment: Deployment, secrets: Iterable[str] = ()) -> Iterator[str]:
    """Every broken invariant of a graph.

    Args:
        deployment: The graph.
        secrets: Texts that must not stand in plain inputs, beside the sandbox's dummies.
    """
    names: set[tuple[str, str]] = set()
    hidden = [form for secret in DUMMIES | set(secrets) for form in (json.dumps(secret)[1:-1], _base64(secret))]
    for resource in managed(deployment):
        text = json.dumps(resource.inputs)
        if not resource.provider:
            yield f"{resource.name}: no explicit provider"
        if not resource.parent or resource.parent.rpartition("::")[0].endswith(STACK_TYPE):
            yield f"{resource.name}: its parent is not a component"
        if "Calling __str__" in text or "Output[" in text:
            yield f"{resource.name}: an Output was formatted as text"
        if "PRIVATE KEY" in text or any(secret in text for secret in hidden):
            yield f"{resource.name}: a secret in plain inputs"
        if any("_" in path for path in resource.ignore_changes):
            yield f"{resource.name}: an ignored path in snake case matches nothing"
        physical = resource.inputs.get("name")
        if isinstance(physical, str) and resource.type.startswith("hcloud:"):
            if len(physical) > 63 or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", physical):
                yield f"{resource.name}: {physical!r} is no name for Hetzner"
            if (resource.type, physical) in names:
                yield f"{resource.name}: {physical!r} is taken"
            names.add((resource.type, physical))
        stateful = resource.type in PROTECTED or (resource.type == SERVER and "-server-" in resource.name)
        if stateful and not resource.protect:
            yield f"{resource.name}: not protected"
        if stateful and "deleteProtection" in resource.inputs and resource.inputs["deleteProtection"] is not True:
            yield f"{resource.name}: not protected in the cloud"
        if resource.type == SERVER:
            yield from server_problems(resource)
        yield from snake_case(resource)
    yield from cluster_problems(deployment)
    yield from path_problems(deployment)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


def server_problems(resource: Resource) -> Iterator[str]:
    """Broken invariants of a cloud server."""
    if resource.inputs["userData"] not in MASKED:
        yield f"{resource.name}: user_data is not secret"
    if set(resource.ignore_changes) != {"userData", "image", "location", "sshKeys", "labels.config"}:
        yield f"{resource.name}: a change would replace the running machine"
    if resource.inputs["networks"][0].get("aliasIps") != []:
        yield f"{resource.name}: without alias_ips there is a difference at every run"
    if "cluster" not in resource.inputs["labels"]:
        yield f"{resource.name}: no cluster label"
    if not resource.inputs["firewallIds"]:
        yield f"{resource.name}: no firewall"


# -- in the cluster


def cluster_problems(deployment: Deployment) -> Iterator[str]:
    """Broken invariants of what is in a region's cluster."""
    objects = [resource for resource in managed(deployment) if in_cluster(resource)]
    made = {resource.inputs["metadata"]["name"]: resource for resource in objects if resource.type == NAMESPACE}
    denied = {place(resource) for resource in objects if resource.type == NETWORK_POLICY and denies_all(resource)}
    tokenless = {
        place(resource)
        for resource in objects
        if resource.type == ACCOUNT_PATCH
        and resource.inputs["metadata"]["name"] == "default"
        and resource.inputs.get("automountServiceAccountToken") is False
    }
    names: set[tuple[str, str, str]] = set()
    before = _before(deployment)
    for resource in objects:
        if resource.provider.rpartition("::")[2] != f"{deployment.outputs['region']}-kubernetes":
            yield f"{resource.name}: not the provider of the region's cluster"
        if resource.type == RELEASE:
            yield from release_problems(resource)
        if resource.type == SECRET:
            yield from secret_problems(resource)
        own = made.get(place(resource) or "")
        if own is not None and own.urn not in before[resource.urn]:
            yield f"{resource.name}: does not wait for its namespace"
        name = (resource.type, place(resource) or "", physical_name(resource))
        if name in names:
            yield f"{resource.name}: {name[2]!r} is taken in {name[1] or 'the cluster'}"
        names.add(name)
    for name, namespace in made.items():
        labels = namespace.inputs["metadata"]["labels"]
        for mode in ("enforce", "audit", "warn"):
            if labels.get(f"pod-security.kubernetes.io/{mode}") not in _LEVELS:
                yield f"{namespace.name}: no level of Pod Security to {mode}"
        if name not in denied:
            yield f"{namespace.name}: no policy that denies everything by default"
        if name not in tokenless:
            yield f"{namespace.name}: pods that name no service account get a token"


def place(resource: Resource) -> str | None:
    """The namespace that an object or a release is in; None for what is in none."""
    metadata = resource.inputs.get("metadata")
    return resource.inputs.get("namespace") if metadata is None else metadata.get("namespace")


def physical_name(resource: Resource) -> str:
    """What an object or a release is called in its cluster."""
    metadata = resource.inputs.get("metadata")
    return str(resource.inputs.get("name") if metadata is None else metadata["name"])


def denies_all(policy: Resource) -> bool:
    """Whether a policy lets nothing through, either way, of any pod."""
    return policy.inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def release_problems(release: Resource) -> Iterator[str]:
    """Broken invariants of a release."""
    inputs = release.inputs
    chart = str(inputs["chart"])
    if chart.startswith("./charts/"):
        # A chart of ours is pinned by what it is: an edit must show.
        if not re.search(r" [0-9a-f]{12}$", str(inputs.get("description"))):
            yield f"{release.name}: nothing shows that its chart was edited"
        return
    if not _PINNED.fullmatch(str(inputs.get("version"))):
        yield f"{release.name}: {inputs.get('version')!r} pins no released version"
    source = chart if chart.startswith("oci://") else (inputs.get("repositoryOpts") or {}).get("repo", "")
    if not str(source).startswith(("https://", "oci://")):
        yield f"{release.name}: {source!r} is no repository that proves who it is"


def secret_problems(secret: Resource) -> Iterator[str]:
    """Broken invariants of a Secret."""
    for key in ("data", "stringData"):
        value = secret.inputs.get(key, "[secret]")
        if value not in MASKED and not (
            isinstance(value, dict) and value and all(each in MASKED for each in value.values())
        ):
            yield f"{secret.name}: its {key} is not secret"


def _before(deployment: Deployment) -> dict[str, set[str]]:
    """What each resource waits for, over any number of steps."""
    direct = {resource.urn: set(resource.dependencies) for resource in deployment.resources}
    found: dict[str, set[str]] = {}
    for urn in TopologicalSorter(direct).static_order():
        waits = direct.get(urn, set())
        found[urn] = waits.union(*(found[each] for each in waits))
    return found


def path_problems(deployment: Deployment) -> Iterator[str]:
    """Resources from which there are too many ways down to what they wait for, their providers' included."""
    direct = {resource.urn: resource.edges for resource in deployment.resources}
    paths: dict[str, int] = {}
    for urn in TopologicalSorter(direct).static_order():
        paths[urn] = 1 + sum(paths[each] for each in direct.get(urn, ()))
        if paths[urn] > PATHS:
            yield f"{urn.rpartition('::')[2]}: {paths[urn]} ways through what it waits for"


# -- keys


_FREE = {
    "hcloud:": ("labels",),
    "random:": ("keepers",),
    "cloudflare:": ("config", "settings", "value", "values", "rules", "zone", "outputs"),
    "pulumi:": ("outputs",),
    RELEASE: ("values",),
    "kubernetes:": ("data", "stringData", "metadata.labels", "metadata.annotations"),
}
"""Where keys are not the SDK's, by the beginning of a type: labels, a chart's values, texts by name."""


def snake_case(resource: Resource) -> Iterator[str]:
    """Keys of nested inputs that the SDK did not translate: it does not know them."""
    free = tuple(path for start, paths in _FREE.items() if resource.type.startswith(start) for path in paths)
    yield from _untranslated(resource.name, resource.inputs, free, "")


def _untranslated(name: str, inputs: Any, free: tuple[str, ...], path: str) -> Iterator[str]:
    if path in free:
        return
    if isinstance(inputs, dict):
        for key, value in inputs.items():
            if "_" in key:
                yield f"{name}: {path}.{key} was not translated"
            yield from _untranslated(name, value, free, f"{path}.{key}".lstrip("."))
    elif isinstance(inputs, list):
        for value in inputs:
            yield from _untranslated(name, value, free, path)
