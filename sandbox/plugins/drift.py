"""What a cloud tells, in the form in which a program said it: so that only real differences show."""

from typing import Any, cast

from .values import Properties, Value


def as_given(given: Value, found: Value) -> Value:
    """``found`` without what the cloud fills in, and with numbers where the program gives numbers.

    Of an object of the SDK only the fields that were given count; a map such as labels is told whole.
    """
    if not given and not found:
        return given
    if isinstance(given, dict) and isinstance(found, dict):
        if not _is_object(found):
            return found
        told = {name: as_given(value, found.get(name)) for name, value in given.items()}
        return {name: value for name, value in told.items() if value is not None}
    if isinstance(given, list) and isinstance(found, list) and len(given) == len(found):
        return [as_given(one, other) for one, other in zip(given, found, strict=True)]
    if isinstance(given, str) and isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if isinstance(given, int) and not isinstance(given, bool) and isinstance(found, str) and found.isdigit():
        return int(found)
    return found


def inputs_as_given(inputs: Properties, found: Properties) -> Properties:
    """Inputs as they would have to be said now; what the cloud never tells stays as it was.

    What it tells to be empty (None) is left out.
    """
    told = {name: as_given(given, found.get(name, given)) for name, given in inputs.items()}
    return {name: value for name, value in told.items() if value is not None}


def imported(found: Properties, names: Any) -> Properties:
    """Inputs of a resource that is imported: everything that the cloud tells and that a program could have said."""
    empty: tuple[Any, ...] = (None, "", [], {}, 0)
    return {name: value for name, value in found.items() if name in names and value not in empty}


def _is_object(found: dict[str, Value]) -> bool:
    """A map holds texts alone; objects of the SDK hold more, or are nested."""
    return any(
        isinstance(value, dict | list | bool | int | float) or value is None for value in cast("Any", found).values()
    )
