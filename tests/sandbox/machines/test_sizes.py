"""What a machine of a size offers to pods."""

import pytest

from sandbox.machines.configuration import K3sConfig
from sandbox.machines.facts import Size
from sandbox.machines.sizes import allocatable, capacity, gibibytes


def config(*arguments: str) -> K3sConfig:
    return K3sConfig({"kubelet-arg": list(arguments)})


def test_nothing_is_kept_back_but_the_eviction_threshold_unless_the_configuration_says_so() -> None:
    size = Size(2, 4, 40)
    assert capacity(size, config())["cpu"] == "2"
    assert allocatable(size, config())["cpu"] == "2000m"
    assert int(capacity(size, config())["memory"][:-2]) - int(allocatable(size, config())["memory"][:-2]) == 100 * 1024


def test_reservations_and_a_threshold_of_its_own_are_kept_back() -> None:
    settings = config("kube-reserved=cpu=0.5,memory=1Gi", "eviction-hard=memory.available<200Mi", "max-pods=50")
    offered = allocatable(Size(2, 4, 40), settings)
    assert offered["cpu"] == "1500m"
    assert int(offered["memory"][:-2]) == int(4 * 0.96 * 2**20) - (1024 + 200) * 1024
    assert offered["pods"] == "50"


@pytest.mark.parametrize(("text", "whole"), [("1Gi", 1), ("1", 1), ("10G", 10), ("1025Mi", 2), ("1Ti", 1024)])
def test_storage_is_counted_in_whole_gibibytes(text: str, whole: int) -> None:
    assert gibibytes(text) == whole


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="'much' is no quantity of bytes"):
        gibibytes("much")
