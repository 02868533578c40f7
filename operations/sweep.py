"""Removes what controllers left in the cloud, once the cluster that they served is to go."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from hcloud import Client

from stacks import sentinel

from . import hetzner
from .compare import owners
from .controllers import Made, made_by_controllers
from .objects import Key
from .pulumi import Pulumi
from .reading import Stacks, read_locations, read_stacks

_ATTEMPTS = 5
_SECONDS = 1.0
_AGAIN = ("locked", "conflict", "resource_in_use", "service_error", "must_be_detached")


class SweepRefused(Exception):  # noqa: N818  it reads as what it tells
    """Nothing was removed: it is not certain what belongs to whom. The message says why."""


@dataclass(frozen=True)
class Leftovers:
    """What controllers made.

    Args:
        mine: Of the cluster that is swept.
        undecided: Of a cluster that cannot be told.
    """

    mine: tuple[Made, ...]
    undecided: tuple[Made, ...]


def find(pulumi: Pulumi, cluster: str = "", stack: str = "") -> tuple[Client, Leftovers]:
    """What the controllers of a cluster made, and the client that removes it.

    Args:
        pulumi: The command line.
        cluster: The region's name, which is its cluster's.
        stack: The region's stack, where the region is not named.

    Raises:
        PulumiError: the stacks cannot be read.
        SweepRefused: a state cannot be read, the token is of another project or cannot write, the cluster is unknown.
    """
    locations, stacks = read_locations(pulumi.project), read_stacks(pulumi)
    cluster = cluster or stacks.region(stack) or ""
    if not cluster:
        raise SweepRefused(f"the stack {stack!r} has no region: name one of {', '.join(sorted(locations))}")
    if cluster not in locations:
        raise SweepRefused(
            f"config/regions.yaml has no region {cluster!r}: it knows {', '.join(sorted(locations)) or 'none'}"
        )
    client = trusted_access(stacks).client()
    return client, leftovers(hetzner.read_project(client), set(owners(stacks.states.values())), locations, cluster)


def trusted_access(stacks: Stacks) -> sentinel.Access:
    """The access of the project that the deployment has recorded, and that may be written to.

    Raises:
        SweepRefused: there is none, or it is not known what the stacks own.
    """
    unread = [stack for stack in stacks.names if stack not in stacks.states]
    if unread or not stacks.names:
        which = f"the state of {', '.join(unread)} cannot be read" if unread else "there are no stacks in this backend"
        raise SweepRefused(f"{which}, so that nobody knows what is owned: `make doctor`")
    recorded = stacks.recorded_network
    if recorded is None:
        raise SweepRefused("no state records a Network, so that the project cannot be told from another: `make doctor`")
    found = {stack: stacks.access(stack) for stack in stacks.names}
    accesses = {each for each in found.values() if each is not None}
    if len(accesses) != 1:
        raise SweepRefused(
            "the stacks have no token, or different ones: `make doctor` says which are of another project"
        )
    access = accesses.pop()
    try:
        sentinel.check(access, stacks.names[0], recorded, write=True)
    except sentinel.SentinelError as error:
        raise SweepRefused(str(error)) from None
    return access


def leftovers(
    objects: Iterable[hetzner.CloudObject], owned: set[Key], locations: Mapping[str, str], cluster: str
) -> Leftovers:
    """Whose each thing is that a controller made."""
    made = list(made_by_controllers(objects, owned, locations))
    return Leftovers(
        tuple(each for each in made if each.cluster == cluster), tuple(each for each in made if each.cluster is None)
    )


def remove(client: Client, made: Iterable[Made], pause: Callable[[float], None] = time.sleep) -> Iterator[Made]:
    """Remove all of it, in order; each is told once it is gone.

    Raises:
        hetzner.CloudError: the cloud refuses for good.
    """
    gone: set[Key] = set()
    for each in made:
        # An address that the cloud gave to a machine goes with the machine.
        if each.object.kind != "primary-ip" or each.object.whole not in gone:
            _persist(lambda each=each: hetzner.remove(client, each.object), pause)
        gone.add(each.object.key)
        yield each


def _persist(work: Callable[[], None], pause: Callable[[float], None]) -> None:
    """Deletions that follow each other closely meet objects that are still locked."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            work()
        except hetzner.CloudError as error:
            if attempt == _ATTEMPTS or not any(f"({code})" in str(error) for code in _AGAIN):
                raise
            pause(_SECONDS * attempt)
        else:
            return


def sweep_everything(token: str, endpoint: str = "", *, volumes: bool = True) -> Iterator[str]:
    """Remove what controllers of any cluster made in a project that is taken down whole; each line is a thing gone.

    The caller vouches for the token: nothing is compared with a state, but a controller's marks are required.

    Args:
        token: Of the project.
        endpoint: Of the API; the real one when empty.
        volumes: Whether volumes of claims go too. While a cluster runs its driver still has them: they go after it.
    """
    client = sentinel.Access(token, endpoint).client()
    made = made_by_controllers(hetzner.read_project(client), set(), {})
    for each in remove(client, [each for each in made if volumes or each.object.kind != "volume"]):
        yield f"{each.object} of the {each.controller}"
