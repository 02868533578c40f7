"""What every layer in a cluster is made with: namespaces, pinned upstream charts, and an end that the next one waits for."""

from .layer import Layer
from .values import ChartPin, chart_values, merged

__all__ = ["ChartPin", "Layer", "chart_values", "merged"]
