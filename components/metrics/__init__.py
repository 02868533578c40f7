"""Metrics of pods and machines in the API, and the kinds by which layers say what Prometheus is to read."""

from .metrics import Metrics, MetricsArgs

__all__ = ["Metrics", "MetricsArgs"]
