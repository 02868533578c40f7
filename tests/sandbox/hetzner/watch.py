"""Every answer that an emulated Hetzner gives in any test is held to Hetzner's document."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.hetzner import HetznerCloud

from .openapi import DOCUMENT, OpenApi

Build = Callable[[HetznerCloud], web.Application]


@dataclass(frozen=True)
class Answer:
    """What was asked, and what came back."""

    method: str
    path: str
    status: int
    headers: tuple[str | None, str | None]
    """``X-Correlation-Id`` is replaced by ``set`` where there is one; ``Content-Type``."""
    text: str


class Watch:
    """Collects answers as they are given, and judges them when it is asked: clouds lose no time by it."""

    def __init__(self) -> None:
        self._answers: deque[Answer] = deque()
        self._right: set[int] = set()
        self._document = OpenApi() if DOCUMENT.exists() else None

    @contextmanager
    def installed(self) -> Iterator["Watch"]:
        """Inside it, every application that an emulated Hetzner builds is watched."""
        build = HetznerCloud.application
        HetznerCloud.application = self._watched(build)  # type: ignore[method-assign]
        try:
            yield self
        finally:
            HetznerCloud.application = build  # type: ignore[method-assign]

    def problems(self) -> list[str]:
        """What was wrong with the answers since the last question."""
        found: list[str] = []
        while self._answers:
            answer = self._answers.popleft()
            # Clients ask for the same again and again; a hash is kept, since a suite gives many answers.
            if hash(answer) in self._right:
                continue
            wrong = list(self._problems(answer))
            found += wrong
            if not wrong:
                self._right.add(hash(answer))
        return found

    def _watched(self, build: Build) -> Build:
        @wraps(build)
        def application(cloud: HetznerCloud) -> web.Application:
            made = build(cloud)
            made.middlewares.insert(0, self._note)
            return made

        return application

    @web.middleware
    async def _note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        assert isinstance(answer, web.Response)
        known = "set" if "X-Correlation-Id" in answer.headers else None
        headers = known, answer.headers.get("Content-Type")
        self._answers.append(Answer(request.method, request.path, answer.status, headers, answer.text or ""))
        return answer

    def _problems(self, answer: Answer) -> Iterator[str]:
        where = f"{answer.method} {answer.path} {answer.status}"
        if answer.status >= 500 and "an error of the emulator" in answer.text:
            yield f"{where}: {answer.text}"
        if answer.headers[0] is None:
            yield f"{where}: no X-Correlation-Id"
        if answer.status != 204 and answer.headers[1] != "application/json; charset=utf-8":
            yield f"{where}: {answer.headers[1]}"
        if self._document is not None:
            content = json.loads(answer.text) if answer.text else None
            yield from self._document.problems(answer.method, answer.path.removeprefix("/v1"), answer.status, content)
