"""Writes docs/proofs.md from the tests themselves: what each module says of the platform, and what it asks."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(__file__).with_name("proofs.md")

LEVELS = (
    ("tests/engine", "The real Pulumi engine against the emulated clouds, real API servers and real Helm"),
    ("tests/operations", "The doctor and the sweep, on the real engine and the emulated clouds"),
    (
        "tests/platform",
        "A real Kubernetes API server, controller manager and scheduler with everything that the regions install",
    ),
    ("tests/policy", "The real policy engine (gator) and a real API server"),
    ("tests/openbao", "Real OpenBao servers and a real API server"),
    ("tests/ingress", "What Traefik would read; a real Traefik where one is on PATH"),
    ("tests/network", "A connectivity analyser (cyclonus), and an evaluator that is held to it"),
    ("tests/tenancy", "A tenant's namespace on a real API server"),
    ("tests/charts", "Real Helm renders our charts"),
    ("tests/sandbox", "The sandbox itself: official clients, real etcd, API servers, scheduler and Helm"),
    ("tests/graph", "The whole program in-process: every resource that the stacks register"),
    ("tests/unit", "Plain data: golden files, properties, the SDK's types, the charts' own values and schemas"),
)
"""By folder, the strongest first: what the claims are held against."""

HEAD = """# Proofs

Generated from the tests by `python -m docs.generate`; a test fails when it is stale. Each line is what a module of tests says of
the platform; every guard among them has a test that feeds it a bad case. What needs something that is not there (a program, upstream's
data) is skipped, and pytest prints why.
"""

NOT_PROVEN = """
## Not proven

- Nothing has run on a real Hetzner or Cloudflare account, and no official provider plugin has been used.
- No k3s has started: its etcd and API server have, with the arguments and files that k3s would give them. No container has run: pods
  of the sandbox are scheduled by a real scheduler and run in name only.
- Upstream's packaged charts have never been fetched or installed, and tests have none. Their values are held to the charts' own
  values files and schemas, our custom resources to their real definitions, where those are there (`tests/upstream.py`; the
  repository does not hold them). What is installed in the sandbox are stand-ins of the same name, made of `charts/workloads.yaml`.
  What stands there was compared by hand: see below.
- Cilium, Longhorn, Linkerd, Traefik, cert-manager, the External Secrets Operator and Gatekeeper's webhook have not run: their rules
  were checked by `gator`, by connectivity analysis, and by a checker that reads the ingress as Traefik would.
- Attacks on a real Traefik (`tests/ingress/test_attacks.py`) run only where a program `traefik` is on PATH, and upstream's
  definitions are there; nothing of `make toolchain` brings it. They talk to Traefik directly, with a PROXY header of their own, and
  not through the emulated load balancer.
- The ingress checker and those attacks take Traefik's arguments from a model of the chart (`tests/ingress/traefik.py`), fed with our
  values: in the sandbox no chart of Traefik renders them.
- Stand-ins of controllers act whether or not their operators' pods run ([sandbox.md](sandbox.md)): that a layer waits for its
  operator is proven by order and readiness alone.
- Prices are of the date in `config/prices.yaml`; volumes of claims are in no cost.
- That Hetzner's object storage honours bucket policies by access key is reported by others, not tried.

## Read by hand

On 2026-11-28 the sources of every pinned chart, at the commit of its release, were rendered by Helm 3.21 for Kubernetes 1.36 with the
values that `prod` and `dr` compute, and those of the engine `vault` and the store `seaweedfs`; no test repeats it. Compared: names,
kinds, replicas, requests, anti-affinity, host network, labels and ports with `charts/workloads.yaml`; every pod of a release with its
namespace's Pod Security level; ports of Services, webhooks and hooks with the flows; every Secret, ConfigMap and account that a pod
names; failure policies, disruption budgets, roles that read Secrets, images, and the size of Helm's own record. Not rendered: the
definitions of External Secrets, which only its packages have. What Longhorn's manager starts by itself is in no chart.

| charts | sources |
|---|---|
| cilium | `cilium/charts` 3934d0b |
| hcloud-cloud-controller-manager, hcloud-csi | `hetznercloud/hcloud-cloud-controller-manager` cfbbbd9, `hetznercloud/csi-driver` 3186e78 |
| longhorn | `longhorn/longhorn` f349c09 |
| cert-manager, trust-manager | `cert-manager/cert-manager` 24e3319, `cert-manager/trust-manager` 75590d0 |
| metrics-server, prometheus-operator-crds | `kubernetes-sigs/metrics-server` 842dcc8, `prometheus-community/helm-charts` 4529d7b |
| external-secrets, reloader | `external-secrets/external-secrets` cc5bfbc, `stakater/Reloader` 655a2b3 |
| openbao, vault | `openbao/openbao-helm` 6b4437b, `hashicorp/vault-helm` aa1c92e |
| linkerd2-cni, linkerd-crds, linkerd-control-plane | `linkerd/linkerd2` 7977d50 |
| traefik | `traefik/traefik-helm-chart` a8a66d0 |
| gatekeeper | `open-policy-agent/gatekeeper` cdf332c |
| nvidia-device-plugin, dcgm-exporter | `NVIDIA/k8s-device-plugin` 1b826ac, `NVIDIA/dcgm-exporter` 691c927 |
| seaweedfs | `seaweedfs/seaweedfs` 3563738 |
"""


def render() -> str:
    """The whole page."""
    parts = [HEAD]
    for folder, heading in LEVELS:
        rows = list(_rows(folder))
        if rows:
            parts += [f"## {heading}", "", "| claim | proof |", "|---|---|", *rows, ""]
    return "\n".join(parts).rstrip() + "\n" + NOT_PROVEN


def unplaced() -> list[str]:
    """Modules of tests below no level: their claims would be left out."""
    every = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    return sorted(path for path in every if not any(path.startswith(f"{folder}/") for folder, _ in LEVELS))


def _rows(folder: str) -> Iterator[str]:
    for path in sorted((ROOT / folder).rglob("test_*.py")):
        yield f"| {claim(path)} | `{path.relative_to(ROOT).as_posix()}` |"


def claim(path: Path) -> str:
    """What a module of tests says first.

    Raises:
        ValueError: it says nothing.
    """
    said = inspect.cleandoc(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
    if not said:
        raise ValueError(f"{path} does not say what it proves: begin it with a sentence")
    return " ".join(said.split("\n\n", maxsplit=1)[0].split()).replace("``", "`").replace("|", "\\|").rstrip(".")
