"""The platform's program as it is, but for one thing: nobody here waits ten minutes for metrics-server, which a test keeps waiting."""

from pathlib import Path
from typing import Any

from components.layer import Layer
from stacks.program import main

KEPT_WAITING, SECONDS = "metrics-server", 90


def shorter(install: Any) -> Any:
    """`Layer.install`, which gives that release less time."""

    def installed(layer: Layer, chart: str, *arguments: Any, **options: Any) -> Any:
        patience = {"timeout": SECONDS} if chart == KEPT_WAITING else {}
        return install(layer, chart, *arguments, **{**options, **patience})

    return installed


if __name__ == "__main__":
    Layer.install = shorter(Layer.install)
    main(Path(__file__).resolve().parent)
