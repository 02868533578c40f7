"""What can be read off a Cloudflare rule expression without evaluating it."""

import re

MAX_EXPRESSION = 4096
"""Longest expression in characters (developers.cloudflare.com/ruleset-engine/rules-language/expressions/)."""

_STRING = re.compile(r'r(#*)".*?"\1|"(?:\\.|[^"\\])*"', re.DOTALL)
_FIELD = re.compile(r"(?<![\w.$:/])(?:[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+|ssl\b)")
_REGEX_OPERATOR = re.compile(r"(?<![\w.$])matches(?![\w.])|~")
_OPENING = {")": "(", "}": "{", "]": "["}


def without_strings(expression: str) -> str:
    """The expression with every string literal emptied: what stands in quotes is neither a field nor an operator."""
    return _STRING.sub('""', expression)


def fields(expression: str) -> list[str]:
    """The fields that an expression reads, each once, in the order in which they appear."""
    return list(dict.fromkeys(_FIELD.findall(without_strings(expression))))


def uses_regex(expression: str) -> bool:
    """Whether the expression uses ``matches`` or ``~``."""
    return _REGEX_OPERATOR.search(without_strings(expression)) is not None


def syntax_problem(expression: str) -> str | None:
    """What makes this no expression at all: empty, too long, or unbalanced; None when nothing of that kind."""
    if not expression.strip():
        return "the expression is empty"
    if len(expression) > MAX_EXPRESSION:
        return f"the expression has {len(expression)} characters, at most {MAX_EXPRESSION} are allowed"
    bare = without_strings(expression)
    if bare.count('"') % 2:
        return "a string literal is not closed"
    open_brackets: list[str] = []
    for character in bare:
        if character in "({[":
            open_brackets.append(character)
        elif character in _OPENING and (not open_brackets or open_brackets.pop() != _OPENING[character]):
            return f"{character!r} closes nothing"
    return f"{open_brackets[-1]!r} is not closed" if open_brackets else None
