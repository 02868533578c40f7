"""What each plan allows (developers.cloudflare.com/waf and /dns, 2026-09)."""

from dataclasses import dataclass
from typing import Final

MANAGED: Final = {
    "efb7b8c949ac4650a09736fc376e9aee": "Cloudflare Managed Ruleset",
    "4814384a9e5d4991b9815dcfc25d2f1f": "Cloudflare OWASP Core Ruleset",
    "77454fe2d30c4220b5701f6fdfb893ba": "Cloudflare Managed Free Ruleset",
    "4d21379b4f9f4bb088e0729962c8b3cf": "DDoS L7 ruleset",
}
"""Rulesets of Cloudflare's own, by id."""


@dataclass(frozen=True)
class Plan:
    """Limits of a plan: counts, seconds of rate limits, and what rules may look at.

    Args:
        regex: Whether expressions may use ``matches``.
        rate_limit_fields: What the expressions of rate limits may read.
        count_by: Characteristics of rate limits, besides ``cf.colo.id``.
    """

    custom_rules: int
    rate_limits: int
    periods: tuple[int, ...]
    longest_block: int
    dns_records: int
    managed: tuple[str, ...]
    regex: bool
    rate_limit_fields: tuple[str, ...]
    count_by: tuple[str, ...]


_PAID: Final = (
    "efb7b8c949ac4650a09736fc376e9aee",
    "4814384a9e5d4991b9815dcfc25d2f1f",
    "4d21379b4f9f4bb088e0729962c8b3cf",
)

_FREE: Final = ("77454fe2d30c4220b5701f6fdfb893ba", "4d21379b4f9f4bb088e0729962c8b3cf")
_MINUTE: Final = (10, 15, 20, 30, 40, 45, 60)
_TEN_MINUTES: Final = (*_MINUTE, 90, 120, 180, 240, 300, 480, 600)
_FREE_FIELDS: Final = ("http.request.uri.path", "cf.client.bot", "cf.bot_management.verified_bot")
_PRO_FIELDS: Final = (
    *_FREE_FIELDS, "http.host", "http.request.uri", "http.request.full_uri", "http.request.uri.query",
)  # fmt: skip
_BUSINESS_FIELDS: Final = (*_PRO_FIELDS, "http.request.method", "ip.src", "http.user_agent")

PLANS: Final = {
    "free": Plan(5, 1, (10,), 10, 200, _FREE, regex=False, rate_limit_fields=_FREE_FIELDS, count_by=("ip.src",)),
    "pro": Plan(20, 2, _MINUTE, 3600, 3500, _PAID, regex=False, rate_limit_fields=_PRO_FIELDS, count_by=("ip.src",)),
    "business": Plan(
        100, 5, _TEN_MINUTES, 86400, 3500, _PAID,
        regex=True, rate_limit_fields=_BUSINESS_FIELDS, count_by=("ip.src", "cf.unique_visitor_id"),
    ),
}  # fmt: skip
