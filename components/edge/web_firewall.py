"""Managed WAF, custom rules, rate limits and the DDoS override: one entry point ruleset a phase."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NotRequired, TypedDict

import pulumi
import pulumi_cloudflare as cloudflare

from ..component import Component, check_arguments
from ..problem import Problem, refuse
from .plans import check_plan, find_plan, load_plans
from .rules import CustomRule, DdosOverride, Phase, RateLimit, custom_rules, ddos_rules, managed_rules, rate_limit_rules

if TYPE_CHECKING:
    from pulumi_cloudflare import RulesetRuleArgsDict


class WebFirewallArgs(TypedDict):
    """Arguments of ``WebFirewall``."""

    zone_id: pulumi.Input[str]
    plan: str
    """The zone's plan: ``free``, ``pro`` or ``business``."""
    managed_rulesets: NotRequired[Sequence[str]]
    """``free``, ``managed``, ``owasp``; all that the plan has unless told."""
    custom_rules: NotRequired[Sequence[CustomRule]]
    rate_limits: NotRequired[Sequence[RateLimit]]
    ddos: NotRequired[DdosOverride]
    """Left out, the HTTP DDoS ruleset keeps its defaults; it cannot be switched off."""


class WebFirewall(Component):
    """The zone's rules.

    A zone takes one ruleset a phase. One that was made by hand in the dashboard must be imported or removed first.

    Raises:
        ProblemsError: the plan does not allow the rules; nothing has been registered then.
    """

    def __init__(self, name: str, args: WebFirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        check_arguments("WebFirewall", name, args, WebFirewallArgs)
        refuse(f"WebFirewall {name!r}", _problems(args))
        super().__init__("WebFirewall", name, args, WebFirewallArgs, opts)
        for phase, rules in _phases(args).items():
            if rules:
                self._ruleset(name, args["zone_id"], phase, rules)
        self.register_outputs({})

    def _ruleset(self, name: str, zone_id: pulumi.Input[str], phase: Phase, rules: "list[RulesetRuleArgsDict]") -> None:
        cloudflare.Ruleset(
            f"{name}-{phase}",
            zone_id=zone_id,
            kind="zone",
            # What Cloudflare itself calls a phase's entry point; another name would replace it.
            name="default",
            description=f"Rules of the phase {phase}",
            phase=phase,
            rules=rules,
            opts=self.child(delete_before_replace=True),
        )


def _problems(args: WebFirewallArgs) -> list[Problem]:
    return check_plan(
        args["plan"],
        custom_rules=args.get("custom_rules", ()),
        rate_limits=args.get("rate_limits", ()),
        managed_rulesets=args.get("managed_rulesets"),
        ddos=args.get("ddos"),
    )


def _phases(args: WebFirewallArgs) -> "dict[Phase, list[RulesetRuleArgsDict]]":
    known = load_plans()
    names = args.get("managed_rulesets", find_plan(args["plan"]).managed_rulesets)
    override = args.get("ddos")
    return {
        "ddos_l7": ddos_rules(known.ddos_ruleset, override) if override else [],
        "http_request_firewall_custom": custom_rules(args.get("custom_rules", ())),
        "http_ratelimit": rate_limit_rules(args.get("rate_limits", ())),
        "http_request_firewall_managed": managed_rules({name: known.managed_rulesets[name] for name in names}),
    }
