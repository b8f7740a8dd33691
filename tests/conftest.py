"""Every test runs in float64, on the CPU, with the array shapes of mfcore checked at each call."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest
from jaxtyping import install_import_hook
from selection import pytest_addoption, pytest_collection_modifyitems  # noqa: F401 (pytest finds them here)

jax.config.update("jax_enable_x64", True)
install_import_hook("mfcore", "beartype.beartype")

MANY_MAPS = 30_000  # one of the longest modules, network_ntk, adds 7,400


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(autouse=True, scope="module")
def _compiled_programs_are_dropped():
    """Each compiled program keeps some dozen memory maps, of which Linux grants a process 65,530.

    The whole suite asks for more, and XLA then ends in a segmentation fault. While there is room, the next
    module finds compiled what the last one used.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_bytes().splitlines()) > MANY_MAPS:
        jax.clear_caches()
