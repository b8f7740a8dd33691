"""Every test runs in float64, on the CPU, with the array shapes of mfcore checked at each call."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest
from jaxtyping import install_import_hook
from selection import pytest_addoption, pytest_collection_modifyitems  # noqa: F401 (pytest finds them here)

jax.config.update("jax_enable_x64", True)
install_import_hook("mfcore", "beartype.beartype")


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture(autouse=True, scope="module")
def _compiled_programs_are_dropped():
    """Each compiled program keeps some dozen memory maps, of which Linux grants a process 65,530.

    The whole suite asks for more, and XLA then ends in a segmentation fault.
    """
    yield
    jax.clear_caches()
