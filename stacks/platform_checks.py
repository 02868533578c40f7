"""What is wrong with config/platform.yaml, beyond the types of its values."""

import dataclasses
from collections.abc import Iterable, Iterator

from components.ingress import rate_problems
from components.policy import Rules, persona_problems, problems
from components.problem import Problem
from components.secrets import engine_problems

from . import layer_charts
from .models import Chart
from .platform_models import Platform
from .problems import unknown
from .settings import Settings


def check_platform(platform: Platform, settings: Settings) -> Iterator[Problem]:
    """config/platform.yaml."""
    secrets = platform.secrets
    yield from _below("secrets", engine_problems(secrets.engine, address=secrets.address, aws=secrets.aws))
    store = platform.object_store
    for key in ("endpoint", "location", "prefix"):
        value = getattr(store, key)
        if store.kind == "hetzner" and value is None and key != "prefix":
            yield Problem(f"object_store.{key}", None, "is missing: the kind is hetzner", "add it; docs/storage.md")
        if store.kind != "hetzner" and value is not None:
            problem = f"has no effect: the kind is {store.kind}"
            yield Problem(f"object_store.{key}", value, problem, "take it out, or write kind: hetzner")
    for region in platform.policy.regions:
        if not settings.names(region):
            yield unknown("policy.regions", region, list(settings.regions), "region of config/regions.yaml")
    policy = platform.policy
    yield from problems(Rules(policy.enforcement, tuple(platform.image_registries), dict(policy.overrides)))
    yield from persona_problems(platform.personas)
    yield from _below("ingress", rate_problems(platform.ingress.requests_per_second, platform.ingress.burst))


def check_charts(platform: Platform, charts: dict[str, Chart], *, with_gpu: bool) -> Iterator[Problem]:
    """Charts that the platform needs and config/versions.yaml does not pin; keys are that file's."""
    for name in (name for each in layer_charts.charts(platform, with_gpu=with_gpu).values() for name in each):
        if name not in charts and name not in layer_charts.OURS:
            remedy = f"write {name}: {{repository: ..., version: ...}}; {', '.join(sorted(charts))} are there"
            yield Problem(f"charts.{name}", None, "is missing: the platform installs it", remedy)


def _below(key: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """As the file has the keys of a component."""
    return (dataclasses.replace(each, key=f"{key}.{each.key}") for each in problems)
