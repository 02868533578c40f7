"""What a regional stack reads of the stack ``shared``, each with an error that says what to run."""

from collections.abc import Mapping
from typing import Any, cast

import pulumi

from components.cluster import ReservedAddressArgs

from .settings import SHARED


class SharedOutputs:
    """The outputs of ``shared``. Whatever it does not have yet fails with the command that makes it."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._reference = pulumi.StackReference(f"{pulumi.get_organization()}/{pulumi.get_project()}/{SHARED}")

    def network(self, key: str) -> pulumi.Output[Any]:
        """``id`` of the Network or ``dmz_subnet_id``."""
        return self._read("network", key)

    def ssh_key_ids(self) -> pulumi.Output[list[str]]:
        """Ids of the administrators' SSH keys."""
        return self._read("ssh_key_ids")

    def ingress(self, key: str) -> pulumi.Output[Any]:
        """``ipv4_id`` or ``ipv6_id`` of this region's ingress load balancer."""
        return self._read("addresses", self._region, "ingress", key)

    def server_address(self, number: int) -> ReservedAddressArgs:
        """The reserved address of a control-plane server of this region."""
        path = ("addresses", self._region, "servers", str(number))
        return {"id": self._read(*path, "id"), "address": self._read(*path, "address")}

    def zone(self) -> pulumi.Output[str]:
        """The DNS zone."""
        return self._read("zone")

    def active_region(self) -> pulumi.Output[str]:
        """The region that receives the traffic."""
        return self._read("active_region")

    def object_storage(self, key: str) -> pulumi.Output[str]:
        """``endpoint``, ``region``, ``etcd_bucket`` or ``volumes_bucket``."""
        return self._read("object_storage", key)

    def site_access_key_id(self) -> pulumi.Output[str]:
        """Id of this region's access key to the object storage."""
        return self._read("object_storage", "site_access_key_ids", self._region)

    def secret(self, *path: str) -> pulumi.Output[str]:
        """A shared secret: ``vault_seal_key``, or ``mesh_trust_anchor`` with ``certificate`` or ``private_key``."""
        return pulumi.Output.secret(self._read("secrets", *path))

    def secret_generation(self, name: str) -> pulumi.Output[int]:
        """How often a shared secret was renewed, 1 at first."""
        return self._read("secret_generations", name)

    def origin_certificate(self, part: str) -> pulumi.Output[str]:
        """``certificate`` or ``private_key`` that this region's ingress shows to Cloudflare."""
        found = self._read("origin_certificates", self._region, part)
        return pulumi.Output.secret(found) if part == "private_key" else found

    def origin_pull_ca(self) -> pulumi.Output[str]:
        """The authority whose client certificates Cloudflare shows to the ingress: PEM."""
        return self._read("origin_pull_ca")

    def _read(self, name: str, *path: str) -> pulumi.Output[Any]:
        where = ".".join((name, *path))

        def pick(value: object) -> object:
            for step in path:
                if not isinstance(value, Mapping) or step not in value:
                    raise pulumi.RunError(
                        f"the stack {SHARED!r} has no {where} yet. Run `pulumi up -s {SHARED}` first: it goes before "
                        "the regions, and again after a region or server was added to config/regions.yaml."
                    )
                value = cast("Mapping[str, object]", value)[step]
            return value

        return self._reference.get_output(name).apply(lambda value: pick(self._present(value, where)))

    def _present(self, value: object, where: str) -> object:
        if value is None:
            raise pulumi.RunError(
                f"the stack {SHARED!r} has no output {where}. Run `pulumi up -s {SHARED}` first: it goes before the regions."
            )
        return value
