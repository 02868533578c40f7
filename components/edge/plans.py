"""What the zone's Cloudflare plan allows, and everything in a configuration that goes beyond it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict

from ..problem import Problem, refuse
from .expressions import fields, syntax_problem, uses_regex
from .rules import CHALLENGES, DEFAULT_ACTION, SKIPPABLE_PHASES, CustomRule, DdosOverride, RateLimit, rule_ref


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CustomRuleLimits(_Data):
    """Custom rules of a zone (phase ``http_request_firewall_custom``)."""

    rules: int
    regex: bool
    actions: list[str]
    refused_fields: list[str]
    """Prefixes of the fields that the plan lacks."""
    allowed_fields: list[str]
    """Fields that the plan has although a prefix refuses them."""


class RateLimitLimits(_Data):
    """Rate limiting rules of a zone (phase ``http_ratelimit``)."""

    rules: int
    regex: bool
    actions: list[str]
    fields: list[str]
    """The only fields that an expression may read."""
    count_by: list[str]
    periods: list[int]
    """Counting periods in seconds."""
    timeouts: list[int]
    """How long the action lasts, in seconds; challenges take 0."""


class DdosLimits(_Data):
    """Overrides of the HTTP DDoS managed ruleset (phase ``ddos_l7``)."""

    overrides: int
    actions: list[str]
    sensitivity_levels: list[str]


class Plan(_Data):
    """Limits of one plan."""

    dns_records: int
    managed_rulesets: list[str]
    custom_rules: CustomRuleLimits
    rate_limits: RateLimitLimits
    ddos: DdosLimits


class Plans(_Data):
    """The whole of ``plans.yaml``."""

    as_of: date
    sources: list[str]
    managed_rulesets: dict[str, str]
    """Id of each managed ruleset; the same in every zone."""
    ddos_ruleset: str
    plans: dict[str, Plan]


@cache
def load_plans() -> Plans:
    """The dated limits beside this module."""
    text = files(__name__.rpartition(".")[0]).joinpath("plans.yaml").read_text(encoding="utf-8")
    return Plans.model_validate(yaml.safe_load(text))


def find_plan(name: str) -> Plan:
    """Limits of the plan ``free``, ``pro`` or ``business``.

    Raises:
        ProblemsError: there is no such plan.
    """
    known = load_plans().plans
    if name not in known:
        problem = Problem("plan", name, "is no plan that we know", f"write one of {', '.join(known)}")
        refuse("Cloudflare", [problem])
    return known[name]


def check_plan(
    plan_name: str,
    *,
    custom_rules: Sequence[CustomRule] = (),
    rate_limits: Sequence[RateLimit] = (),
    managed_rulesets: Sequence[str] | None = None,
    ddos: DdosOverride | None = None,
    dns_records: int = 0,
) -> list[Problem]:
    """Everything that the plan does not allow, with the key to change; empty when all of it can be deployed.

    Args:
        plan_name: ``free``, ``pro`` or ``business``; anything else is the one problem that is returned.
        custom_rules: As the configuration gives them.
        rate_limits: As the configuration gives them.
        managed_rulesets: The managed rulesets asked for by name; None means the plan's own.
        ddos: The override of the HTTP DDoS ruleset, if any.
        dns_records: How many records would stand in the zone.
    """
    known = load_plans().plans
    if plan_name not in known:
        return [Problem("plan", plan_name, "is no plan that we know", f"write one of {', '.join(known)}")]
    plan = known[plan_name]
    problems = [
        *_check_number(plan_name, "custom_rules", len(custom_rules), lambda p: p.custom_rules.rules),
        *_check_number(plan_name, "rate_limits", len(rate_limits), lambda p: p.rate_limits.rules),
        *_check_number(plan_name, "hostnames", dns_records, lambda p: p.dns_records, "DNS records"),
        *_check_descriptions("custom_rules", custom_rules),
        *_check_descriptions("rate_limits", rate_limits),
    ]
    for index, rule in enumerate(custom_rules):
        key = f"custom_rules[{index}]"
        problems += _check_keys(key, rule, CustomRule) or _check_custom_rule(plan_name, plan.custom_rules, key, rule)
    for index, limit in enumerate(rate_limits):
        key = f"rate_limits[{index}]"
        problems += _check_keys(key, limit, RateLimit) or _check_rate_limit(plan_name, plan.rate_limits, key, limit)
    problems += _check_managed(plan_name, plan, managed_rulesets)
    problems += _check_ddos(plan_name, plan.ddos, ddos)
    return problems


def _check_keys(key: str, data: Mapping[str, object], accepted: type[CustomRule] | type[RateLimit]) -> list[Problem]:
    """A ``TypedDict`` refuses nothing at run time."""
    known, required = accepted.__annotations__, accepted.__required_keys__
    return [
        *(
            Problem(f"{key}.{name}", data[name], "is no key that we know", f"write one of {', '.join(known)}")
            for name in data
            if name not in known
        ),
        *(Problem(f"{key}.{name}", None, "is missing", "write it") for name in known if name in required - set(data)),
    ]


def _check_number(
    plan_name: str, key: str, number: int, limit: Callable[[Plan], int], what: str = "rules"
) -> Iterator[Problem]:
    plans = load_plans().plans
    allowed = limit(plans[plan_name])
    if number <= allowed:
        return
    enough = [name for name, other in plans.items() if limit(other) >= number]
    upgrade = f", or set plan to {enough[0]}" if enough else ""
    yield Problem(
        key,
        f"{number} {what}",
        f"the plan {plan_name} allows {allowed} {what}",
        f"remove {number - allowed}{upgrade}",
    )


def _check_descriptions(key: str, rules: Sequence[CustomRule] | Sequence[RateLimit]) -> Iterator[Problem]:
    count = Counter(rule_ref(rule.get("description", "")) for rule in rules)
    for index, rule in enumerate(rules):
        if "description" not in rule:
            continue
        description = rule["description"]
        where = f"{key}[{index}].description"
        if not rule_ref(description):
            yield Problem(where, description, "has no letter or digit", "say in a few words what the rule is for")
        elif count[rule_ref(description)] > 1:
            yield Problem(where, description, "stands for more than one rule", "describe each rule differently")


def _check_expression(plan_name: str, key: str, expression: str, *, regex: bool) -> Iterator[Problem]:
    problem = syntax_problem(expression)
    if problem:
        yield Problem(key, expression, problem, "correct the expression")
    if uses_regex(expression) and not regex:
        yield Problem(
            key,
            expression,
            f"the plan {plan_name} has no regular expressions ('matches', '~')",
            "use eq, contains, wildcard, starts_with() or ends_with(), or set plan to business",
        )


def _check_custom_rule(plan_name: str, limits: CustomRuleLimits, key: str, rule: CustomRule) -> Iterator[Problem]:
    expression = rule["expression"]
    yield from _check_expression(plan_name, f"{key}.expression", expression, regex=limits.regex)
    for field in fields(expression):
        if field.startswith(tuple(limits.refused_fields)) and field not in limits.allowed_fields:
            yield Problem(
                f"{key}.expression", expression, f"the plan {plan_name} has no field {field}", f"do without {field}"
            )
    yield from _check_choice(plan_name, f"{key}.action", rule["action"], limits.actions)
    for phase in rule.get("skip_phases", ()):
        yield from _check_choice(plan_name, f"{key}.skip_phases", phase, SKIPPABLE_PHASES)


def _check_rate_limit(plan_name: str, limits: RateLimitLimits, key: str, limit: RateLimit) -> Iterator[Problem]:
    expression = limit["expression"]
    yield from _check_expression(plan_name, f"{key}.expression", expression, regex=limits.regex)
    for field in fields(expression):
        if field not in limits.fields:
            yield Problem(
                f"{key}.expression",
                expression,
                f"a rate limit of the plan {plan_name} cannot read {field}",
                f"use only {', '.join(limits.fields)}",
            )
    yield from _check_choice(plan_name, f"{key}.period", limit["period"], limits.periods)
    yield from _check_choice(plan_name, f"{key}.count_by", limit.get("count_by", "ip"), limits.count_by)
    if limit["requests"] < 1:
        yield Problem(f"{key}.requests", limit["requests"], "is no number of requests", "write at least 1")
    action = limit.get("action", DEFAULT_ACTION)
    yield from _check_choice(plan_name, f"{key}.action", action, limits.actions)
    if action not in CHALLENGES:
        yield from _check_choice(plan_name, f"{key}.timeout", limit["timeout"], limits.timeouts)
    elif limit["timeout"] != 0:
        yield Problem(
            f"{key}.timeout", limit["timeout"], f"{action} is asked again for every request above the rate", "write 0"
        )


def _check_managed(plan_name: str, plan: Plan, wanted: Sequence[str] | None) -> Iterator[Problem]:
    for index, name in enumerate(wanted or ()):
        yield from _check_choice(plan_name, f"managed_rulesets[{index}]", name, plan.managed_rulesets)


def _check_ddos(plan_name: str, limits: DdosLimits, ddos: DdosOverride | None) -> Iterator[Problem]:
    if ddos is None:
        return
    if limits.overrides < 1:
        yield Problem("ddos", dict(ddos), f"the plan {plan_name} cannot override the DDoS ruleset", "remove ddos")
    for key, allowed in (("action", limits.actions), ("sensitivity_level", limits.sensitivity_levels)):
        if key in ddos:
            yield from _check_choice(plan_name, f"ddos.{key}", _value(ddos, key), allowed)
    if not ddos:
        yield Problem("ddos", {}, "overrides nothing", "give sensitivity_level or action, or remove ddos")


def _value(data: Mapping[str, object], key: str) -> object:
    return data[key]


def _check_choice(plan_name: str, key: str, value: object, allowed: Sequence[object]) -> Iterator[Problem]:
    if value not in allowed:
        options = ", ".join(str(option) for option in allowed)
        yield Problem(key, value, f"the plan {plan_name} does not allow it", f"write one of {options}")
