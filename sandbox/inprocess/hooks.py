"""Resource hooks: the SDK registers them with a callback server that it starts for the engine; this takes its place."""

import asyncio
import contextvars
from collections.abc import Coroutine, Sequence
from typing import Any, cast

import pulumi
from pulumi.resource_hooks import ResourceHook, ResourceHookArgs
from pulumi.runtime._callbacks import outputtify_secrets
from pulumi.runtime.rpc import deserialize_properties

from ..plugins.values import Properties, encode


class HookError(Exception):
    """A hook failed; the message is the engine's."""


class Hooks:
    """What the SDK finds at ``SETTINGS.callbacks``, and what the monitor calls.

    Args:
        loop: The loop on which the program runs, and on which its hooks run.
        preview: Hooks are skipped in a preview unless they ask for it.
        skipped: Whether all hooks are, since what they ask is not there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, preview: bool, skipped: bool = False) -> None:
        self._loop = loop
        self._context = contextvars.copy_context()
        self._preview = preview
        self._skipped = skipped
        self._hooks: dict[str, ResourceHook] = {}

    def register_resource_hook(self, hook: ResourceHook) -> None:
        """Called by ``pulumi.ResourceHook``."""
        if hook.name in self._hooks:
            raise pulumi.RunError(f'resource hook already registered for name "{hook.name}"')
        self._hooks[hook.name] = hook

    def register_error_hook(self, hook: object) -> None:
        """Called by ``pulumi.ErrorHook``; a first run that fails is not tried again."""
        del hook

    def run(
        self,
        names: Sequence[str],
        phase: str,
        urn: str,
        id: str,
        inputs: Properties,
        outputs: Properties | None = None,
    ) -> list[str]:
        """Run hooks one after the other, from a thread that is not the program's; returns warnings.

        Args:
            names: The hooks.
            phase: ``before`` or ``after``.
            urn: The resource.
            id: Its id, empty before it exists.
            inputs: Its inputs.
            outputs: Its outputs once it exists.

        Raises:
            HookError: a hook failed, unless it is to be ignored.
        """
        warnings: list[str] = []
        for name in names:
            hook = self._hooks.get(name)
            if hook is None:
                raise HookError(f'hook "{name}" was not registered')
            if self._skipped:
                continue
            if self._preview and not (hook.opts and hook.opts.on_dry_run):
                continue
            try:
                self._on_loop(_call(hook, urn, id, inputs, outputs))
            except Exception as error:
                if not (hook.opts and hook.opts.ignore_errors):
                    raise HookError(f'{phase} hook "{name}" failed: {error}') from error
                warnings.append(f'{phase} hook "{name}" failed: {error}')
        return warnings

    def _on_loop(self, call: Coroutine[Any, Any, None]) -> None:
        # The SDK keeps its settings in context variables, which a worker thread does not see.
        future = self._context.copy().run(asyncio.run_coroutine_threadsafe, call, self._loop)
        future.result()


async def _call(hook: ResourceHook, urn: str, id: str, inputs: Properties, outputs: Properties | None) -> None:
    *_, type_, name = urn.split("::")
    args = ResourceHookArgs(
        urn=urn,
        id=id,
        name=name,
        type=type_.rpartition("$")[2],
        new_inputs=_for_program(inputs),
        new_outputs=_for_program(outputs) if outputs is not None else None,
    )
    result = hook(args)
    if asyncio.iscoroutine(result) or isinstance(result, asyncio.Future):
        await result


def _for_program(properties: Properties) -> dict[str, Any]:
    deserialized = cast("dict[str, Any]", deserialize_properties(encode(properties), keep_unknowns=True))
    return outputtify_secrets(deserialized)
