"""From the configuration of the edge to the arguments of its component."""

from typing import cast

from components.edge import CustomRule, DdosOverride, RateLimit

from . import models

EDGE_GENERATIONS = ("origin_certificates", "origin_pull_certificate")
"""What of the edge can be renewed, beside the shared secrets."""


def api_label(region: str) -> str:
    """Label of the DNS-only name of a region's Kubernetes API, below the zone."""
    return f"k8s-{region}"


def custom_rule(rule: models.CustomRule) -> CustomRule:
    """A custom rule as the component takes it."""
    return cast("CustomRule", rule.model_dump(exclude_none=True))


def rate_limit(rule: models.RateLimit) -> RateLimit:
    """A rate limit as the component takes it."""
    return cast("RateLimit", rule.model_dump(exclude_none=True))


def ddos_override(ddos: models.Ddos | None) -> DdosOverride | None:
    """The DDoS override as the component takes it."""
    return None if ddos is None else cast("DdosOverride", ddos.model_dump(exclude_none=True))
