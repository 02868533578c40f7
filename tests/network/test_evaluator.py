"""The evaluator decides as the specifications do: as cyclonus on plain policies, as Cilium's documentation on Cilium's."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.network.cyclonus import Connection, answers, cyclonus
from tests.network.evaluator import (
    API_SERVER,
    HOST,
    REMOTE,
    Evaluator,
    NotUnderstoodError,
    Outside,
    Pod,
)

# --- plain policies: random ones, beside cyclonus

KEYS, VALUES, NAMESPACES = ("app", "tier"), ("a", "b"), ("x", "y")
LABELS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
PORTS = {"web": 80, "admin": 81}
OPERATORS = ("In", "Exists", "DoesNotExist")
"""Without NotIn: cyclonus wants the label to be there, Kubernetes does not (k8s.io/apimachinery/pkg/labels)."""
ADDRESSES = ("10.0.0.1", "10.0.1.1", "192.0.2.1")


@st.composite
def selectors(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if draw(st.booleans()):
        made["matchLabels"] = draw(LABELS)
    if draw(st.integers(0, 3)) == 0:
        operator = draw(st.sampled_from(OPERATORS))
        expression: dict[str, Any] = {"key": draw(st.sampled_from(KEYS)), "operator": operator}
        if operator == "In":
            expression["values"] = draw(st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True))
        made["matchExpressions"] = [expression]
    return made


@st.composite
def peers(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.integers(0, 3)) == 0:
        block = draw(st.sampled_from(("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/24", "192.0.2.1/32")))
        excluded = [each for each in ("10.0.0.0/28", "10.0.1.0/24") if block in ("0.0.0.0/0", "10.0.0.0/8")]
        return {"ipBlock": {"cidr": block, **({"except": excluded} if excluded and draw(st.booleans()) else {})}}
    kinds = draw(st.sampled_from((("podSelector",), ("namespaceSelector",), ("podSelector", "namespaceSelector"))))
    return {kind: draw(selectors()) for kind in kinds}


@st.composite
def ports(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {"protocol": draw(st.sampled_from(("TCP", "UDP")))}
    match draw(st.integers(0, 3)):
        case 0:
            made["port"] = draw(st.sampled_from((80, 81)))
        case 1:
            made["port"] = draw(st.sampled_from(("web", "admin")))
        case 2:
            made |= {"port": 80, "endPort": draw(st.sampled_from((80, 82)))}
    return made


@st.composite
def policies(draw: st.DrawFn, name: str) -> dict[str, Any]:
    types = draw(st.sampled_from((["Ingress"], ["Egress"], ["Ingress", "Egress"])))
    spec: dict[str, Any] = {"podSelector": draw(selectors()), "policyTypes": types}
    for kind in types:
        side = "from" if kind == "Ingress" else "to"
        rules = draw(
            st.lists(
                st.fixed_dictionaries(
                    {}, optional={side: st.lists(peers(), max_size=2), "ports": st.lists(ports(), max_size=2)}
                ),
                max_size=2,
            )
        )
        spec[kind.lower()] = rules
    namespace = draw(st.sampled_from(NAMESPACES))
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


@st.composite
def ends(draw: st.DrawFn) -> Pod | Outside:
    if draw(st.integers(0, 3)) == 0:
        return Outside(draw(st.sampled_from(ADDRESSES)))
    namespace = draw(st.sampled_from(NAMESPACES))
    # A namespace's labels are the same for all its pods.
    return Pod(
        namespace, draw(LABELS), draw(st.sampled_from(ADDRESSES)), {"tier": VALUES[NAMESPACES.index(namespace)]}, PORTS
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[Connection]]:
    made = [draw(policies(f"p{number}")) for number in range(draw(st.integers(1, 5)))]
    connections = draw(
        st.lists(
            st.tuples(ends(), ends(), st.sampled_from((80, 81, 82)), st.sampled_from(("TCP", "UDP"))),
            min_size=20,
            max_size=40,
        )
    )
    return made, connections


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    # Each example is a process of its own: shrinking would take minutes, and the difference is told as it is.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(worlds())
def test_plain_policies_are_decided_as_cyclonus_decides_them(
    tmp_path: Path, world: tuple[list[dict[str, Any]], list[Connection]]
) -> None:
    made, connections = world
    evaluator = Evaluator(made, blocks_mean_pods=True)
    ours = [evaluator.allows(*connection) for connection in connections]
    theirs = answers(cyclonus(), tmp_path, made, connections)
    differences = [
        (connection, our, their)
        for connection, our, their in zip(connections, ours, theirs, strict=True)
        if our != their
    ]
    assert differences == []


def test_a_label_that_is_not_there_is_not_in_any_list() -> None:
    expression = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}
    closed = plain({"podSelector": expression, "policyTypes": ["Ingress"]})
    assert [Evaluator([closed]).allows(OTHER, pod, 80) for pod in (APP, OTHER, Pod("x"))] == [True, False, False]


# --- Cilium's policies, as its documentation says

APP, OTHER, ELSEWHERE = Pod("x", {"app": "a"}), Pod("x", {"app": "b"}), Pod("y", {"app": "a"})
METADATA = Outside("169.254.169.254")


def cilium(spec: dict[str, Any], namespace: str | None = "x") -> dict[str, Any]:
    kind = "CiliumNetworkPolicy" if namespace else "CiliumClusterwideNetworkPolicy"
    metadata = {"name": "p", **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "cilium.io/v2", "kind": kind, "metadata": metadata, "spec": spec}


def plain(spec: dict[str, Any], namespace: str = "x") -> dict[str, Any]:
    return {"kind": "NetworkPolicy", "metadata": {"name": "n", "namespace": namespace}, "spec": spec}


DENY_METADATA = cilium(
    {
        "endpointSelector": {},
        "enableDefaultDeny": {"egress": False, "ingress": False},
        "egressDeny": [{"toCIDR": ["169.254.169.254/32"]}],
    },
    None,
)
EVERYWHERE = plain(
    {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}
)


def test_a_denial_beats_every_allow_and_denies_nothing_else() -> None:
    assert Evaluator([EVERYWHERE]).allows(APP, METADATA, 80)
    assert not Evaluator([EVERYWHERE, DENY_METADATA]).allows(APP, METADATA, 80)
    assert Evaluator([EVERYWHERE, DENY_METADATA]).allows(APP, Outside("192.0.2.1"), 80)
    assert Evaluator([DENY_METADATA]).allows(APP, OTHER, 80)


def test_a_denial_without_an_exemption_puts_pods_into_default_deny() -> None:
    spec = {"endpointSelector": {}, "egressDeny": [{"toCIDR": ["169.254.169.254/32"]}]}
    assert not Evaluator([cilium(spec, None)]).allows(APP, OTHER, 80)


@pytest.mark.parametrize(
    ("entities", "passes"),
    [
        (["kube-apiserver"], {"API_SERVER"}),
        (["remote-node"], {"API_SERVER", "REMOTE"}),
        (["host"], set()),
        (["world"], {"OUTSIDE"}),
    ],
)
def test_entities_are_who_cilium_knows_by_that_name(entities: list[str], passes: set[str]) -> None:
    policy = cilium(
        {
            "endpointSelector": {},
            "ingress": [{"fromEntities": entities, "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}],
        }
    )
    sources = {"API_SERVER": API_SERVER, "REMOTE": REMOTE, "OUTSIDE": Outside("192.0.2.1"), "POD": OTHER}
    assert {name for name, source in sources.items() if Evaluator([policy]).allows(source, APP, 443)} == passes
    assert not any(Evaluator([policy]).allows(source, APP, 444) for source in sources.values())


def test_a_pods_own_machine_always_gets_through_since_its_kubelet_probes() -> None:
    assert Evaluator([plain({"podSelector": {}, "policyTypes": ["Ingress"]})]).allows(HOST, APP, 80)


def test_an_address_range_never_means_a_machine_or_pod_of_the_cluster() -> None:
    evaluator = Evaluator([EVERYWHERE])
    assert evaluator.allows(APP, Outside("10.1.3.1"), 5432)
    assert not evaluator.allows(APP, OTHER, 80)
    assert not evaluator.allows(APP, API_SERVER, 6443)


def test_endpoints_are_of_the_policys_namespace_unless_it_names_another() -> None:
    near = cilium({"endpointSelector": {}, "ingress": [{"fromEndpoints": [{"matchLabels": {"app": "a"}}]}]})
    assert Evaluator([near]).allows(APP, OTHER, 80)
    assert not Evaluator([near]).allows(ELSEWHERE, APP, 80)
    far = {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "y"}}
    assert Evaluator([cilium({"endpointSelector": {}, "ingress": [{"fromEndpoints": [far]}]})]).allows(
        ELSEWHERE, APP, 80
    )


def test_an_empty_rule_of_ciliums_allows_nothing_and_one_of_ports_alone_everybody() -> None:
    assert not Evaluator([cilium({"endpointSelector": {}, "ingress": [{}]})]).allows(OTHER, APP, 80)
    ports_alone = {"endpointSelector": {}, "ingress": [{"toPorts": [{"ports": [{"port": "80"}]}]}]}
    assert Evaluator([cilium(ports_alone)]).allows(ELSEWHERE, APP, 80, "UDP")


@pytest.mark.parametrize(
    "policy",
    [
        cilium({"endpointSelector": {}, "egress": [{"toFQDNs": [{"matchName": "example.com"}]}]}),
        cilium(
            {"endpointSelector": {}, "ingress": [{"fromEntities": ["world"], "toPorts": [{"ports": [], "rules": {}}]}]}
        ),
        cilium({"nodeSelector": {}, "ingress": []}),
        cilium({"endpointSelector": {}, "ingress": []}, None) | {"kind": "CiliumNetworkPolicy"},
        plain({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"form": []}]}),
        plain(
            {
                "podSelector": {},
                "policyTypes": ["Egress"],
                "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}, "podSelector": {}}]}],
            }
        ),
        {"kind": "ConfigMap", "metadata": {"name": "c"}, "spec": {}},
    ],
)
def test_what_is_not_understood_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstoodError):
        Evaluator([policy])
