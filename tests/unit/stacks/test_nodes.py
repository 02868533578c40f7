"""What a pool's machines are as Nodes: labels and taints that follow from its kind, what is written beside them, whom they keep off."""

from typing import Any

import pytest

from stacks.models import AutoscaledPool, CloudPool, Pool, Prices, Region, RobotPool
from stacks.nodes import GPU_LABEL, STORAGE_LABEL, gpu_pools, gpu_shares, gpus_of, is_closed, node, repelling_taints
from stacks.settings import Settings

GPU_TAINT = "nvidia.com/gpu=present:NoSchedule"


def cloud(**changes: Any) -> CloudPool:
    return CloudPool(kind="cloud", type="cx43", nodes="5-6", **changes)


def robot(**changes: Any) -> RobotPool:
    return RobotPool(kind="robot", model="GEX45", vswitch_id=4711, nodes="3", **changes)


def autoscaled(**changes: Any) -> AutoscaledPool:
    return AutoscaledPool(kind="autoscaled", type="cx43", min=0, max=2, **changes)


def with_pool(settings: Settings, pool: Pool, name: str = "own") -> tuple[Region, Prices]:
    region = settings.regions["fsn1"]
    return region.model_copy(update={"pools": {**region.pools, name: pool}}), settings.prices


def made(settings: Settings, pool: Pool) -> tuple[dict[str, str], list[str]]:
    """Labels and taints of a pool's Nodes."""
    region, prices = with_pool(settings, pool)
    found = node(region, "own", pool, prices)
    assert set(found) == {"labels", "taints"}
    return dict(found.get("labels", {})), list(found.get("taints", []))


def test_a_static_general_agent_has_a_disk_for_volumes(settings: Settings) -> None:
    assert made(settings, cloud()) == ({"node.longhorn.io/create-default-disk": "true"}, [])


@pytest.mark.parametrize("pool", [cloud(gpus=1), robot(), autoscaled()], ids=["cloud with GPUs", "robot", "autoscaled"])
def test_no_other_machine_has_one(pool: Pool, settings: Settings) -> None:
    assert STORAGE_LABEL not in made(settings, pool)[0]


def test_a_dedicated_machine_without_gpus_and_a_server_are_plain(settings: Settings) -> None:
    model = settings.prices.robot_models["GEX45"].model_copy(update={"gpus": 0})
    prices = settings.prices.model_copy(update={"robot_models": {"GEX45": model}})
    region, _ = with_pool(settings, robot())
    assert node(region, "own", robot(), prices) == {"labels": {}, "taints": []}
    assert node(region, "server", region.servers, prices) == {"labels": {}, "taints": []}


@pytest.mark.parametrize("pool", [cloud(gpus=1), cloud(gpus=8), robot()], ids=["one", "eight", "dedicated"])
def test_machines_with_gpus_say_so_and_keep_others_off(pool: Pool, settings: Settings) -> None:
    assert made(settings, pool) == ({"nvidia.com/gpu": "present"}, [GPU_TAINT])


def test_what_is_written_wins_over_what_follows(settings: Settings) -> None:
    assert made(settings, cloud(labels={STORAGE_LABEL: "false", "tier": "web"}, taints=["slow:PreferNoSchedule"])) == (
        {STORAGE_LABEL: "false", "tier": "web"},
        ["slow:PreferNoSchedule"],
    )
    written = "nvidia.com/gpu=shared:PreferNoSchedule"
    assert made(settings, cloud(gpus=1, labels={GPU_LABEL: "a"}, taints=[written])) == ({GPU_LABEL: "a"}, [written])
    assert made(settings, cloud(gpus=1, taints=["own=x:NoSchedule"]))[1] == ["own=x:NoSchedule", GPU_TAINT]


def test_gpus_in_the_cloud_count_beside_dedicated_ones(settings: Settings) -> None:
    region, prices = with_pool(settings, cloud(gpus=2, gpu_sharing={"pods_per_gpu": 3}))
    assert gpu_pools(region, prices) == {"gpu": 1, "own": 2}
    assert gpu_shares(region, prices) == {"gpu": 1, "own": 3}
    # One machine with one, two machines with two that three pods share each.
    assert gpus_of(region, prices) == 1 + 2 * 2 * 3


def test_a_pool_without_gpus_counts_none(settings: Settings) -> None:
    region, prices = with_pool(settings, cloud(gpus=0))
    assert gpu_pools(region, prices) == {"gpu": 1}
    assert gpus_of(region, prices) == 1


@pytest.mark.parametrize(
    ("pool", "repelling", "closed"),
    [
        (cloud(), [], False),
        (cloud(taints=["slow:PreferNoSchedule"]), [], False),
        (cloud(taints=["own:NoSchedule"]), ["own:NoSchedule"], True),
        (cloud(taints=["own=x:NoExecute"]), ["own=x:NoExecute"], True),
        (autoscaled(taints=["own=x:NoSchedule"]), ["own=x:NoSchedule"], True),
        (cloud(gpus=1), [GPU_TAINT], False),
        (robot(), [GPU_TAINT], False),
        (cloud(gpus=1, taints=["nvidia.com/gpu:NoSchedule"]), ["nvidia.com/gpu:NoSchedule", GPU_TAINT], False),
        (cloud(gpus=1, taints=["own:NoSchedule"]), ["own:NoSchedule", GPU_TAINT], True),
        # The RuntimeClass tolerates NoSchedule alone.
        (cloud(gpus=1, taints=["nvidia.com/gpu=x:NoExecute"]), ["nvidia.com/gpu=x:NoExecute"], True),
        # Without GPUs nobody is meant to be there.
        (cloud(taints=[GPU_TAINT]), [GPU_TAINT], True),
        (
            cloud(gpus=1, taints=["nvidia.com/gpu-old=x:NoSchedule"]),
            ["nvidia.com/gpu-old=x:NoSchedule", GPU_TAINT],
            True,
        ),
    ],
)
def test_taints_close_a_machine_unless_they_only_advise_or_are_its_gpus_own(
    pool: Pool, repelling: list[str], closed: bool, settings: Settings
) -> None:
    region, prices = with_pool(settings, pool)
    assert repelling_taints(region, "own", pool, prices) == repelling
    assert is_closed(region, "own", pool, prices) is closed
