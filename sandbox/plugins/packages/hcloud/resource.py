"""What every type of resource can do, and how its properties and the API's fields translate."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, cast

from ...package import Created, ProviderError
from ...values import Properties, Value
from .api import Api, Entry, RefusedError


class Resource(Protocol):
    """A type of resource."""

    def make(self, api: Api, inputs: Properties) -> Created:
        """Create it."""
        ...

    def read(self, api: Api, id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        """What the cloud tells; None when it is gone. Both inputs and outputs are empty at an import."""
        ...

    def update(self, api: Api, id: str, old: Properties, new: Properties, outputs: Properties) -> Properties:
        """Change it in place; returns its outputs."""
        ...

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        """Delete it."""
        ...


class Named:
    """An object of its own, with a name, labels, and perhaps a protection."""

    kind: ClassVar[str]
    singular: ClassVar[str]
    renamed: ClassVar[Mapping[str, str]] = {}
    """Properties by field, where camel case alone does not do."""
    sent: ClassVar[tuple[str, ...]] = ()
    """Properties that a create sends, beside name and labels."""
    protectable: ClassVar[bool] = False
    retried_delete: ClassVar[tuple[str, ...]] = ()
    """Refusals after which a delete is tried again."""
    delete_attempts: ClassVar[int] = 9

    def make(self, api: Api, inputs: Properties) -> Created:
        """Create, wait, protect, read."""
        answer = api.post(f"/{self.kind}", self.body(inputs))
        id = answer[self.singular]["id"]
        return finished(str(id), inputs, lambda: self._finish(api, id, answer, inputs))

    def _finish(self, api: Api, id: int, answer: Entry, inputs: Properties) -> Properties:
        api.wait([answer.get("action"), *answer.get("next_actions", []), *answer.get("actions", [])])
        self.complete(api, id, inputs)
        if self.protectable and inputs.get("deleteProtection"):
            self.protect(api, id, True)
        elif not self.protectable and not answer.get("action"):
            return inputs | self.outputs(answer[self.singular])
        return inputs | self.outputs(api.get(f"/{self.kind}/{id}")[self.singular])

    def body(self, inputs: Properties) -> Entry:
        """What a create sends."""
        fields = {snake(name): plain_value(inputs[name]) for name in ("name", "labels", *self.sent) if name in inputs}
        return {self._field(name): value for name, value in fields.items()}

    def _field(self, name: str) -> str:
        return name

    def complete(self, api: Api, id: int, inputs: Properties) -> None:
        """What a create does after the object is there."""

    def protect(self, api: Api, id: int, on: bool) -> None:
        """Switch the protection."""
        api.act(f"/{self.kind}/{id}/actions/change_protection", {"delete": on})

    def read(self, api: Api, id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        """One request."""
        found = api.find(f"/{self.kind}/{id}")
        return None if found is None else outputs | self.outputs(found[self.singular])

    def outputs(self, entry: Entry) -> Properties:
        """Properties by what the API tells."""
        told: Properties = {"name": entry["name"], "labels": entry["labels"]}
        for field, value in entry.items():
            if name := self.renamed.get(field):
                told[name] = value
        for name in self.sent:
            if (field := snake(name)) in entry and not isinstance(entry[field], dict):
                told[name] = entry[field]
        if "location" in entry and isinstance(entry["location"], dict):
            told["location"] = entry["location"]["name"]
        if self.protectable:
            told["deleteProtection"] = entry["protection"]["delete"]
        return told

    def update(self, api: Api, id: str, old: Properties, new: Properties, outputs: Properties) -> Properties:
        """Name and labels, then what the type knows, then the protection."""
        changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        if body := self.changes(changed, new):
            api.put(f"/{self.kind}/{id}", body)
        self.alter(api, int(id), changed, old, new)
        if self.protectable and "deleteProtection" in changed:
            self.protect(api, int(id), bool(new.get("deleteProtection")))
        read = self.read(api, id, new, {})
        if read is None:
            raise ProviderError(f"{self.singular} {id} is gone")
        return {name: value for name, value in outputs.items() if name not in old} | new | read

    def changes(self, changed: set[str], new: Properties) -> Entry:
        """What PUT sends."""
        body: Entry = {}
        if "name" in changed and "name" in new:
            body["name"] = new["name"]
        if "labels" in changed:
            body["labels"] = plain_value(new.get("labels") or {})
        return body

    def alter(self, api: Api, id: int, changed: set[str], old: Properties, new: Properties) -> None:
        """What else can change in place."""

    def delete(self, api: Api, id: str, outputs: Properties) -> None:
        """Delete, with the attempts that the provider makes."""
        answer = api.retry(self.retried_delete, lambda: api.delete(f"/{self.kind}/{id}"), self.delete_attempts)
        api.wait([answer.get("action")])


def finished(id: str, inputs: Properties, work: Any) -> Created:
    """A resource whose id is known is recorded, even when what follows fails.

    Raises:
        PartiallyCreated: it failed.
    """
    from ...package import PartiallyCreated  # noqa: PLC0415

    try:
        return Created(id, work())
    except ProviderError as error:
        raise PartiallyCreated(id, dict(inputs), str(error)) from error


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


def plain_value(value: Value) -> Any:
    """A property for the API: labels and the like keep their keys."""
    return value


def number(value: Value) -> int:
    """An id, which programs give as a number or a text."""
    try:
        return int(str(value))
    except ValueError as error:
        raise ProviderError(f"{value!r} is no id") from error


__all__ = [
    "Api",
    "Entry",
    "Named",
    "RefusedError",
    "Resource",
    "camelized",
    "finished",
    "number",
    "plain_value",
    "snaked",
]
