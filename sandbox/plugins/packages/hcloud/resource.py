"""What every type of resource can do, and how its properties and the API's fields translate."""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, cast

from ...package import Created, PartiallyCreated, ProviderError
from ...values import Properties, Value
from .api import Api, Entry


class Resource(Protocol):
    """A type of resource. Outputs that are None are told to be empty."""

    def make(self, api: Api, inputs: Properties) -> Created:
        """Create it.

        Raises:
            PartiallyCreated: it is there, and something after that failed.
        """
        ...

    def read(self, api: Api, id: str, known: Properties) -> Properties | None:
        """What the cloud tells; None when it is gone. ``known`` is the state, and empty at an import."""
        ...

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        """Change it in place; returns what the cloud tells then."""
        ...

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        """Delete it."""
        ...


class Named:
    """An object of its own, with a name, labels, and perhaps a protection."""

    kind: ClassVar[str]
    singular: ClassVar[str]
    renamed: ClassVar[Mapping[str, str]] = {}
    """Further outputs by field."""
    sent: ClassVar[tuple[str, ...]] = ()
    """Properties that a create sends, beside name and labels."""
    protectable: ClassVar[bool] = False
    asks_by_name: ClassVar[bool] = False
    """Whether the provider, when there is nothing of an id, asks for something of that name."""

    # -- creating

    def make(self, api: Api, inputs: Properties) -> Created:
        answer = api.post(f"/{self.kind}", self.body(inputs))
        id = answer[self.singular]["id"]
        return recorded(str(id), inputs, lambda: self._complete(api, id, answer, inputs))

    def body(self, inputs: Properties) -> Entry:
        """What a create sends."""
        return {snake(name): inputs[name] for name in ("name", "labels", *self.sent) if name in inputs}

    def _complete(self, api: Api, id: int, answer: Entry, inputs: Properties) -> Properties:
        api.wait([answer.get("action")])
        following: list[Entry] = answer.get("next_actions", [])
        for action in following:
            api.wait([action])
        if self.protectable and inputs.get("deleteProtection"):
            self.protect(api, id, inputs)
        return self.outputs(api.get(f"/{self.kind}/{id}")[self.singular], inputs)

    def protect(self, api: Api, id: int, inputs: Properties) -> None:
        """Protect it or lift that, as the inputs say."""
        api.act(f"/{self.kind}/{id}/actions/change_protection", {"delete": bool(inputs.get("deleteProtection"))})

    # -- reading

    def find(self, api: Api, id: str) -> Entry | None:
        """The object; None when it is gone."""
        if self.asks_by_name:
            return api.look_up(self.kind, self.singular, id)
        found = api.find(f"/{self.kind}/{number(id)}")
        return None if found is None else found[self.singular]

    def read(self, api: Api, id: str, known: Properties) -> Properties | None:
        found = self.find(api, id)
        return None if found is None else self.outputs(found, known)

    def outputs(self, entry: Entry, known: Properties) -> Properties:
        """Properties by what the API tells; ``known`` says how the program spells them."""
        del known
        told: Properties = {"name": entry["name"], "labels": entry["labels"]}
        told |= {name: entry[field] for field, name in self.renamed.items()}
        for name in self.sent:
            if (field := snake(name)) in entry and not isinstance(entry[field], dict):
                told[name] = entry[field]
        if isinstance(entry.get("location"), dict):
            told["location"] = entry["location"]["name"]
        if self.protectable:
            told["deleteProtection"] = entry["protection"]["delete"]
        return told

    # -- changing

    def update(self, api: Api, id: str, old: Properties, new: Properties) -> Properties:
        entry = self.existing(api, id)
        changed = differing(old, new)
        for name in ("name", "labels"):
            if name in changed:
                api.put(f"/{self.kind}/{entry['id']}", {name: new.get(name) or {}})
        self.alter(api, entry, changed, old, new)
        if self.protectable and "deleteProtection" in changed:
            self.protect(api, entry["id"], new)
        return self.outputs(self.existing(api, id), new)

    def existing(self, api: Api, id: str) -> Entry:
        """The object.

        Raises:
            ProviderError: it is gone.
        """
        entry = self.find(api, id)
        if entry is None:
            raise gone(f"{self.singular} {id}")
        return entry

    def alter(self, api: Api, entry: Entry, changed: set[str], old: Properties, new: Properties) -> None:
        """What can change in place, beside name, labels and protection."""

    # -- deleting

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        api.wait([api.delete(f"/{self.kind}/{id}").get("action")])


def recorded(id: str, inputs: Properties, work: Callable[[], Properties]) -> Created:
    """A resource whose id is known is recorded, even when what follows fails.

    Raises:
        PartiallyCreated: it failed.
    """
    try:
        return Created(id, inputs | work())
    except ProviderError as error:
        raise PartiallyCreated(id, dict(inputs), str(error), dict(inputs)) from error


def gone(what: str) -> ProviderError:
    """What an update says of a resource that was deleted behind the engine's back."""
    return ProviderError(f"{what} does not exist any more: run `pulumi refresh`")


def differing(old: Properties, new: Properties) -> set[str]:
    """Names of the properties that are not the same."""
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


def snake(name: str) -> str:
    """``loadBalancerType`` → ``load_balancer_type``."""
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)


def camel(name: str) -> str:
    """``load_balancer_type`` → ``loadBalancerType``."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def camelized(value: Any) -> Any:
    """Every key in camel case."""
    if isinstance(value, dict):
        return {camel(key): camelized(item) for key, item in cast("dict[str, Any]", value).items()}
    return [camelized(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def snaked(value: Any) -> Any:
    """Every key with underscores; nulls are left out."""
    if isinstance(value, dict):
        return {snake(key): snaked(item) for key, item in cast("dict[str, Any]", value).items() if item is not None}
    return [snaked(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def number(value: Value) -> int:
    """An id, which programs give as a number or a text.

    Raises:
        ProviderError: it is none.
    """
    try:
        return int(str(value))
    except ValueError as error:
        raise ProviderError(f"{value!r} is no id") from error


def entries(properties: Properties, name: str) -> list[Any]:
    """A property that is a list; empty when it is not given."""
    return cast("list[Any]", properties.get(name) or [])
