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
- Upstream's charts cannot be fetched where this was built. Their values are held to the charts' own values files and schemas, our
  custom resources to their real definitions; what is installed in the sandbox are stand-ins of the same name, made of
  `charts/workloads.yaml`. So the scheduling, the requests and the order are proven of our transcription of the charts.
- Cilium, Longhorn, Linkerd, Traefik, cert-manager, External Secrets and Gatekeeper's webhook have not run: their rules were checked
  by `gator`, by connectivity analysis, and by a checker that reads the ingress as Traefik would.
- Prices are of the date in `config/prices.yaml`. That Hetzner's object storage honours bucket policies by access key is reported by
  others, not tried.
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
