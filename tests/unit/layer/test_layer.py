"""What every layer has: namespaces with a level and their policies, what waits for what, secrets that stay secret."""

from collections.abc import Callable, Sequence
from typing import TypedDict

import pulumi

from components.layer import Flow, Layer, Pods
from sandbox.deployment import Deployment, Resource
from sandbox.inprocess import run
from tests.waiting import before


class Nothing(TypedDict):
    pass


class Example(Layer):
    def __init__(self, name: str, build: Callable[["Example"], None], after: Sequence[pulumi.Resource] = ()) -> None:
        super().__init__("Example", name, {}, Nothing, None, after)
        build(self)
        self.finish()


def deployed(program: Callable[[], object]) -> dict[str, Resource]:
    def quiet() -> None:
        program()

    made: Deployment = run(quiet, project="test", stack="test", skipped=frozenset({"kubernetes"}))
    return {resource.name: resource for resource in made.resources}


def names(resource: Resource) -> set[str]:
    return {urn.rpartition("::")[2] for urn in resource.dependencies}


def chart(layer: Example) -> None:
    layer.namespace("system", "restricted", flows=[Flow("in", "ingress", [Pods("x")], [1])])
    pin: dict[str, str] = {"repository": "https://charts.example.com", "version": "1.2.3"}
    layer.install("reloader", pin, "system")  # type: ignore[arg-type]


def test_a_namespace_has_its_level_no_token_and_no_way_in_but_its_flows() -> None:
    made = deployed(lambda: Example("layer", chart))
    labels = made["layer-system-namespace"].inputs["metadata"]["labels"]
    assert labels == {
        "hetzner-platform/layer": "layer",
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
        "config.linkerd.io/admission-webhooks": "disabled",
    }
    assert made["layer-system-default-account"].inputs["automountServiceAccountToken"] is False
    policies = {name for name in made if name.endswith("network-policy")}
    assert policies == {f"layer-system-{policy}-network-policy" for policy in ("default-deny", "allowed")}


def test_a_release_comes_after_the_policies_of_its_namespace() -> None:
    made = deployed(lambda: Example("layer", chart))
    assert before(made.values(), "layer-reloader") == {
        "layer-system-namespace",
        "layer-system-default-account",
        *(f"layer-system-{policy}-network-policy" for policy in ("default-deny", "allowed")),
    }


def test_a_layer_waits_for_the_end_of_the_one_below_and_each_part_for_the_one_before_it() -> None:
    def program() -> None:
        below = Example("below", chart)
        Example(
            "above",
            lambda layer: layer.namespace("top", "privileged", flows=[]),
            below.ready_resources,
        )

    made = deployed(program)
    assert names(made["above-top-namespace"]) == {"below-reloader"}
    assert names(made["above-top-default-account"]) == {"above-top-namespace"}
    assert names(made["above-top-default-deny-network-policy"]) == {"above-top-default-account"}
    assert names(made["above-top-allowed-network-policy"]) == {"above-top-default-deny-network-policy"}


def test_parts_that_are_made_abreast_wait_for_what_came_before_and_the_next_for_them_all() -> None:
    def build(layer: Example) -> None:
        layer.secret("system", "first", {"key": "x"})
        with layer.abreast():
            layer.secret("system", "left", {"key": "x"})
            layer.secret("system", "right", {"key": "x"})
        with layer.abreast():
            pass
        layer.secret("system", "last", {"key": "x"})

    made = deployed(lambda: Example("layer", build))
    assert (
        names(made["layer-system-left-secret"])
        == names(made["layer-system-right-secret"])
        == {"layer-system-first-secret"}
    )
    assert names(made["layer-system-last-secret"]) == {"layer-system-left-secret", "layer-system-right-secret"}


def test_a_protected_namespace_is_the_only_protected_part() -> None:
    def build(layer: Example) -> None:
        layer.namespace("kept", "restricted", flows=[], protect=True)
        layer.namespace("other", "restricted", flows=[])

    made = deployed(lambda: Example("layer", build))
    assert {name for name, each in made.items() if each.protect} == {"layer-kept-namespace"}


def test_a_meshed_namespace_is_looked_at_by_the_meshs_webhook() -> None:
    def build(layer: Example) -> None:
        layer.namespace("m", "restricted", flows=[], meshed=True)

    made = deployed(lambda: Example("layer", build))
    assert "config.linkerd.io/admission-webhooks" not in made["layer-m-namespace"].inputs["metadata"]["labels"]


def test_texts_of_a_secret_are_secret_whether_known_now_or_later() -> None:
    def build(layer: Example) -> None:
        layer.secret("system", "now", {"key": "hidden"})
        layer.secret("system", "later", pulumi.Output.from_input({"key": "hidden"}))

    made = deployed(lambda: Example("layer", build))
    found = {name: each.inputs["stringData"] for name, each in made.items() if name.endswith("-secret")}
    assert found == {"layer-system-now-secret": "[secret]", "layer-system-later-secret": "[secret]"}
