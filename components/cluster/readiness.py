"""What is asked of a cluster's API while deploying: is it ready, who votes, and drain a node.

Used by hooks and by the renewal guard only, never while a preview can do without. Everything is bounded, and a time-out
says where to look.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import yaml


class ClusterError(RuntimeError):
    """The cluster did not do in time what a deployment needs of it."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a cluster.

    Args:
        seconds: Bound of the whole wait.
        interval: Seconds between two looks.
    """

    seconds: float = 900
    interval: float = 5


@dataclass(frozen=True)
class Clock:
    """Time, so that tests need none."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


STEADY = 3
"""Looks in a row that must find the API ready: it flaps while etcd promotes a learner."""

UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
"""Taint of a Node until the cloud controller has found its machine."""

NETWORK_DEFINITIONS = ("ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies")
"""What Cilium's operator must have defined in cilium.io/v2 before a policy of its own can be made."""


class ClusterApi:
    """The API of one cluster, as its administrator.

    Args:
        kubeconfig: YAML.
        say: Where progress goes.
    """

    def __init__(self, kubeconfig: str, say: Callable[[str], None], clock: Clock | None = None) -> None:
        # Imported here: it costs half a second, and most runs never ask the API.
        from kubernetes import client, config  # noqa: PLC0415

        loaded: dict[str, Any] = yaml.safe_load(kubeconfig)
        self._server: str = loaded["clusters"][0]["cluster"]["server"]
        self._client: Any = config.new_client_from_config_dict(loaded)
        # One attempt a look: the waiting is ours.
        self._client.configuration.retries = False
        self._core: Any = client.CoreV1Api(self._client)
        self._say = say
        self._clock = clock or Clock()

    def is_ready(self) -> bool:
        """Whether ``/readyz`` answers 200 to the administrator's certificate."""
        try:
            answer = self._client.call_api("GET", f"{self._server}/readyz", _request_timeout=5)
        except Exception:
            return False
        return answer.status == 200

    def voters(self) -> dict[str, bool]:
        """Control-plane nodes by name, and whether each votes in etcd and is healthy (``EtcdIsVoter`` is True)."""
        nodes: Any = self._core.list_node(label_selector="node-role.kubernetes.io/control-plane", _request_timeout=10)
        return {str(node.metadata.name): _votes(node) for node in nodes.items}

    def wait_until_ready(self, servers: int, patience: Patience) -> None:
        """Wait until the API is ready, steadily, and ``servers`` nodes vote in etcd.

        Raises:
            ClusterError: they did not within ``patience``.
        """
        seen = "nothing answered"
        steady = 0

        def look() -> bool:
            nonlocal seen, steady
            if not self.is_ready():
                steady, seen = 0, f"{self._server}/readyz does not answer 200"
                return False
            voting = sum(self._try_voters().values())
            seen = f"the API is ready; {voting} of {servers} servers vote in etcd"
            steady = steady + 1 if voting >= servers else 0
            return steady >= STEADY

        if not self._wait(look, patience, lambda: seen):
            raise ClusterError(
                f"the cluster was not ready within {patience.seconds:.0f} s: {seen}.\n"
                "  Nothing behind it was created, and the next `pulumi up` asks again. Where to look:\n"
                f"  1. reach the API from here: curl -k {self._server}/readyz (is your address inside admin_cidrs?)\n"
                "  2. on the first server: journalctl -u platform-boot -u k3s-server, and /var/log/cloud-init-output.log\n"
                "  3. the API load balancer's health in Hetzner's console: every server must be healthy on 6443"
            )

    def wait_until_connected(self, nodes: int, patience: Patience) -> None:
        """Wait until at least ``nodes`` Nodes are there, all Ready and known to the cloud, and Cilium takes policies.

        Raises:
            ClusterError: they are not within ``patience``; the message names the Nodes.
        """
        missing = ["nothing answered"]

        def look() -> bool:
            nonlocal missing
            try:
                missing = [*self._unconnected(nodes), *self._undefined()]
            except Exception as error:
                missing = [f"{self._server} does not answer ({type(error).__name__})"]
            return not missing

        if not self._wait(look, patience, lambda: "; ".join(missing)):
            raise ClusterError(
                f"the cluster's network was not there within {patience.seconds:.0f} s: {'; '.join(missing)}.\n"
                "  Nothing behind it was created, and the next `pulumi up` asks again. Where to look:\n"
                "  1. kubectl -n kube-system get pods -o wide: cilium runs on every Node, cilium-operator and\n"
                "     hcloud-cloud-controller-manager on servers\n"
                "  2. a Node that is not Ready: kubectl describe node NAME; kubectl -n kube-system logs daemonset/cilium\n"
                "  3. a Node that the cloud does not know: kubectl -n kube-system logs deployment/hcloud-cloud-controller-manager\n"
                "     (the Secret hcloud: token and network; for a dedicated machine Robot's user and password)\n"
                "  4. fewer Nodes than machines: on the machine, journalctl -u platform-boot -u k3s-server -u k3s-agent"
            )

    def forget(self, names: list[str], patience: Patience) -> None:
        """Delete the Nodes of machines that are gone, and wait until they are: their etcd members go with them.

        Raises:
            ClusterError: a Node is still there after ``patience``.
        """
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415

        for name in names:
            try:
                self._core.delete_node(name, _request_timeout=10)
            except ApiException as error:
                if error.status != 404:
                    raise ClusterError(f"the old Node {name} could not be deleted: {error.reason}") from error

        def gone() -> bool:
            left = {node.metadata.name for node in self._core.list_node(_request_timeout=10).items}
            return not left & set(names)

        if not self._wait(gone, patience, lambda: f"waiting for the old node {', '.join(names)} to go"):
            raise ClusterError(f"the old Node {', '.join(names)} is still there: kubectl describe node {names[0]}")

    def cordon(self, name: str, *, unschedulable: bool) -> None:
        """Close a node for new pods, or open it again."""
        self._core.patch_node(name, {"spec": {"unschedulable": unschedulable}}, _request_timeout=10)

    def drain(self, name: str, patience: Patience) -> None:
        """Close the node, evict its pods (disruption budgets hold), and wait until they are gone.

        Pods of DaemonSets and static pods stay.

        Raises:
            ClusterError: pods are still there after ``patience``; the message names them.
        """
        self.cordon(name, unschedulable=True)
        left: list[str] = []

        def evicted() -> bool:
            nonlocal left
            left = [self._evict(pod) for pod in self._pods_to_evict(name)]
            return not left

        if not self._wait(evicted, patience, lambda: f"{name}: {len(left)} pods to go"):
            raise ClusterError(
                f"{name} could not be drained within {patience.seconds:.0f} s; still there: {', '.join(left)}.\n"
                "  The node stays closed for new pods. A disruption budget that allows no disruption is the usual reason:\n"
                "  kubectl get poddisruptionbudgets -A; then run `pulumi up` again"
            )

    def _unconnected(self, wanted: int) -> list[str]:
        """What is wrong with the Nodes, in words."""
        nodes: list[Any] = list(self._core.list_node(_request_timeout=10).items)
        found = [f"{len(nodes)} of {wanted} Nodes have joined"] if len(nodes) < wanted else []
        unready = [str(node.metadata.name) for node in nodes if _conditions(node).get("Ready") != "True"]
        unknown = [str(node.metadata.name) for node in nodes if _is_uninitialized(node)]
        if unready:
            found.append(f"not Ready: {', '.join(unready)}")
        if unknown:
            found.append(f"not yet known to the cloud controller: {', '.join(unknown)}")
        return found

    def _undefined(self) -> list[str]:
        """Which of Cilium's kinds the API does not serve yet, in words."""
        from kubernetes import client  # noqa: PLC0415
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415

        custom: Any = client.CustomObjectsApi(self._client)
        try:
            served = {
                str(kind.name) for kind in custom.get_api_resources("cilium.io", "v2", _request_timeout=10).resources
            }
        except ApiException as error:
            if error.status != 404:
                raise
            served = set[str]()
        absent = [name for name in NETWORK_DEFINITIONS if name not in served]
        return [f"cilium.io/v2 does not serve {', '.join(absent)}"] if absent else []

    def _try_voters(self) -> Mapping[str, bool]:
        try:
            return self.voters()
        except Exception:
            return {}

    def _pods_to_evict(self, node: str) -> list[Any]:
        pods: Any = self._core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={node}", _request_timeout=10)
        return [pod for pod in pods.items if _evictable(pod)]

    def _evict(self, pod: Any) -> str:
        """Ask for one pod's eviction; its name, and the budget's answer if it refuses."""
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415

        name, namespace = cast("str", pod.metadata.name), cast("str", pod.metadata.namespace)
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        try:
            self._core.create_namespaced_pod_eviction(name, namespace, body, _request_timeout=10)
        except ApiException as error:
            if error.status == 429:
                return f"{namespace}/{name} (held by a disruption budget)"
            if error.status != 404:
                return f"{namespace}/{name} ({error.reason})"
        return f"{namespace}/{name}"

    def _wait(self, done: Callable[[], bool], patience: Patience, status: Callable[[], str]) -> bool:
        start = self._clock.now()
        said = ""
        while not done():
            waited = self._clock.now() - start
            if waited >= patience.seconds:
                return False
            if status() != said:
                said = status()
                self._say(f"{said} ({waited:.0f} s of {patience.seconds:.0f} s)")
            self._clock.sleep(patience.interval)
        return True


def _votes(node: Any) -> bool:
    """A member that votes, on a node that still reports: k3s leaves a dead server's EtcdIsVoter as it was."""
    conditions = _conditions(node)
    return conditions.get("EtcdIsVoter") == "True" and conditions.get("Ready") != "Unknown"


def _conditions(node: Any) -> dict[str, str]:
    return {condition.type: condition.status for condition in node.status.conditions or ()}


def _is_uninitialized(node: Any) -> bool:
    return any(taint.key == UNINITIALIZED for taint in node.spec.taints or ()) if node.spec else False


def _evictable(pod: Any) -> bool:
    references: list[Any] = list(pod.metadata.owner_references or ())
    owners = [reference.kind for reference in references]
    mirror = "kubernetes.io/config.mirror" in (pod.metadata.annotations or {})
    return "DaemonSet" not in owners and not mirror and pod.status.phase not in ("Succeeded", "Failed")
