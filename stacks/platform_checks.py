"""What is wrong with config/platform.yaml, beyond the types of its values."""

import difflib
from collections.abc import Iterator, Sequence

from components.policy import Rules, persona_problems, problems
from components.problem import Problem

from . import layers
from .models import Chart
from .platform_models import Platform
from .settings import Settings


def check_platform(platform: Platform, settings: Settings) -> Iterator[Problem]:
    """config/platform.yaml."""
    secrets = platform.secrets
    if secrets.engine == "aws" and secrets.aws is None:
        yield Problem("secrets.aws", None, "is missing: the engine is aws", "write aws: {region: eu-central-1}")
    for key, engine in (("address", "vault"), ("aws", "aws")):
        if secrets.engine != engine and getattr(secrets, key) is not None:
            problem = f"has no effect: the engine is {secrets.engine}"
            yield Problem(f"secrets.{key}", None, problem, f"take it out, or write engine: {engine}")
    store = platform.object_store
    for key in ("endpoint", "location"):
        value = getattr(store, key)
        if store.kind == "hetzner" and value is None:
            yield Problem(f"object_store.{key}", None, "is missing: the kind is hetzner", "add it; docs/storage.md")
        if store.kind != "hetzner" and value is not None:
            problem = f"has no effect: the kind is {store.kind}"
            yield Problem(f"object_store.{key}", value, problem, "take it out, or write kind: hetzner")
    for region in platform.policy.regions:
        if not settings.names(region):
            yield _unknown(f"policy.regions.{region}", region, list(settings.regions), "region of config/regions.yaml")
    policy = platform.policy
    yield from problems(Rules(policy.enforcement, tuple(platform.image_registries), dict(policy.overrides)))
    yield from persona_problems(platform.personas)
    if platform.ingress.burst < platform.ingress.requests_per_second:
        problem = f"is less than requests_per_second ({platform.ingress.requests_per_second})"
        yield Problem(
            "ingress.burst", platform.ingress.burst, problem, "raise it: it is what one client may send at once"
        )


def check_charts(platform: Platform, charts: dict[str, Chart], *, with_gpu: bool) -> Iterator[Problem]:
    """Charts that the platform needs and config/versions.yaml does not pin; keys are that file's."""
    for name in (name for each in layers.charts(platform, with_gpu=with_gpu).values() for name in each):
        if name not in charts and name not in layers.OURS:
            remedy = f"write {name}: {{repository: ..., version: ...}}; {', '.join(sorted(charts))} are there"
            yield Problem(f"charts.{name}", None, "is missing: the platform installs it", remedy)


def _unknown(key: str, value: object, known: Sequence[str], what: str) -> Problem:
    close = difflib.get_close_matches(str(value), known, n=1)
    guess = f"did you mean {close[0]!r}? " if close else ""
    return Problem(key, value, f"is no {what}", f"{guess}known: {', '.join(known)}")
