"""Hooks that make a deployment wait for, or prepare, the cluster. Each fails before its resource is touched."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from ..naming import machine_name
from .readiness import ClusterApi, Patience

Hook = Callable[[pulumi.ResourceHookArgs], Any]


def _ask(kubeconfig: pulumi.Output[str], question: Callable[[ClusterApi, pulumi.ResourceHookArgs], None]) -> Hook:
    """A hook that asks the cluster in a thread, so that the program goes on, and reports progress as it comes."""

    async def hook(args: pulumi.ResourceHookArgs) -> None:
        loop = asyncio.get_running_loop()
        config = await kubeconfig.future()
        assert config is not None

        def say(message: str) -> None:
            loop.call_soon_threadsafe(pulumi.log.info, f"{args.name}: {message}")

        await asyncio.to_thread(lambda: question(ClusterApi(config, say), args))

    return hook


def ready(name: str, kubeconfig: pulumi.Output[str], servers: int, patience: Patience) -> pulumi.ResourceHook:
    """Before a create: the API answers and ``servers`` members vote in etcd.

    It stands before a create because a failed one creates nothing and is asked again by the next deployment.
    """
    return pulumi.ResourceHook(
        f"{name}-ready", _ask(kubeconfig, lambda api, _: api.wait_until_ready(servers, patience))
    )


def connected(name: str, kubeconfig: pulumi.Output[str], nodes: int, patience: Patience) -> pulumi.ResourceHook:
    """Before a create: at least ``nodes`` Nodes are there, all are Ready and known to the cloud, and Cilium takes policies."""
    return pulumi.ResourceHook(
        f"{name}-connected", _ask(kubeconfig, lambda api, _: api.wait_until_connected(nodes, patience))
    )


def forget_predecessors(
    name: str, cluster: str, kubeconfig: pulumi.Output[str], patience: Patience
) -> pulumi.ResourceHook:
    """Before a machine of a later generation is created: the Nodes of earlier ones go, and their etcd members with them."""

    def forget(api: ClusterApi, args: pulumi.ResourceHookArgs) -> None:
        labels = _labels(args.new_inputs)
        pool, number = labels["pool"], int(labels["number"])
        api.forget(
            [machine_name(cluster, pool, number, older) for older in range(1, int(labels["generation"]))], patience
        )

    async def hook(args: pulumi.ResourceHookArgs) -> None:
        if int(_labels(args.new_inputs)["generation"]) > 1:
            await _ask(kubeconfig, forget)(args)

    return pulumi.ResourceHook(f"{name}-forget-predecessors", hook)


def drain(name: str, kubeconfig: pulumi.Output[str], patience: Patience) -> pulumi.ResourceHook:
    """Before the label ``drained`` is written the node is drained, and before it is taken away the node is opened again.

    So the label in the cloud proves the drain. Any other update of the machine does nothing here.
    """

    def change(api: ClusterApi, args: pulumi.ResourceHookArgs) -> None:
        node = str((args.old_inputs or {})["name"])
        if "drained" in _labels(args.new_inputs):
            api.drain(node, patience)
        else:
            api.cordon(node, unschedulable=False)

    async def hook(args: pulumi.ResourceHookArgs) -> None:
        if _labels(args.old_inputs).get("drained") != _labels(args.new_inputs).get("drained"):
            await _ask(kubeconfig, change)(args)

    return pulumi.ResourceHook(f"{name}-drain", hook)


def _labels(inputs: Mapping[str, Any] | None) -> Mapping[str, str]:
    return (inputs or {}).get("labels") or {}
