"""The Hetzner Network tells projects apart: a token that does not find the recorded one belongs to somebody else's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hcloud import APIException, Client, HCloudException
from hcloud.networks.domain import Network

from components.naming import PLATFORM_LABEL

from .settings import PROJECT

NETWORK = "platform"
"""Name of the Hetzner Network."""

LABELS: Mapping[str, str] = {PLATFORM_LABEL: PROJECT}
"""Labels of the Network."""

HETZNER = "https://api.hetzner.cloud/v1"

_TIMEOUT_SECONDS = 30.0

# Where a state has the Network's id: the type path of the resource, and the output. The first one's provider may not
# repeat the id among the outputs; the subnet in it always has it.
_RECORDED: Final = {
    "hetzner-platform:index:Network$hcloud:index/network:Network": "id",
    "hetzner-platform:index:Network$hcloud:index/networkSubnet:NetworkSubnet": "networkId",
    "hetzner-platform:index:Network": "network_id",
}


class SentinelError(Exception):
    """The token must not be used. The message says why, and what to do."""


class OtherProjectError(SentinelError):
    """The recorded Network is not there for this token."""


@dataclass(frozen=True)
class Access:
    """How the Hetzner Cloud API is reached.

    Args:
        token: Of the project; never shown.
        endpoint: Address with its version path; Hetzner's own when empty.
    """

    token: str
    endpoint: str = ""

    def __repr__(self) -> str:
        return f"Access(endpoint={self.endpoint!r})"

    def client(self) -> Client:
        """The official client."""
        endpoint = self.endpoint.rstrip("/") or HETZNER
        return Client(token=self.token, api_endpoint=endpoint, application_name=PROJECT, timeout=_TIMEOUT_SECONDS)


def network_in(outputs: Mapping[str, Mapping[str, Any]]) -> int | None:
    """Id of the platform's Network in a state.

    Args:
        outputs: ``{"outputs": {…}}`` of the stack's resources by URN.
    """
    for urn, resource in outputs.items():
        id = resource["outputs"].get(_RECORDED.get(urn.split("::")[2], ""))
        if id:
            return int(id)
    return None


def is_ours(name: str | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a Network is a platform's: by its labels, or by its name where somebody took the labels away."""
    return name == NETWORK or LABELS.items() <= (labels or {}).items()


def check(access: Access, stack: str, network_id: int, *, write: bool) -> None:
    """Make sure, with one request, that the token is of the project in which ``network_id`` was made.

    Args:
        access: The token that is about to be used.
        stack: Whose configuration holds it; for the message.
        network_id: Of the recorded Network.
        write: Whether the token has to be able to write; the request is a change of nothing then.

    Raises:
        OtherProjectError: there is no such Network, or it is not a platform's.
        SentinelError: the token is unknown, revoked or can only read, or the API cannot be reached.
    """
    networks = access.client().networks
    given = f"pulumi config set --secret hcloud:token -s {stack}"
    try:
        found = networks.update(Network(id=network_id)) if write else networks.get_by_id(network_id)
    except APIException as error:
        if error.code == "not_found":
            raise OtherProjectError(_other_project(stack, network_id, given)) from None
        raise SentinelError(explain(error, stack)) from None
    except (HCloudException, OSError) as error:
        raise SentinelError(f"the Hetzner Cloud API cannot be reached: {error}. Nothing was changed.") from None
    if not is_ours(found.name, found.labels):
        raise OtherProjectError(
            f"hcloud:token of the stack {stack!r} belongs to another project: its Network {network_id} is called "
            f"{found.name!r} and does not carry {_shown(LABELS)}. Nothing was changed. Give the right token: {given}"
        )


def explain(error: APIException, stack: str) -> str:
    """What the Hetzner Cloud API's refusal of a token means."""
    given = f"pulumi config set --secret hcloud:token -s {stack}"
    if error.code == "token_readonly":
        return (
            f"hcloud:token of the stack {stack!r} can only read. Nothing was changed. Make one with read and write "
            f"permissions in the project: {given}"
        )
    if error.code == "unauthorized":
        return (
            f"hcloud:token of the stack {stack!r} is unknown to Hetzner: it was revoked, or mistyped. Nothing was changed. "
            f"Give one that works: {given}"
        )
    return f"the Hetzner Cloud API refused to answer ({error.code}: {error.message}). Nothing was changed; try again later."


def _other_project(stack: str, network_id: int, given: str) -> str:
    return (
        f"hcloud:token of the stack {stack!r} belongs to another project: the Network {network_id}, which the deployment "
        f"has recorded, does not exist for it. Nothing was changed. Give the right token: {given}. "
        "If somebody deleted the Network, `make doctor` says what to do."
    )


def _shown(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
