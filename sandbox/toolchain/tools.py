"""Which tools there are, and where they are found."""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

CHECKOUT: Final = Path(__file__).resolve().parents[2]

_KUBERNETES: Final = "v1.36.3"
_VERSION: Final = "k8s.io/component-base/version"
_KUBERNETES_FLAGS: Final = f"-X {_VERSION}.gitVersion={_KUBERNETES} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=36"

_HELM: Final = "v3.21.4"
_CHART_RULES: Final = ("pkg/lint/rules", "pkg/chartutil")
# As its own build does: the version that it tells, and the cluster's that it assumes where it asks none.
_HELM_FLAGS: Final = " ".join(
    [
        f"-X helm.sh/helm/v3/internal/version.version={_HELM}",
        *(f"-X helm.sh/helm/v3/{each}.k8sVersionMajor=1" for each in _CHART_RULES),
        *(f"-X helm.sh/helm/v3/{each}.k8sVersionMinor=36" for each in _CHART_RULES),
    ]
)


@dataclass(frozen=True)
class Tool:
    """A program that is there.

    Args:
        path: The executable.
        source: How it was found: ``PATH`` or ``cache``.
    """

    path: Path
    source: str


@dataclass(frozen=True)
class Recipe:
    """How a tool is got.

    Args:
        name: Of the executable.
        module: Directory below ``tools/`` that pins its version: a Go module, or ``requirements.txt``.
        version: That version.
        package: Go package to build; empty for Python.
        flags: Linker flags.
        takes: How long a build takes on two cores.
        on_path: Whether one on PATH will do. Ours run with flags of this very version.
        oldest: The first version of one on PATH that will do; any when empty.
        before: The first version that will not do any more; none when empty.
        says: Arguments with which it says its version.
        kind: What builds it.
    """

    name: str
    module: str
    version: str
    package: str
    takes: str
    flags: str = ""
    on_path: bool = True
    oldest: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    says: tuple[str, ...] = ("version",)
    kind: Literal["go", "python"] = "go"


TOOLS: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "pulumi",
            "pulumi",
            "3.259.0",
            "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            "about 6 minutes",
            "-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.259.0",
            oldest=(3, 259),
        ),
        Recipe("etcd", "etcd", "3.6.14", "go.etcd.io/etcd/server/v3", "about 1 minute", on_path=False),
        Recipe(
            "kube-apiserver",
            "kubernetes",
            _KUBERNETES,
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "about 5 minutes",
            _KUBERNETES_FLAGS,
            on_path=False,
        ),
        Recipe(
            "kube-controller-manager",
            "kubernetes",
            _KUBERNETES,
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            "about 2 minutes",
            _KUBERNETES_FLAGS,
            on_path=False,
        ),
        Recipe(
            "kube-scheduler",
            "kubernetes",
            _KUBERNETES,
            "k8s.io/kubernetes/cmd/kube-scheduler",
            "about 2 minutes",
            _KUBERNETES_FLAGS,
            on_path=False,
        ),
        Recipe(
            "kubectl", "kubernetes", _KUBERNETES, "k8s.io/kubernetes/cmd/kubectl", "half a minute", _KUBERNETES_FLAGS
        ),
        Recipe(
            "helm",
            "helm",
            _HELM,
            "helm.sh/helm/v3/cmd/helm",
            "about 1 minute",
            _HELM_FLAGS,
            # The next generation calls its options otherwise, and waits in another way.
            oldest=(3, 18),
            before=(4,),
            says=("version", "--short"),
        ),
        Recipe(
            "gator",
            "gator",
            "v3.23.0",
            "github.com/open-policy-agent/gatekeeper/v3/cmd/gator",
            "about 2 minutes",
            "-X github.com/open-policy-agent/gatekeeper/v3/pkg/version.Version=v3.23.0",
        ),
        Recipe(
            "cyclonus",
            "cyclonus",
            "v0.5.6",
            "github.com/mattfenwick/cyclonus/cmd/cyclonus",
            "about 1 minute",
            "-X github.com/mattfenwick/cyclonus/pkg/cli.version=v0.5.6",
            on_path=False,
        ),
        Recipe("moto_server", "moto", "5.2", "", "half a minute", on_path=False, kind="python"),
    )
}


def cache_directory(recipe: Recipe) -> Path:
    """Where a tool is kept, by the hash of what pins its version."""
    module = CHECKOUT / "tools" / recipe.module
    pinned = ("go.mod", "go.sum") if recipe.kind == "go" else ("requirements.txt",)
    key = hashlib.sha256(b"".join((module / name).read_bytes() for name in pinned)).hexdigest()[:16]
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "hetzner-platform" / "tools" / f"{recipe.module}-{key}"


def cached_path(recipe: Recipe) -> Path:
    """Where the executable is in the cache, or would be."""
    directory = cache_directory(recipe)
    return directory / recipe.name if recipe.kind == "go" else directory / "bin" / recipe.name


def find_tool(name: str) -> Tool | None:
    """A tool on PATH that is new enough, else in the cache; nothing is downloaded or built for it."""
    recipe = TOOLS[name]
    on_path = _on_path(recipe)
    if on_path and not _complaint(recipe, on_path):
        return Tool(on_path, "PATH")
    cached = cached_path(recipe)
    return Tool(cached, "cache") if os.access(cached, os.X_OK) else None


def why_not_path(name: str) -> str:
    """Why the tool on PATH is not taken; empty when there is none, or nothing against it."""
    recipe = TOOLS[name]
    on_path = _on_path(recipe)
    return _complaint(recipe, on_path) if on_path else ""


@functools.cache
def version_of(path: Path, says: tuple[str, ...] = ("version",)) -> tuple[int, ...]:
    """What ``<tool> version`` says, or the tool with other arguments; empty when it says no version."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        shown = subprocess.run(
            [str(path), *says],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env={**environment, "HOME": tempfile.gettempdir()},
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"v?(\d+(?:\.\d+)*)", shown.strip())
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _on_path(recipe: Recipe) -> Path | None:
    found = shutil.which(recipe.name) if recipe.on_path else None
    return Path(found) if found else None


def _complaint(recipe: Recipe, path: Path) -> str:
    """What is wrong with the version of one on PATH; empty when nothing is."""
    if not recipe.oldest:
        return ""
    version = version_of(path, recipe.says)
    oldest, before = (".".join(map(str, each)) for each in (recipe.oldest, recipe.before))
    if version >= recipe.oldest and not (recipe.before and version >= recipe.before):
        return ""
    wanted = f"{oldest} or later" + (f", before {before}," if before else "")
    return f"{path} is version {'.'.join(map(str, version)) or 'unknown'}, {wanted} is needed"
