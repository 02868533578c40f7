"""What the doctor reads before it judges: states, locks, configuration, clouds; and what of it could not be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from hcloud import APIException, HCloudException

from stacks import sentinel
from stacks.settings import PROJECT, SHARED

from . import edge, hetzner
from .backend import BackendError, Lock, Store, open_backend, read_locks, restorations, stack_names
from .diagnosis import Finding
from .objects import CLOUDFLARE, HETZNER, CloudObject
from .pulumi import Pulumi, PulumiError
from .state import StackState, StateError, read_state


@dataclass
class Stacks:
    """Everything about the stacks that can be read."""

    names: list[str]
    states: dict[str, StackState] = field(default_factory=dict[str, StackState])
    settings: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]], repr=False)
    locks: list[Lock] = field(default_factory=list[Lock])
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def recorded_network(self) -> sentinel.Recorded | None:
        """The Network in the state of ``shared``."""
        state = self.states.get(SHARED)
        return state.network if state is not None else None

    def access(self, stack: str) -> sentinel.Access | None:
        """How the stack reaches Hetzner."""
        given = self.settings.get(stack, {})
        token = given.get("hcloud:token")
        return sentinel.Access(token, given.get("hcloud:endpoint", "")) if token else None

    def region(self, stack: str) -> str | None:
        """The region of a stack; None for one that has none."""
        region = self._block(stack).get("region")
        return str(region) if region else None

    def _block(self, stack: str) -> dict[str, Any]:
        try:
            block: Any = yaml.safe_load(self.settings.get(stack, {}).get(f"{PROJECT}:stack", ""))
        except yaml.YAMLError:
            return {}
        return cast("dict[str, Any]", block) if isinstance(block, dict) else {}

    def zone(self) -> edge.Zone | None:
        """How ``shared`` reaches Cloudflare."""
        given, block = self.settings.get(SHARED, {}), self._block(SHARED)
        try:
            return edge.Zone(
                str(block["cloudflare"]["zone_id"]),
                str(block["zone"]),
                str(block["cloudflare"]["account_id"]),
                given["cloudflare:apiToken"],
                given.get("cloudflare:baseUrl", ""),
            )
        except (KeyError, TypeError):
            return None


def read_stacks(pulumi: Pulumi) -> Stacks:
    """Read all stacks; what cannot be read is a finding.

    Raises:
        PulumiError: nothing can be read: there is no command line or no backend.
    """
    findings: list[Finding] = []
    store = _open(pulumi, findings)
    found = Stacks(_names(pulumi, store), findings=findings)
    for stack in found.names:
        if store is not None:
            found.locks += _locks(store, stack, found.findings)
        _read_state(pulumi, store, stack, found)
        _read_settings(pulumi, stack, found)
    return found


def _names(pulumi: Pulumi, store: Store | None) -> list[str]:
    try:
        return pulumi.stacks()
    except PulumiError as error:
        # One broken state keeps the command line from listing any.
        if error.kind != "corrupt" or store is None:
            raise
        return stack_names(store, PROJECT)


def _open(pulumi: Pulumi, findings: list[Finding]) -> Store | None:
    try:
        return open_backend(pulumi.backend(), pulumi.environment)
    except (BackendError, PulumiError, OSError, ValueError) as error:
        findings.append(Finding("unread-locks", "the backend", f"locks were not looked at: {error}", blind=True))
        return None


def _locks(store: Store, stack: str, findings: list[Finding]) -> list[Lock]:
    try:
        return read_locks(store, PROJECT, stack)
    # Whatever a bucket's client raises: the rest can still be looked at.
    except Exception as error:
        findings.append(Finding("unread-locks", stack, f"locks were not looked at: {error}", blind=True))
        return []


def _read_state(pulumi: Pulumi, store: Store | None, stack: str, found: Stacks) -> None:
    try:
        found.states[stack] = read_state(stack, pulumi.export(stack))
    except (PulumiError, StateError) as error:
        # A state is not whole while it is being written.
        if not any(lock.stack == stack and lock.here and lock.runs() for lock in found.locks):
            found.findings.append(_unreadable(store, stack, error))


def _unreadable(store: Store | None, stack: str, error: PulumiError | StateError) -> Finding:
    kind = error.kind if isinstance(error, PulumiError) else "corrupt"
    if kind == "integrity":
        repair = (f"pulumi state repair --yes --stack {stack}",)
        return Finding("corrupt-state", stack, f"the state contradicts itself: {error}", repair)
    if kind == "corrupt":
        lines = tuple(restorations(store, PROJECT, stack)) if store is not None else ()
        what = f"the state cannot be read: {error}. " + (
            "Put the newest copy back, and run the doctor again: what was made since then shows as orphans"
            if lines
            else "There is no readable copy of it in the backend: `pulumi stack history` and the bucket's versions are left"
        )
        return Finding("corrupt-state", stack, what, lines[:1], lines[1:3])
    if kind == "passphrase":
        return wrong_passphrase(stack, error)
    return Finding("unread-state", stack, f"the state was not looked at: {error}", blind=True)


def wrong_passphrase(stack: str, error: Exception) -> Finding:
    """The passphrase does not open the stack's secrets."""
    return Finding(
        "wrong-passphrase",
        stack,
        f"the passphrase does not open this stack's secrets ({error})",
        ("export PULUMI_CONFIG_PASSPHRASE_FILE=<the file with the passphrase that the stack was made with>",),
    )


def _read_settings(pulumi: Pulumi, stack: str, found: Stacks) -> None:
    try:
        found.settings[stack] = pulumi.settings(stack)
    except PulumiError as error:
        if error.kind == "passphrase":
            found.findings.append(wrong_passphrase(stack, error))
        else:
            found.findings.append(
                Finding("unread-configuration", stack, f"the configuration was not looked at: {error}", blind=True)
            )


# -- clouds


@dataclass
class Clouds:
    """What the clouds hold, as far as they could be read.

    Args:
        objects: Of all clouds.
        looked_at: The kinds that were read.
        trusted: The stacks whose token is of the recorded project.
    """

    objects: list[CloudObject] = field(default_factory=list[CloudObject])
    looked_at: set[str] = field(default_factory=set[str])
    trusted: set[str] = field(default_factory=set[str])
    findings: list[Finding] = field(default_factory=list[Finding])


def read_clouds(stacks: Stacks) -> Clouds:
    """Read each Hetzner project once, however many stacks are in it, and the zone."""
    found = Clouds()
    by_access: dict[sentinel.Access, list[str]] = {}
    for stack in stacks.names:
        access = stacks.access(stack)
        if access is not None:
            by_access.setdefault(access, []).append(stack)
        elif stack in stacks.settings:
            found.findings.append(
                Finding(
                    "no-token",
                    stack,
                    "has no hcloud:token",
                    (f"pulumi config set --secret hcloud:token --stack {stack}",),
                )
            )
    for access, names in by_access.items():
        _read_project(access, names, stacks, found)
    zone = stacks.zone()
    if zone is not None:
        try:
            found.objects += edge.read_zone(zone)
            found.looked_at |= set(CLOUDFLARE.values())
        except hetzner.CloudError as error:
            found.findings.append(Finding("cloud-unreachable", "Cloudflare", str(error), blind=True))
    return found


def _read_project(access: sentinel.Access, names: list[str], stacks: Stacks, found: Clouds) -> None:
    where = ", ".join(names)
    try:
        objects = hetzner.read_project(access.client())
    except APIException as error:
        code = {"unauthorized": "unknown-token", "token_readonly": "readonly-token"}.get(str(error.code))
        given = tuple(f"pulumi config set --secret hcloud:token --stack {stack}" for stack in names)
        found.findings.append(
            Finding(code, where, sentinel.explain(error, names[0]), given)
            if code
            else Finding("cloud-unreachable", where, sentinel.explain(error, names[0]), blind=True)
        )
        return
    except (HCloudException, OSError) as error:
        found.findings.append(
            Finding("cloud-unreachable", where, f"the Hetzner Cloud API cannot be reached: {error}", blind=True)
        )
        return
    trouble = list(judge_project(names, stacks, objects))
    found.findings += trouble
    if any(each.code == "wrong-project" for each in trouble):
        return
    found.findings += _writable(access, names, stacks, objects)
    found.objects += objects
    found.looked_at |= set(HETZNER.values())
    found.trusted |= set(names)


def judge_project(names: list[str], stacks: Stacks, objects: list[CloudObject]) -> Iterator[Finding]:
    """Whether these objects are of the project that the deployment has recorded."""
    recorded, where = stacks.recorded_network, ", ".join(names)
    ids = {each.id for each in objects if each.kind == "network"}
    if recorded is not None and str(recorded.id) not in ids:
        known = {resource.id for state in stacks.states.values() for resource in state.of_package("hcloud")}
        # Ids of Hetzner are unique over all projects.
        if not known & {each.id for each in objects}:
            yield Finding(
                "wrong-project",
                where,
                f"hcloud:token is of another project: nothing that the states record exists for it, nor the Network {recorded}. "
                "Do not run `pulumi refresh`, `up` or `destroy`: a refresh would drop everything from the state",
                tuple(f"pulumi config set --secret hcloud:token --stack {stack}" for stack in names),
            )
    elif recorded is None and SHARED in stacks.states:
        for each in objects:
            if each.kind == "network" and sentinel.is_ours(each.name, each.labels):
                yield Finding(
                    "lost-state",
                    where,
                    f"the project holds a platform ({each}) that the stack {SHARED!r} has not recorded: the state was lost, this "
                    "is another backend, the token is of another project, or the first `up` was cut off",
                    ("pulumi whoami --verbose", f"pulumi stack history --stack {SHARED}"),
                )


def _writable(
    access: sentinel.Access, names: list[str], stacks: Stacks, objects: list[CloudObject]
) -> Iterator[Finding]:
    """Whether the token may write: a change of nothing at the Network."""
    recorded = stacks.recorded_network
    if recorded is None or ("network", str(recorded.id)) not in {each.key for each in objects}:
        return
    try:
        sentinel.check(access, names[0], recorded, write=True)
    except sentinel.SentinelError as error:
        given = tuple(f"pulumi config set --secret hcloud:token --stack {stack}" for stack in names)
        yield Finding("readonly-token", ", ".join(names), str(error), given)


def read_locations(root: Path) -> Mapping[str, str]:
    """Location by region, from config/regions.yaml; empty when that cannot be read."""
    try:
        document: Any = yaml.safe_load((root / "config" / "regions.yaml").read_text(encoding="utf-8"))
        return {str(name): str(region["location"]) for name, region in document.items()}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        return {}
