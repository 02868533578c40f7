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
    """Limits of a plan: counts, and seconds of rate limits."""

    custom_rules: int
    rate_limits: int
    periods: tuple[int, ...]
    longest_block: int
    dns_records: int
    managed: tuple[str, ...]


_PAID: Final = (
    "efb7b8c949ac4650a09736fc376e9aee",
    "4814384a9e5d4991b9815dcfc25d2f1f",
    "4d21379b4f9f4bb088e0729962c8b3cf",
)

PLANS: Final = {
    "free": Plan(5, 1, (10,), 10, 200, ("77454fe2d30c4220b5701f6fdfb893ba", "4d21379b4f9f4bb088e0729962c8b3cf")),
    "pro": Plan(20, 2, (10, 60), 3600, 3500, _PAID),
    "business": Plan(100, 5, (10, 60, 120, 300, 600), 86400, 3500, _PAID),
}
