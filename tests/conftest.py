"""Every test runs in float64, on the CPU, with the array shapes of mfcore checked at each call."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of a test's time is the compilation of programs that then run for a moment.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import jax
import pytest
from jaxtyping import install_import_hook
from selection import pytest_addoption, pytest_collection_modifyitems  # noqa: F401 (pytest finds them here)

jax.config.update("jax_enable_x64", True)
install_import_hook("mfcore", "beartype.beartype")

MAPS = Path("/proc/self/maps")
MANY_MAPS = 20_000


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(autouse=True, scope="module")
def _compiled_programs_are_dropped_when_many():
    """Each compiled program keeps some dozen memory maps, of which Linux grants a process 65,530.

    The whole suite asks for more, and XLA then ends in a segmentation fault. What all modules compile alike
    is kept till then.
    """
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()
