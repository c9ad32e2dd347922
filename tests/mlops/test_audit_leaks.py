"""Planted leaks are found, their honest twins are not, and the platform's own path has none."""

from collections.abc import Callable
from functools import cache

import pytest

from mlops.leaks.probes import PROBES, Subject
from quant.guards import Checked
from tests.factories.leaks import PLANTS, Plant

BY_NAME = {probe.name: probe for probe in PROBES}


@cache
def checked(probe: str, subject: Callable[[], Subject]) -> Checked:
    """Twins that are the same are probed once."""
    return BY_NAME[probe].run(subject())


class TestPlants:
    def test_there_are_enough(self) -> None:
        assert len({plant.name for plant in PLANTS}) == len(PLANTS) >= 30

    def test_every_probe_has_a_plant(self) -> None:
        assert {plant.probe for plant in PLANTS} == set(BY_NAME)

    @pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
    def test_leak_is_found(self, plant: Plant) -> None:
        assert checked(plant.probe, plant.leaky).status == "found"

    @pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
    def test_without_the_leak_nothing_is_found(self, plant: Plant) -> None:
        found = checked(plant.probe, plant.honest)
        assert (found.status, found.findings) == ("clean", ())
