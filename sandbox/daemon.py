"""The process that holds the clouds of a sandbox: ``python -m sandbox.daemon <directory>``. It ends at SIGTERM."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any, cast

from .clouds import Clouds, Options, new_secret
from .home import Home, Wanted
from .machines import PROGRAMS, Tools
from .object_store import ObjectStore


async def serve(home: Home) -> None:
    """Run everything until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    wanted = home.wanted()
    store = _object_store(home, wanted)
    try:
        clouds = Clouds(home.directory / "machines", _options(wanted, store))
        try:
            await clouds.start()
            home.publish(clouds.access)
            await stopped.wait()
        finally:
            await clouds.close()
    finally:
        if store is not None:
            store.stop()


def _object_store(home: Home, wanted: Wanted) -> ObjectStore | None:
    path = wanted.tools.get("moto_server")
    if path is None:
        return None
    store = ObjectStore(Path(path), home.directory / "buckets", wanted.object_store_user, new_secret())
    store.start()
    return store


def _options(wanted: Wanted, store: ObjectStore | None) -> Options:
    tools = None
    if wanted.machines == "full":
        named = {name: Path(path) for name, path in wanted.tools.items()}
        tools = Tools(*(named[name] for name in PROGRAMS))
    return Options(
        machines=cast("Any", wanted.machines),
        tools=tools,
        zone=wanted.zone["name"],
        zone_id=wanted.zone["id"],
        account_id=wanted.zone["account_id"],
        plan=wanted.zone["plan"],
        regions=wanted.regions,
        object_store=(store.endpoint, store.user, store.password) if store is not None else ("", "", ""),
    )


if __name__ == "__main__":
    asyncio.run(serve(Home(Path(sys.argv[1]))))
