"""Progress while something works: one line that changes on a terminal, a line a stack elsewhere."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def progress(console: Console) -> Generator[Callable[[str, str, str], None]]:
    """Yields a function of stack, operation and URN that shows how far the work is."""
    counts: dict[str, int] = {}
    if not console.is_terminal:
        console.print("previewing shared, prod and dr ...")

        def note(stack: str, operation: str, urn: str) -> None:
            del operation, urn
            if stack not in counts:
                counts[stack] = 0
                console.print(f"  {stack}")

        yield note
        return
    with console.status("starting ...") as status:

        def show(stack: str, operation: str, urn: str) -> None:
            counts[stack] = counts.get(stack, 0) + 1
            status.update(f"{stack}: {counts[stack]} {operation} {urn.rpartition('::')[2]}")

        yield show
