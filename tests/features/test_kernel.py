"""Compilation where the disk may not be written."""

from collections.abc import Callable
from typing import Any

import numba
import pytest

import features.kernel
from features.kernel import kernel


class TestKernel:
    def test_without_a_place_for_the_cache_it_compiles_in_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[bool] = []

        def njit(*, nogil: bool, cache: bool = False) -> Callable[..., Any]:
            asked.append(cache)
            if cache:
                raise RuntimeError("cannot cache function 'double': no locator available for file 'x.py'")
            return numba.njit(nogil=nogil)

        monkeypatch.setattr(features.kernel, "njit", njit)
        assert kernel(lambda value: 2 * value)(21) == 42
        assert asked == [True, False]

    def test_another_failure_is_not_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def njit(**options: bool) -> Callable[..., Any]:
            raise RuntimeError("LLVM is broken")

        monkeypatch.setattr(features.kernel, "njit", njit)
        with pytest.raises(RuntimeError, match="LLVM is broken"):
            kernel(lambda value: value)
