"""The official client for kinds of which it has no models, for tests of any cluster."""

import tempfile
from pathlib import Path

from kubernetes import client, dynamic


def discovered(api: client.ApiClient) -> dynamic.DynamicClient:
    """What an API server serves, asked of it alone: the client's own cache is a file in the system's temporary directory, which
    stays there, and which the next API server at the same address would be taken for.
    """
    with tempfile.TemporaryDirectory() as passing:
        return dynamic.DynamicClient(api, cache_file=str(Path(passing) / "kinds.json"))
