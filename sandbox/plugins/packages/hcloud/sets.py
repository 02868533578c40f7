"""The API keeps lists as sets: what it tells is put into the order in which the program said it."""

from ...drift import as_given
from ...values import Properties, Value


def in_order(given: Properties, found: Properties) -> Properties:
    """``found``, with every list in the order of ``given``."""
    return {name: _arranged(given[name], value) if name in given else value for name, value in found.items()}


def _arranged(given: Value, found: Value) -> Value:
    if isinstance(given, dict) and isinstance(found, dict):
        return in_order(given, found)
    if not isinstance(given, list) or not isinstance(found, list):
        return found
    rest = list(found)
    arranged: list[Value] = []
    for one in given:
        for index, other in enumerate(rest):
            if as_given(one, _arranged(one, other)) == one:
                arranged.append(_arranged(one, rest.pop(index)))
                break
        else:
            arranged.append(_Missing)
    places = iter(rest)
    filled = (next(places, _Missing) if one is _Missing else one for one in arranged)
    return [one for one in filled if one is not _Missing] + list(places)


_Missing: Value = "\0missing"
