"""The rules of network policies, found by the flows that they are for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """One rule of a policy.

    Args:
        policy: Whose it is.
        direction: ``ingress`` or ``egress``.
        flow: What it is for.
        index: Among the policy's rules of that direction.
    """

    policy: Mapping[str, Any]
    direction: str
    flow: str
    index: int

    @property
    def content(self) -> Any:
        return self.policy["spec"][self.direction][self.index]


def all_rules(policies: Iterable[Mapping[str, Any]]) -> Iterator[Rule]:
    """The rules that are for a flow."""
    for policy in policies:
        for direction in ("ingress", "egress"):
            told = policy["metadata"].get("annotations", {}).get(f"hetzner-platform/{direction}")
            for index, flow in enumerate(told.split(", ") if told else ()):
                yield Rule(policy, direction, flow, index)


def rules(policies: Iterable[Mapping[str, Any]], flow: str, namespace: str | None = None) -> list[Rule]:
    """Those for a flow.

    Raises:
        LookupError: there is none.
    """
    found = [
        rule
        for rule in all_rules(policies)
        if rule.flow == flow and namespace in (None, rule.policy["metadata"]["namespace"])
    ]
    if not found:
        raise LookupError(f"{namespace or 'nothing'} has no rule for the flow {flow!r}")
    return found


def rule_of(policies: Iterable[Mapping[str, Any]], flow: str) -> Any:
    """What the only policy with a rule for a flow says about it."""
    (rule,) = rules(policies, flow)
    return rule.content


def flow_names(policies: Iterable[Mapping[str, Any]]) -> set[str]:
    return {rule.flow for rule in all_rules(policies)}
