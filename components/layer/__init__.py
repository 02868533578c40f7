"""What every layer in a cluster is made with: namespaces with their flows, pinned charts, an end that the next one waits for."""

from .flows import (
    API_SERVER,
    CONTROL_PLANE,
    INGRESS,
    INTERNET,
    MACHINES,
    MONITORING,
    Addresses,
    Entities,
    Flow,
    Peer,
    Pods,
    from_api_server,
    from_prometheus,
    policies,
    to_api_server,
    within,
)
from .layer import LAYER_LABEL, Layer, Security
from .requests import UnknownChartError, Workload, mebibytes, millicores, workloads
from .values import ChartPin, chart_values, merged, own_values

__all__ = [
    "API_SERVER",
    "CONTROL_PLANE",
    "INGRESS",
    "INTERNET",
    "LAYER_LABEL",
    "MACHINES",
    "MONITORING",
    "Addresses",
    "ChartPin",
    "Entities",
    "Flow",
    "Layer",
    "Peer",
    "Pods",
    "Security",
    "UnknownChartError",
    "Workload",
    "chart_values",
    "from_api_server",
    "from_prometheus",
    "mebibytes",
    "merged",
    "millicores",
    "own_values",
    "policies",
    "to_api_server",
    "within",
    "workloads",
]
