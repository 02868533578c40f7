"""Rules: counts, actions and expressions that a plan takes."""

import re
from typing import Any, Final, cast

from .errors import check_types, invalid
from .plans import MANAGED, Plan

Entry = dict[str, Any]

_ACTIONS: Final = {
    "http_request_firewall_custom": ("block", "challenge", "managed_challenge", "js_challenge", "skip"),
    "http_ratelimit": ("block", "challenge", "managed_challenge", "js_challenge"),
    "http_request_firewall_managed": ("execute", "skip"),
    "ddos_l7": ("execute",),
    "http_request_transform": ("rewrite",),
    "http_request_late_transform": ("rewrite",),
    "http_response_headers_transform": ("rewrite",),
    "http_request_dynamic_redirect": ("redirect",),
    "http_request_origin": ("route",),
    "http_config_settings": ("set_config",),
    "http_request_cache_settings": ("set_cache_settings",),
}
_RULE_TYPES: Final = {
    "action": str, "expression": str, "description": str, "enabled": bool, "ref": str, "id": str,
    "action_parameters": dict, "ratelimit": dict,
}  # fmt: skip
_LIMIT_TYPES: Final = {
    "characteristics": list, "period": (int, float), "mitigation_timeout": (int, float),
    "requests_per_period": (int, float),
}  # fmt: skip
_STRING: Final = re.compile(r'r(#*)".*?"\1|"(?:\\.|[^"\\])*"', re.DOTALL)
_REGEX: Final = re.compile(r"\bmatches\b|~")
_FIELDS: Final = re.compile(r"\b(?:http|ip|cf|ssl|raw)(?:\.[a-z_0-9]+)+\b")
_KNOWN_FIELDS: Final = (
    "http.request.", "http.host", "http.referer", "http.user_agent", "http.cookie", "http.x_forwarded_for",
    "ip.src", "ip.geoip.", "cf.client.bot", "cf.threat_score", "cf.colo.id", "cf.tls_", "cf.verified_bot_category",
    "cf.bot_management.verified_bot", "cf.waf.score.class",
    "raw.http.request.", "http.response.",
)  # fmt: skip


def check_rules(phase: str, rules: Any, plan: Plan) -> list[Entry]:
    """The rules, if the plan takes them.

    Raises:
        ApiError: too many, an unknown action, or a malformed expression.
    """
    if phase not in _ACTIONS:
        raise invalid(f"unknown phase {phase[:60]!r}", 20016)
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in cast("list[Any]", rules)):
        raise invalid("rules must be a list of objects", 20000)
    given = cast("list[Entry]", rules)
    limits = {"http_request_firewall_custom": plan.custom_rules, "http_ratelimit": plan.rate_limits}
    if len(given) > limits.get(phase, 25):
        raise invalid(f"exceeded maximum number of rules in the phase {phase}: {limits.get(phase, 25)}", 20127)
    for rule in given:
        _check_rule(phase, rule, plan)
    return [dict(rule) for rule in given]


def _check_rule(phase: str, rule: Entry, plan: Plan) -> None:
    check_types(rule, _RULE_TYPES, 20000)
    if rule.get("action") not in _ACTIONS[phase]:
        raise invalid(f"action {str(rule.get('action'))[:40]!r} is not allowed in the phase {phase}", 20114)
    expression = rule.get("expression")
    if not isinstance(expression, str) or not expression.strip():
        raise invalid("a rule needs an expression", 20083)
    _check_expression(expression, plan, plan.rate_limit_fields if phase == "http_ratelimit" else None)
    if phase == "http_ratelimit":
        _check_rate_limit(rule.get("ratelimit"), plan)
    elif rule.get("ratelimit"):
        raise invalid(f"ratelimit is not allowed in the phase {phase}", 20118)
    if rule["action"] == "execute":
        id = cast("Entry", rule.get("action_parameters") or {}).get("id")
        if not isinstance(id, str) or id not in MANAGED:
            raise invalid(f"managed ruleset {str(id)[:40]!r} does not exist", 20015)
        if id not in plan.managed:
            raise invalid(f"the plan does not hold the managed ruleset {MANAGED[id]!r}", 20119)


def _check_expression(expression: str, plan: Plan, allowed: tuple[str, ...] | None) -> None:
    bare = _STRING.sub("''", expression)
    depth = 0
    for character in bare:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
    if depth or '"' in bare:
        raise invalid("the expression is not balanced", 20127)
    for field in _FIELDS.findall(bare):
        if not field.startswith(_KNOWN_FIELDS):
            raise invalid(f"unknown field {field!r} in the expression", 20127)
        if allowed is not None and field not in allowed:
            raise invalid(f"not entitled: the use of field {field} is not allowed", 20120)
    if not plan.regex and _REGEX.search(bare):
        raise invalid("not entitled: the use of operator Matches is not allowed", 20120)


def _check_rate_limit(limit: Any, plan: Plan) -> None:
    if not isinstance(limit, dict):
        raise invalid("a rate limit needs ratelimit", 20118)
    limit = cast("Entry", limit)
    check_types(limit, _LIMIT_TYPES, 20118)
    if "cf.colo.id" not in (limit.get("characteristics") or []):
        raise invalid("characteristics must hold cf.colo.id", 20123)
    others = [each for each in limit["characteristics"] if each != "cf.colo.id"]
    if wrong := [each for each in others if each not in plan.count_by]:
        raise invalid(f"not entitled to count by {str(wrong[0])[:40]}, can only use {plan.count_by}", 20120)
    if limit.get("period") not in plan.periods:
        raise invalid(f"not entitled to use the period {limit.get('period')}, can only use {plan.periods}", 20120)
    if not 0 <= (limit.get("mitigation_timeout") or 0) <= plan.longest_block:
        raise invalid(f"not entitled to use a mitigation_timeout above {plan.longest_block}", 20120)
    if not limit.get("requests_per_period"):
        raise invalid("requests_per_period is required", 20118)
