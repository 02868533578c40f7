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

# Where a state has the Network's id: the type path of the resource, and the output.
_NETWORK: Final = "hetzner-platform:index:Network$hcloud:index/network:Network"
_RECORDED: Final = {
    _NETWORK: "id",
    "hetzner-platform:index:Network$hcloud:index/networkSubnet:NetworkSubnet": "networkId",
    "hetzner-platform:index:Network": "network_id",
}


@dataclass(frozen=True)
class Recorded:
    """The Network that a state has.

    ``id`` is None while nothing but the Network was made, by a provider that does not repeat the id among the outputs.
    """

    id: int | None

    def __str__(self) -> str:
        return str(self.id) if self.id is not None else repr(NETWORK)


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


def network_in(outputs: Mapping[str, Mapping[str, Any]]) -> Recorded | None:
    """The platform's Network in a state; None when there is none.

    Args:
        outputs: ``{"outputs": {…}}`` of the stack's resources by URN.
    """
    there = False
    for urn, resource in outputs.items():
        path = urn.split("::")[2]
        there = there or path == _NETWORK
        if id := resource["outputs"].get(_RECORDED.get(path, "")):
            return Recorded(int(id))
    return Recorded(None) if there else None


def is_ours(name: str | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a Network is a platform's: by its labels, or by its name where somebody took the labels away."""
    return name == NETWORK or LABELS.items() <= (labels or {}).items()


def check(access: Access, stack: str, recorded: Recorded, *, write: bool) -> None:
    """Make sure, with a single request where the id is known, that the token is of the project in which the recorded Network was made.

    Args:
        access: The token that is about to be used.
        stack: Whose configuration holds it; for the message.
        recorded: The Network.
        write: Whether the token has to be able to write; the request is a change of nothing then.

    Raises:
        OtherProjectError: there is no such Network, or it is not a platform's.
        SentinelError: the token is unknown, revoked or can only read, or the API cannot be reached.
    """
    given = f"pulumi config set --secret hcloud:token -s {stack}"
    try:
        found = _find(access.client(), recorded, write=write)
    except APIException as error:
        if error.code == "not_found":
            raise OtherProjectError(_other_project(stack, recorded, given)) from None
        if error.code in ("locked", "conflict"):
            # Somebody changes the Network at this moment: it is there, and the token may write.
            return
        raise SentinelError(explain(error, stack)) from None
    except (HCloudException, OSError) as error:
        raise SentinelError(f"the Hetzner Cloud API cannot be reached: {error}. Nothing was changed.") from None
    if found is None:
        raise OtherProjectError(_other_project(stack, recorded, given))
    if not is_ours(found.name, found.labels):
        raise OtherProjectError(
            f"hcloud:token of the stack {stack!r} belongs to another project: its Network {recorded} is called "
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


def _find(client: Client, recorded: Recorded, *, write: bool) -> Network | None:
    networks = client.networks
    if recorded.id is not None and not write:
        return networks.get_by_id(recorded.id).data_model
    if recorded.id is not None:
        return networks.update(Network(id=recorded.id)).data_model
    named = networks.get_by_name(NETWORK)
    if named is None or not write:
        return named.data_model if named is not None else None
    return networks.update(named).data_model


def _other_project(stack: str, recorded: Recorded, given: str) -> str:
    return (
        f"hcloud:token of the stack {stack!r} belongs to another project: the Network {recorded}, which the deployment "
        f"has recorded, does not exist for it. Nothing was changed. Give the right token: {given}. "
        "If somebody deleted the Network, `make doctor` says what to do."
    )


def _shown(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
