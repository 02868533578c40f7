"""Each type of resource from create to delete, with the requests that this takes."""

import pytest

from sandbox.plugins.package import ProviderError

from .cases import CASES, Case
from .conftest import Stack

each = pytest.mark.parametrize("case", CASES, ids=str)


@each
def test_it_is_made_as_said_and_nothing_is_left_to_do(stack: Stack, case: Case) -> None:
    given = case.given(stack)
    made = stack.asked(lambda: stack.create(case.kind, **given))
    resource = stack.made[-1]
    assert len(made) == case.create, made
    assert stack.diff(resource, given).changed == ()
    before = dict(resource.outputs)
    read = stack.asked(lambda: stack.refresh(resource))
    assert len(read) == case.read, read
    assert set(read) <= {each for each in read if each.startswith("GET ")}
    assert stack.diff(resource, given).changed == ()
    assert resource.outputs == before


@each
def test_a_change_is_made_in_place_or_replaces(stack: Stack, case: Case) -> None:
    resource = stack.create(case.kind, **case.given(stack))
    wanted = case.changed(resource.inputs)
    change = stack.diff(resource, wanted)
    assert change.replaces == case.replaces
    if case.replaces:
        return
    changed = set(change.changed)
    assert changed <= {name for name in wanted if resource.inputs.get(name) != wanted[name]}
    stack.update(resource, wanted)
    assert stack.refresh(resource)
    assert stack.diff(resource, wanted).changed == ()
    assert resource.id in stack.imported(case.kind, case.import_id(resource)).id


@each
def test_what_was_changed_by_hand_is_told_and_mended(stack: Stack, case: Case) -> None:
    given = case.given(stack)
    resource = stack.create(case.kind, **given)
    case.drift(stack, resource)
    assert stack.refresh(resource)
    change = stack.diff(resource, given)
    # The provider computes these when the program does not say them: what it finds is as good.
    if case.kind == "LoadBalancerNetwork":
        assert change.changed == ()
        assert resource.outputs["enablePublicInterface"] is False
        return
    assert change.changed != ()
    if change.replaces:
        stack.delete(resource)
        resource = stack.create(case.kind, **given)
    else:
        stack.update(resource, given)
    assert stack.refresh(resource)
    assert stack.diff(resource, given).changed == ()


@each
def test_what_is_imported_is_not_replaced_for_what_the_api_tells(stack: Stack, case: Case) -> None:
    given = case.given(stack)
    made = stack.create(case.kind, **given)
    imported = stack.imported(case.kind, case.import_id(made))
    assert imported.id == made.id
    assert set(stack.diff(imported, given).replaces) == set(case.not_imported)
    whole = stack.diff(imported, given | {name: imported.inputs.get(name) for name in case.not_imported})
    assert whole.replaces == ()


@each
def test_it_is_deleted_and_what_is_gone_is_gone(stack: Stack, case: Case) -> None:
    resource = stack.create(case.kind, **case.given(stack))
    if resource.inputs.get("deleteProtection"):
        with pytest.raises(ProviderError, match="protected"):
            stack.delete(resource)
        stack.update(resource, resource.inputs | {"deleteProtection": False})
    gone = stack.asked(lambda: stack.delete(resource))
    assert len(gone) == case.delete, gone
    # A firewall stays when it is applied to nothing any more.
    if case.kind != "FirewallAttachment":
        assert not stack.refresh(resource)
    if case.kind == "LoadBalancerNetwork":
        # The provider knows no other refusal than that the load balancer is gone.
        with pytest.raises(ProviderError, match="load_balancer_not_attached_to_network"):
            stack.delete(resource)
    else:
        stack.delete(resource)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind not in ("SshKey", "FirewallAttachment")], ids=str)
def test_an_update_of_what_was_deleted_by_hand_says_so(stack: Stack, case: Case) -> None:
    resource = stack.create(case.kind, **case.given(stack))
    wanted = case.changed(resource.inputs)
    if resource.inputs.get("deleteProtection"):
        stack.update(resource, resource.inputs | {"deleteProtection": False})
        wanted = case.changed(resource.inputs)
    stack.delete(resource)
    if not stack.diff(resource, wanted).replaces and stack.diff(resource, wanted).changed:
        with pytest.raises(ProviderError, match=r"does not exist any more|not_found|is not in network"):
            stack.update(resource, wanted)


def test_nothing_that_exists_is_taken_over(stack: Stack) -> None:
    for case in CASES:
        if case.kind in ("Network", "Firewall", "PlacementGroup", "PrimaryIp", "Volume", "LoadBalancer"):
            given = case.given(stack)
            stack.create(case.kind, **given)
            with pytest.raises(ProviderError, match="uniqueness_error"):
                stack.create(case.kind, **given)


def test_what_the_sandbox_does_not_make_is_refused_before_anything_is_asked(stack: Stack) -> None:
    (failure,) = stack.check("FloatingIp", type="ipv4", homeLocation="fsn1")
    assert "the sandbox's hcloud plugin does not make hcloud:index/floatingIp:FloatingIp" in failure
    assert stack.asked() == []
