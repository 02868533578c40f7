"""How the engine hears of it: gRPC errors with details, ids of imports, cancellation."""

import time
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from hcloud import Client

from sandbox.clouds import Access
from sandbox.plugins.package import Package
from sandbox.plugins.packages import open_package
from sandbox.plugins.protocol import provider_pb2, provider_pb2_grpc, status_pb2
from sandbox.plugins.server import Servicer
from sandbox.plugins.values import decode, encode

from .conftest import LOCATION, Stack

PREFIX = "urn:pulumi:dev::test::hcloud:index/"


@pytest.fixture
def plugin(access: Access) -> Iterator[Any]:
    """The provider behind the engine's protocol."""
    package: Package = open_package("hcloud")
    server = grpc.server(futures.ThreadPoolExecutor(4))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(package), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        given = {"token": access.token, "endpoint": access.hetzner, "pollInterval": "10ms"}
        stub.Configure(provider_pb2.ConfigureRequest(args=encode(given)))
        yield stub
    server.stop(0).wait()


def urn(kind: str) -> str:
    return f"{PREFIX}{kind[0].lower()}{kind[1:]}:{kind}::it"


def test_a_half_made_resource_comes_with_its_id_its_properties_and_the_reason(
    plugin: Any, stack: Stack, hetzner: Client
) -> None:
    stack.fault(kind="action_error", path="^create_volume$", message="host is on fire", times=1)
    inputs = {"name": "data", "size": 10, **LOCATION}
    with pytest.raises(grpc.RpcError) as failed:
        plugin.Create(provider_pb2.CreateRequest(urn=urn("Volume"), properties=encode(inputs)))
    metadata = dict(failed.value.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == str(hetzner.volumes.get_by_name("data").id)
    assert (decode(detail.inputs), decode(detail.properties)) == (inputs, inputs)
    assert ["host is on fire" in reason for reason in detail.reasons] == [True]


def test_a_refusal_comes_without_details(plugin: Any) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        plugin.Create(
            provider_pb2.CreateRequest(urn=urn("Network"), properties=encode({"name": "n", "ipRange": "8.8.8.0/24"}))
        )
    assert "grpc-status-details-bin" not in dict(failed.value.trailing_metadata())
    assert "invalid_input" in failed.value.details()


def test_a_read_answers_outputs_and_inputs_and_nothing_for_what_is_gone(plugin: Any, stack: Stack) -> None:
    network = stack.create("Network", name="net", ipRange="10.0.0.0/8")
    state = {"inputs": encode(network.inputs), "properties": encode(network.outputs)}
    asked = provider_pb2.ReadRequest(urn=urn("Network"), id=network.id, **state)
    stack.client.networks.get_by_id(network.number).update(name="renamed")
    found = plugin.Read(asked)
    assert (found.id, decode(found.inputs)["name"], decode(found.properties)["name"]) == (
        network.id,
        "renamed",
        "renamed",
    )
    stack.client.networks.get_by_id(network.number).delete()
    assert plugin.Read(asked).id == ""


def test_a_target_is_imported_under_one_id_and_kept_under_another(plugin: Any, stack: Stack) -> None:
    balancer = stack.create("LoadBalancer", name="lb", loadBalancerType="lb11", **LOCATION)
    server = stack.server()
    made = stack.create("LoadBalancerTarget", loadBalancerId=balancer.number, type="server", serverId=server.number)
    assert made.id == f"lb-srv-tgt-{server.id}-{balancer.id}"
    found = plugin.Read(
        provider_pb2.ReadRequest(urn=urn("LoadBalancerTarget"), id=f"{balancer.id}__server__{server.id}")
    )
    assert found.id == made.id
    with pytest.raises(grpc.RpcError, match="import id has invalid format"):
        plugin.Read(provider_pb2.ReadRequest(urn=urn("LoadBalancerTarget"), id=made.id))


def test_cancel_ends_what_waits(plugin: Any, stack: Stack) -> None:
    stack.fault(kind="action_stuck", path="^create_volume$", times=1)
    inputs = encode({"name": "data", "size": 10, **LOCATION})
    creation = plugin.Create.future(provider_pb2.CreateRequest(urn=urn("Volume"), properties=inputs))
    # It waits when the first question for its action has been answered.
    log = stack.clouds.clouds.world.requests
    deadline = time.monotonic() + 10
    while not any(each.path == "/v1/actions" for each in log.entries("hetzner")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    plugin.Cancel(empty_pb2.Empty())
    with pytest.raises(grpc.RpcError, match="cancelled"):
        creation.result(timeout=10)
