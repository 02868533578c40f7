"""Packages whose real part is not on this machine: their resources are checked as ever, and made nowhere."""

from typing import Any

from .package import Created, Package, ProviderError, Read, Target
from .values import Properties


class Skipped(Package):
    """Stands before a package, and does what it would do in a preview."""

    def configure(self, inputs: Properties) -> None:
        """Nothing is reached, and nothing has to be."""

    def create(self, target: Target, inputs: Properties, *, preview: bool) -> Created:
        return Created("" if preview else f"skipped-{target.name}", dict(inputs))

    def read(self, target: Target, id: str, inputs: Properties, outputs: Properties) -> Read | None:
        return Package.read(self, target, id, inputs, outputs)

    def update(
        self, target: Target, id: str, old: Properties, new: Properties, outputs: Properties, *, preview: bool
    ) -> Properties:
        return Package.update(self, target, id, old, new, outputs, preview=preview)

    def delete(self, target: Target, id: str, outputs: Properties) -> None:
        """There is nothing to delete."""

    def call(self, token: str, arguments: Properties) -> Properties:
        raise ProviderError(f"{token} cannot be answered: {self.name} is skipped on this machine")


def skipped(package: type[Package]) -> type[Package]:
    """The package, skipped."""
    made: Any = type(f"Skipped{package.__name__}", (Skipped, package), {})
    return made
