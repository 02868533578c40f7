"""Join tokens in k3s's secure form, which names the cluster whose CA a joining machine must see."""

import base64
import hashlib
import re

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s*(.+?)\s*-----END CERTIFICATE-----", re.DOTALL)


def ca_hash(root_certificate: str) -> str:
    """SHA-256 of the root certificate's DER, as k3s computes it for a CA bundle that is a chain.

    Args:
        root_certificate: One certificate, PEM.

    Raises:
        ValueError: there is not exactly one certificate in the text.
    """
    blocks = _PEM.findall(root_certificate)
    if len(blocks) != 1:
        raise ValueError(f"expected one PEM certificate, found {len(blocks)}")
    return hashlib.sha256(base64.b64decode(blocks[0])).hexdigest()


def server_token(root_certificate: str, password: str) -> str:
    """The token of control-plane servers: full administrator access, never given to an agent."""
    return f"K10{ca_hash(root_certificate)}::server:{password}"


def agent_token(root_certificate: str, password: str) -> str:
    """The token of agents."""
    return f"K10{ca_hash(root_certificate)}::node:{password}"
