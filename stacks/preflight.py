"""Looks, before anything is registered, whether the token and the recorded deployment belong together."""

import os
import time
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_hcloud as hcloud
from pulumi.runtime import invoke

from . import sentinel
from .settings import SHARED

_RECORDED = "pulumi:pulumi:readStackResourceOutputs"
"""A function of the engine itself. Unlike a stack's outputs, it also tells what an `up` that was cut off has made."""


_READS = 20
_PAUSE_SECONDS = 0.1

DOCTOR_VARIABLE = "HETZNER_PLATFORM_DOCTOR"
"""Set in the previews that ``make doctor`` makes: it wants to know the plan because a state and a cloud disagree."""


class PreflightError(pulumi.RunError):
    """A deployment that must not go on. Pulumi prints the message without a traceback; nothing has been changed."""


def recorded_network() -> sentinel.Recorded | None:
    """The Network in the state of ``shared``; None before its first deployment.

    Raises:
        PreflightError: there is no stack ``shared``.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{SHARED}"
    try:
        state = _read_state(name)
    except Exception as error:
        if "unknown stack" not in str(error):
            raise
        raise PreflightError(
            f"unknown stack {name!r}: there is no stack {SHARED!r} in this backend. Run `pulumi stack init {SHARED}` and "
            f"`pulumi up -s {SHARED}` first: it goes before the regions."
        ) from None
    return sentinel.network_in(state["outputs"])


def _read_state(name: str) -> Mapping[str, Any]:
    for _ in range(_READS - 1):
        try:
            return invoke(_RECORDED, {"stackName": name}).value
        except Exception as error:
            # A backend of files is not whole at the moment at which the engine saves the state.
            if "failed to load checkpoint" not in str(error):
                raise
            time.sleep(_PAUSE_SECONDS)
    return invoke(_RECORDED, {"stackName": name}).value


def refuse_other_project(stack: str) -> sentinel.Recorded | None:
    """Refuse a token that does not belong to the recorded deployment; returns what is recorded.

    It is asked for before the providers are registered: what they were last given is in the state, and a later
    ``pulumi refresh`` uses it. A preview may be made with a token that can only read.

    Raises:
        PreflightError: the token is of another project, unknown, or cannot do what is needed.
    """
    recorded = recorded_network()
    if recorded is not None:
        config = pulumi.Config("hcloud")
        access = sentinel.Access(config.require("token"), config.get("endpoint") or "")
        try:
            sentinel.check(access, stack, recorded, write=not pulumi.runtime.is_dry_run())
        except sentinel.SentinelError as error:
            raise PreflightError(str(error)) from None
    return recorded


def refuse_lost_state(provider: pulumi.ProviderResource) -> None:
    """Refuse a first deployment into a project that holds a platform already.

    Raises:
        PreflightError: it does.
    """
    if pulumi.runtime.is_dry_run() and os.environ.get(DOCTOR_VARIABLE):
        return
    found = hcloud.get_networks(opts=pulumi.InvokeOptions(provider=provider)).networks
    for network in found:
        if sentinel.is_ours(network.name, network.labels):
            raise PreflightError(
                f"the project of hcloud:token holds a platform already (Network {network.name!r}, id {network.id}), but the "
                f"stack {SHARED!r} of this backend has recorded none. Nothing was changed. Either this is another backend "
                "(pulumi whoami --verbose), or the state was lost, or the token is of another project, or an `up` was cut "
                "off: `make doctor` says which, and how to repair it."
            )
