"""All stand-ins of controllers, as what attends to each cluster of a room."""

import asyncio
from collections.abc import Callable

from ..machines import Attendant
from ..machines.watching import Watching
from .bundles import Bundles
from .certificates import Certificates
from .constraints import Constraints
from .external_secrets import ExternalSecrets
from .volumes import Volumes


def controllers(endpoint: Callable[[], str]) -> Attendant:
    """What works in each cluster.

    Args:
        endpoint: Of Hetzner's API, asked when it is needed.
    """

    async def attend(watching: Watching, say: Callable[[str], None]) -> None:
        stand_ins = [each(watching, say) for each in (Certificates, Bundles, Constraints, ExternalSecrets)]
        await asyncio.gather(*(each.work() for each in [*stand_ins, Volumes(watching, say, endpoint)]))

    return attend
