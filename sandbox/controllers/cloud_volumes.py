"""Volumes of the emulated Hetzner project, through the official client, as the CSI driver handles them."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from hcloud import APIException, Client
from hcloud.locations.domain import Location
from hcloud.servers.domain import Server
from hcloud.volumes.client import BoundVolume

_SMALLEST_GB: Final = 10
_POLL_SECONDS: Final = 0.1
_LABEL_LENGTH: Final = 63

Result = TypeVar("Result")


class VolumeError(Exception):
    """The cloud refuses, or does not answer."""


class CloudVolumes:
    """Makes, attaches and removes volumes; each call in a thread, for the client waits.

    Args:
        token: Of the project.
        endpoint: Of its API.
    """

    def __init__(self, token: str, endpoint: str) -> None:
        self._client = Client(token, api_endpoint=endpoint, poll_interval=_POLL_SECONDS)

    async def create(self, name: str, size_gb: int, location: str, labels: Mapping[str, str]) -> int:
        """A volume of this name, made unless it is there; its number.

        Raises:
            VolumeError: it cannot be made.
        """

        def work() -> int:
            found = self._client.volumes.get_by_name(name)
            if found is None:
                # The driver keeps the end of a value that is too long.
                short = {key: value[-_LABEL_LENGTH:] for key, value in labels.items()}
                size = max(size_gb, _SMALLEST_GB)
                # The client's own annotation says that labels are a text: they are not.
                told = cast("Any", short)
                made = self._client.volumes.create(size, name, labels=told, location=Location(name=location))
                made.action.wait_until_finished()
                found = made.volume
            return int(found.id or 0)

        return await self._in_thread(work)

    async def attach(self, id: int, server: int) -> None:
        """Attach it to a server, unless it is.

        Raises:
            VolumeError: it is attached to another one, or cannot be.
        """

        def work() -> None:
            volume = self._client.volumes.get_by_id(id)
            if volume.server is not None and volume.server.id != server:
                raise VolumeError(f"volume {id} is attached to server {volume.server.id}")
            if volume.server is None:
                volume.attach(Server(id=server)).wait_until_finished()

        await self._in_thread(work)

    async def detach(self, id: int, server: int) -> None:
        """Detach it from a server; what is not there is detached.

        Raises:
            VolumeError: it cannot be.
        """

        def work() -> None:
            volume = self._found(id)
            if volume is not None and volume.server is not None and volume.server.id == server:
                volume.detach().wait_until_finished()

        await self._in_thread(work)

    async def delete(self, id: int) -> None:
        """Remove it, unless it is gone.

        Raises:
            VolumeError: it is attached, or cannot be removed.
        """

        def work() -> None:
            volume = self._found(id)
            if volume is not None:
                volume.delete()

        await self._in_thread(work)

    def _found(self, id: int) -> BoundVolume | None:
        try:
            return self._client.volumes.get_by_id(id)
        except APIException as error:
            if error.code == "not_found":
                return None
            raise

    @staticmethod
    async def _in_thread(work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.to_thread(work)
        except VolumeError:
            raise
        except Exception as error:
            raise VolumeError(f"{type(error).__name__}: {error}") from error
