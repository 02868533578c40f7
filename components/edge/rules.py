"""The rules of each phase, from plain data; one entry point ruleset a phase holds them all."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

if TYPE_CHECKING:  # importing the SDK takes two seconds, and these functions need only its names
    from pulumi_cloudflare import RulesetRuleArgsDict

Phase = Literal["http_request_firewall_managed", "http_request_firewall_custom", "http_ratelimit", "ddos_l7"]

CHALLENGES = frozenset({"challenge", "js_challenge", "managed_challenge"})
"""Actions below Enterprise whose mitigation timeout must be 0: a solved challenge resets the visitor's counter."""

DEFAULT_ACTION = "block"
"""Of a rate limit."""

SKIPPABLE_PHASES = ("http_ratelimit", "http_request_firewall_managed", "http_request_sbfm")
"""Phases that a custom rule with the action ``skip`` can pass over."""

_CHARACTERISTICS = {"ip": "ip.src", "visitor": "cf.unique_visitor_id"}


class CustomRule(TypedDict):
    """A custom rule."""

    description: str
    """What the rule is for; unique among the custom rules, since it is also the rule's stable reference."""
    expression: str
    """When it applies, in the language of Cloudflare's rules."""
    action: str
    """``block``, ``challenge``, ``js_challenge``, ``managed_challenge`` or ``skip``."""
    skip_phases: NotRequired[Sequence[str]]
    """Phases that the action ``skip`` passes over; the remaining custom rules when left out."""


class RateLimit(TypedDict):
    """A rate limiting rule. Cloudflare counts per data centre, and lets a few requests above the rate through."""

    description: str
    """What the rule is for; unique among the rate limits."""
    expression: str
    """Which requests are counted and limited."""
    period: int
    """Seconds over which requests are counted."""
    requests: int
    """Requests in a period above which the action sets in."""
    timeout: int
    """Seconds for which the action lasts; 0 for challenges."""
    action: NotRequired[str]
    """``block`` unless told."""
    count_by: NotRequired[str]
    """``ip`` unless told; ``visitor`` tells visitors behind one address apart (business)."""


class DdosOverride(TypedDict):
    """How the HTTP DDoS ruleset departs from its defaults, for all traffic."""

    sensitivity_level: NotRequired[str]
    """``default``, ``medium``, ``low`` or ``eoff`` (essentially off)."""
    action: NotRequired[str]
    """``block``, ``managed_challenge`` or ``challenge``; each rule's own unless told."""


def rule_ref(description: str) -> str:
    """Stable reference of a rule: its description in lower case, everything but letters and digits as ``_``.

    Cloudflare keeps a rule's id and its counters as long as the reference stays, wherever the rule moves in the list.
    """
    return re.sub(r"[^a-z0-9]+", "_", description.lower()).strip("_")


def managed_rules(rulesets: Mapping[str, str]) -> "list[RulesetRuleArgsDict]":
    """One ``execute`` a managed ruleset, given as name → id."""
    return [
        {
            "ref": f"managed_{name}",
            "description": f"Execute the managed ruleset {name}",
            "expression": "true",
            "action": "execute",
            "action_parameters": {"id": ruleset},
            "enabled": True,
        }
        for name, ruleset in rulesets.items()
    ]


def custom_rules(rules: Sequence[CustomRule]) -> "list[RulesetRuleArgsDict]":
    """The custom rules in the order given: Cloudflare evaluates them in that order."""
    return [_custom_rule(rule) for rule in rules]


def _custom_rule(rule: CustomRule) -> "RulesetRuleArgsDict":
    made: RulesetRuleArgsDict = {
        "ref": rule_ref(rule["description"]),
        "description": rule["description"],
        "expression": rule["expression"],
        "action": rule["action"],
        "enabled": True,
    }
    if rule["action"] == "skip":
        phases = rule.get("skip_phases")
        made["action_parameters"] = {"phases": list(phases)} if phases else {"ruleset": "current"}
        made["logging"] = {"enabled": True}
    return made


def rate_limit_rules(limits: Sequence[RateLimit]) -> "list[RulesetRuleArgsDict]":
    """The rate limits in the order given; ``cf.colo.id`` is mandatory in every rule's characteristics."""
    return [
        {
            "ref": rule_ref(limit["description"]),
            "description": limit["description"],
            "expression": limit["expression"],
            "action": limit.get("action", DEFAULT_ACTION),
            "ratelimit": {
                "characteristics": ["cf.colo.id", _CHARACTERISTICS[limit.get("count_by", "ip")]],
                "period": limit["period"],
                "requests_per_period": limit["requests"],
                "mitigation_timeout": limit["timeout"],
            },
            "enabled": True,
        }
        for limit in limits
    ]


def ddos_rules(ruleset: str, override: DdosOverride) -> "list[RulesetRuleArgsDict]":
    """The one override below Enterprise: its expression is ``true``, nothing else is accepted."""
    return [
        {
            "ref": "ddos_override",
            "description": "Override the HTTP DDoS managed ruleset",
            "expression": "true",
            "action": "execute",
            "action_parameters": {"id": ruleset, "overrides": {**override}},
            "enabled": True,
        }
    ]
