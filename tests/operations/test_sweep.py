"""What controllers left goes, and nothing else, on the emulated cloud; the sentinel speaks to it too."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hcloud import Client
from hcloud.images.domain import Image
from hcloud.load_balancer_types.domain import LoadBalancerType
from hcloud.locations.domain import Location
from hcloud.networks.domain import NetworkSubnet
from hcloud.server_types.domain import ServerType

from operations import hetzner, removal, sweep
from operations.controllers import made_by_controllers
from operations.objects import CloudObject
from operations.pulumi import ROOT, Pulumi, PulumiError
from sandbox.clouds import Options
from sandbox.clouds.threaded import ThreadedClouds
from stacks import sentinel

CLAIM = "pvc-0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"
NETWORK = "urn:pulumi:shared::hetzner-platform::hetzner-platform:index:Network$hcloud:index/network:Network::network"


@dataclass(frozen=True)
class Told(Pulumi):
    """A command line that says what the test wants."""

    states: dict[str, Any] = field(default_factory=dict)
    given: dict[str, dict[str, str]] = field(default_factory=dict)

    def stacks(self) -> list[str]:
        return list(self.given)

    def backend(self) -> str:
        return "https://api.pulumi.com"

    def export(self, stack: str) -> object:
        if stack not in self.states:
            raise PulumiError("unreadable", "corrupt")
        return {"deployment": {"resources": self.states[stack]}}

    def settings(self, stack: str) -> dict[str, str]:
        return self.given[stack]


@dataclass
class Platform:
    """A Network and a server that stacks own, in a project of its own."""

    client: Client
    access: sentinel.Access
    other: sentinel.Access
    network: int
    server: int

    def pulumi(self, access: sentinel.Access | None = None, **states: Any) -> Told:
        used = access or self.access
        given = {"hcloud:token": used.token, "hcloud:endpoint": used.endpoint}
        known = {
            "shared": [{"urn": NETWORK, "type": "hcloud:index/network:Network", "id": str(self.network)}],
            "prod": [self.owned("server", self.server, "hcloud:index/server:Server")],
        }
        return Told(project=ROOT, states=known | states, given={"shared": given, "prod": given})

    @staticmethod
    def owned(name: str, id: int, type: str) -> dict[str, Any]:
        return {"urn": f"urn:pulumi:prod::hetzner-platform::{type}::{name}", "type": type, "id": str(id)}

    def make_server(self, name: str, location: str = "fsn1", **labels: str) -> int:
        made = self.client.servers.create(
            name, ServerType("cx33"), Image(name="debian-13"), location=Location(location),
            networks=[self.client.networks.get_by_id(self.network).data_model], labels=labels,
        )  # fmt: skip
        made.action.wait_until_finished()
        for action in made.next_actions:
            action.wait_until_finished()
        return made.server.id

    def names(self) -> set[tuple[str, str]]:
        return {(each.kind, each.name) for each in hetzner.read_project(self.client) if each.whole is None}


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedClouds]:
    with ThreadedClouds(tmp_path_factory.mktemp("clouds"), Options(rate_limit=False)) as running:
        yield running


@pytest.fixture
def platform(clouds: ThreadedClouds) -> Platform:
    access, other = clouds.new_project(), clouds.new_project()
    own = sentinel.Access(access.token, access.hetzner)
    client = Client(own.token, api_endpoint=own.endpoint, poll_interval=0.02)
    network = client.networks.create(
        "platform",
        "10.0.0.0/8",
        subnets=[NetworkSubnet(type="cloud", network_zone="eu-central", ip_range="10.1.1.0/24")],
        labels=dict(sentinel.LABELS),
    )
    made = Platform(client, own, sentinel.Access(other.token, other.hetzner), network.id, 0)
    made.server = made.make_server("fsn1-server-1", cluster="fsn1", pool="server", number="1")
    return made


def leave_things_behind(platform: Platform) -> None:
    """As the controllers of fsn1 do, and one thing as those of nbg1 do."""
    client = platform.client
    machine = platform.make_server("fsn1-burst-1a2b", **{"hcloud/node-group": "fsn1-burst"})
    client.volumes.create(10, CLAIM, server=client.servers.get_by_id(machine).data_model).action.wait_until_finished()
    for location in ("fsn1", "nbg1"):
        balancer = client.load_balancers.create(
            f"service-{location}",
            LoadBalancerType("lb11"),
            location=Location(location),
            labels={"hcloud-ccm/service-uid": location},
            network=client.networks.get_by_id(platform.network).data_model,
        )
        balancer.action.wait_until_finished()
    client.volumes.create(10, "backup-of-mine", location=Location("fsn1")).action.wait_until_finished()


# -- sweeping


def test_only_the_swept_clusters_leftovers_go(platform: Platform) -> None:
    leave_things_behind(platform)
    before = platform.names()
    client, found = sweep.find(platform.pulumi(), "fsn1")
    assert [str(made.object.name) for made in found.mine if made.object.kind != "primary-ip"] == [
        "service-fsn1",
        "fsn1-burst-1a2b",
        CLAIM,
    ]
    assert found.undecided == ()
    assert platform.names() == before, "listing changes nothing"
    gone = list(sweep.remove(client, found.mine))
    assert len(gone) == len(found.mine)
    assert before - platform.names() == {
        ("load-balancer", "service-fsn1"),
        ("server", "fsn1-burst-1a2b"),
        ("volume", CLAIM),
    }
    assert sweep.find(platform.pulumi(), "fsn1")[1].mine == ()


def test_what_a_stack_owns_stays_whatever_its_labels(platform: Platform) -> None:
    marked = platform.make_server("kept", **{"hcloud/node-group": "fsn1-burst"})
    owned = [platform.owned("kept", marked, "hcloud:index/server:Server")]
    _, found = sweep.find(platform.pulumi(prod=owned), "fsn1")
    assert found.mine == ()


def test_everything_of_a_project_goes_at_its_end(platform: Platform) -> None:
    leave_things_behind(platform)
    lines = list(sweep.sweep_everything(platform.access.token, platform.access.endpoint))
    assert any("'service-nbg1'" in line and line.endswith("of the cloud controller manager") for line in lines)
    assert platform.names() == {
        ("network", "platform"),
        ("server", "fsn1-server-1"),
        ("volume", "backup-of-mine"),
    }


def test_volumes_of_claims_stay_until_the_clusters_are_gone(platform: Platform) -> None:
    leave_things_behind(platform)
    list(sweep.sweep_everything(platform.access.token, platform.access.endpoint, volumes=False))
    assert ("volume", CLAIM) in platform.names()
    assert ("server", "fsn1-burst-1a2b") not in platform.names()
    list(sweep.sweep_everything(platform.access.token, platform.access.endpoint))
    assert ("volume", CLAIM) not in platform.names()


def test_what_is_locked_for_a_moment_is_tried_again(platform: Platform, clouds: ThreadedClouds) -> None:
    leave_things_behind(platform)
    pauses: list[float] = []
    faults = clouds.clouds.world.faults
    clouds.call(
        lambda: faults.add(kind="status", method="DELETE", path="/load_balancers/", status=423, code="locked", times=2)
    )
    try:
        client, found = sweep.find(platform.pulumi(), "nbg1")
        gone = [each.object.kind for each in sweep.remove(client, found.mine, pauses.append)]
        assert gone == ["load-balancer", "primary-ip", "primary-ip"]
    finally:
        clouds.call(faults.clear)
    assert pauses == [1.0, 2.0]


def test_what_is_refused_for_good_ends_the_sweep(platform: Platform, clouds: ThreadedClouds) -> None:
    leave_things_behind(platform)
    balancer = platform.client.load_balancers.get_by_name("service-nbg1")
    balancer.change_protection(delete=True).wait_until_finished()
    client, found = sweep.find(platform.pulumi(), "nbg1")
    with pytest.raises(hetzner.CloudError, match=r"'service-nbg1' .* stays: .*protected"):
        list(sweep.remove(client, found.mine, lambda _: None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda platform: platform.pulumi(platform.other), "belongs to another project"),
        (lambda platform: platform.pulumi(sentinel.Access("x" * 64, platform.access.endpoint)), "unknown to Hetzner"),
        (lambda platform: platform.pulumi(shared=[]), "no state records a Network"),
        (lambda platform: Told(states={}, given={}), "there are no stacks in this backend"),
        (lambda platform: Told(states={}, given={"shared": {}}), "the state of shared cannot be read"),
    ],
    ids=["other project", "unknown token", "nothing recorded", "no stacks", "unreadable state"],
)
def test_without_certainty_nothing_is_swept(platform: Platform, change: Any, message: str) -> None:
    with pytest.raises(sweep.SweepRefused, match=message):
        sweep.find(change(platform), "fsn1")


def test_different_tokens_are_not_trusted(platform: Platform) -> None:
    pulumi = platform.pulumi()
    pulumi.given["prod"] = {"hcloud:token": platform.other.token, "hcloud:endpoint": platform.other.endpoint}
    with pytest.raises(sweep.SweepRefused, match="or different ones"):
        sweep.find(pulumi, "fsn1")


def test_a_stack_names_its_region(platform: Platform) -> None:
    leave_things_behind(platform)
    pulumi = platform.pulumi()
    pulumi.given["dr"] = {**pulumi.given["prod"], "hetzner-platform:stack": '{"region": "nbg1"}'}
    pulumi.states["dr"] = []
    balancer, *addresses = (made.object for made in sweep.find(pulumi, stack="dr")[1].mine)
    assert balancer.name == "service-nbg1"
    assert [(each.kind, each.whole) for each in addresses] == [("primary-ip", balancer.key)] * 2
    with pytest.raises(sweep.SweepRefused, match="the stack 'shared' has no region: name one of fsn1, nbg1"):
        sweep.find(pulumi, stack="shared")


def test_an_unknown_region_is_named(platform: Platform) -> None:
    with pytest.raises(sweep.SweepRefused, match="no region 'hel1': it knows fsn1, nbg1"):
        sweep.find(platform.pulumi(), "hel1")


# -- removing


@pytest.fixture
def parts(platform: Platform) -> dict[str, CloudObject]:
    """One part of each kind, made behind everybody's back."""
    client = platform.client
    network = client.networks.get_by_id(platform.network)
    network.add_subnet(
        NetworkSubnet(type="cloud", network_zone="eu-central", ip_range="10.9.0.0/24")
    ).wait_until_finished()
    return {each.kind: each for each in hetzner.read_project(client) if each.whole is not None}


def test_a_part_is_removed_from_its_whole(platform: Platform, parts: dict[str, CloudObject]) -> None:
    subnet = removal.find_stranger(platform.pulumi(), "subnet", f"{platform.network}-10.9.0.0/24")
    subnet.remove()
    left = [each.ip_range for each in platform.client.networks.get_by_id(platform.network).subnets]
    assert left == ["10.1.1.0/24"]
    attached = parts["server-network"]
    hetzner.remove(platform.client, attached)
    assert platform.client.servers.get_by_id(platform.server).private_net == []


def test_what_is_gone_already_is_no_error(platform: Platform) -> None:
    hetzner.remove(platform.client, CloudObject("firewall", "1", "gone"))


@pytest.mark.parametrize(
    ("kind", "id", "message"),
    [
        ("server", "{server}", "belongs to the stack 'prod'"),
        ("network", "{network}", "belongs to the stack 'shared'"),
        ("firewall", "1", "there is no firewall 1"),
        ("rocket", "1", "'rocket' is no kind: certificate, "),
    ],
)
def test_only_what_exists_and_nobody_owns_is_removed(platform: Platform, kind: str, id: str, message: str) -> None:
    wanted = id.format(server=platform.server, network=platform.network)
    with pytest.raises(removal.RemovalRefused, match=message):
        removal.find_stranger(platform.pulumi(), kind, wanted)


# -- the sentinel


def recorded(platform: Platform) -> sentinel.Recorded:
    return sentinel.Recorded(platform.network)


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("by_id", [False, True])
def test_the_right_token_is_known_and_changes_nothing(
    platform: Platform, clouds: ThreadedClouds, write: bool, by_id: bool
) -> None:
    requests = clouds.clouds.world.requests
    clouds.call(requests.clear)
    sentinel.check(platform.access, "prod", recorded(platform) if by_id else sentinel.Recorded(None), write=write)
    methods = [each.method for each in clouds.call(requests.entries)]
    assert methods == (["PUT" if write else "GET"] if by_id else ["GET", "PUT"][: 1 + write])
    after = platform.client.networks.get_by_id(platform.network)
    assert (after.name, after.labels) == ("platform", dict(sentinel.LABELS))


@pytest.mark.parametrize(("status", "code"), [(423, "locked"), (409, "conflict")])
def test_a_network_that_is_being_changed_is_there(
    platform: Platform, clouds: ThreadedClouds, status: int, code: str
) -> None:
    faults = clouds.clouds.world.faults
    # As often as the client asks again by itself.
    clouds.call(lambda: faults.add(kind="status", method="PUT", path="/networks/", status=status, code=code))
    try:
        sentinel.check(platform.access, "prod", recorded(platform), write=True)
    finally:
        clouds.call(faults.clear)


@pytest.mark.parametrize("write", [False, True])
def test_another_project_does_not_have_the_network(platform: Platform, write: bool) -> None:
    for known in (recorded(platform), sentinel.Recorded(None)):
        with pytest.raises(sentinel.OtherProjectError, match="does not exist for it"):
            sentinel.check(platform.other, "prod", known, write=write)


def test_a_network_that_is_not_a_platforms_is_refused(platform: Platform) -> None:
    other = platform.client.networks.create("somebody-elses", "10.0.0.0/8")
    with pytest.raises(sentinel.OtherProjectError, match="is called 'somebody-elses'"):
        sentinel.check(platform.access, "prod", sentinel.Recorded(other.id), write=False)


def test_the_name_is_enough_where_labels_were_taken_away(platform: Platform) -> None:
    platform.client.networks.update(platform.client.networks.get_by_id(platform.network), labels={})
    sentinel.check(platform.access, "prod", recorded(platform), write=False)


def test_a_cloud_that_does_not_answer_is_called_that(platform: Platform) -> None:
    nobody = sentinel.Access(platform.access.token, "http://127.0.0.1:1/v1")
    with pytest.raises(sentinel.SentinelError, match="cannot be reached"):
        sentinel.check(nobody, "prod", recorded(platform), write=False)


def test_tokens_are_not_shown(platform: Platform) -> None:
    assert platform.access.token not in repr(platform.access)


def test_controllers_made_nothing_of_what_a_platform_is(platform: Platform) -> None:
    assert list(made_by_controllers(hetzner.read_project(platform.client), set(), {"fsn1": "fsn1"})) == []
