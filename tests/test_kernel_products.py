"""Blocked products against the dense matrices of `mfcore.kernels`, and one device against eight."""

import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from numpy.testing import assert_allclose, assert_array_equal

from mfcore import energies, flows, kernel_products, kernels, projective, sampling
from mfcore.hypersurface import Dwork, fubini_study_volume, omega_volume

KAPPA = fubini_study_volume(Dwork()) / omega_volume(Dwork())
TABLE_1 = (5.716, 80.52)


@pytest.fixture(scope="module")
def points():
    """613 rows and 4100 columns: no multiples of a tile, and more than two tiles each way."""
    rows, columns = (
        sampling.random_points(jax.random.key(k), Dwork(), n).z for k, n in ((1, 613), (2, 4100))
    )
    return rows, columns.at[:5].set(rows[:5])  # some pairs coincide


def dense(name, x, y):
    if name == "relu":
        return kernels.relu_ntk_matrix(x, y, *TABLE_1)
    return kernels.GAUSSIAN_READINGS[name](kernels.distance_matrix(x, y), 3.0)


def blocked(name, x, y, exact=False):
    if name == "relu":
        return kernel_products.relu_ntk(x, y, *TABLE_1)
    function = kernel_products.gaussian if name == "exp(-(sigma d)^2)" else kernel_products.laplace
    return kernel_products.of_distance(function, x, y, 3.0, exact=exact)


def test_squared_distance_is_that_of_the_sine_to_rounding():
    d = np.concatenate([np.geomspace(1e-12, 0.8, 500), np.linspace(0, np.pi / 2, 2001)])
    s = jnp.asarray(np.sin(d) ** 2)
    # Beyond pi/4 the sine forgets the distance: a rounding e of s is e tan d of d, at most sqrt e.
    allowed = 1e-15 * d**2 + 4e-16 * d * np.minimum(np.tan(d), 1e8)
    assert np.all(np.abs(kernel_products.squared_distance(s) - d**2) <= allowed)
    single = np.asarray(kernel_products.squared_distance(s.astype(jnp.float32)), float)
    exact = np.arcsin(np.sqrt(np.asarray(s.astype(jnp.float32), float))) ** 2
    assert np.abs(single - exact).max() < 5e-7
    assert np.abs(single / np.maximum(exact, 1e-30) - 1)[exact > 0].max() < 1e-6


@pytest.mark.parametrize("name", ["exp(-(sigma d)^2)", "exp(-sigma d)", "relu"])
def test_products_are_those_of_the_dense_kernel(points, name):
    x, y = points
    v = jax.random.normal(jax.random.key(3), (len(y), 9))
    kernel, matrix = blocked(name, x, y, exact=name == "exp(-sigma d)"), dense(name, x, y)
    assert kernel.shape == matrix.shape == (613, 4100)
    size = float(jnp.abs(matrix).max())
    assert_allclose(kernel.dense(), matrix, atol=1e-12 * size)
    assert_allclose(kernel @ v, matrix @ v, atol=1e-11 * float(jnp.abs(matrix @ v).max()))
    some, few = np.arange(7, 60, 9), np.array([4000, 3, 0])
    assert_allclose(kernel.at(some, few).dense(), matrix[some][:, few], atol=1e-12 * size)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exp(-(sigma d)^2)", "relu"])
def test_single_precision_keeps_what_it_can(points, name):
    """A few 1e-7 of the Gaussian; of the ReLU kernel, a small part of its variation, not of its size."""
    x, y = points
    single, matrix = blocked(name, *(z.astype(jnp.complex64) for z in points)), np.asarray(dense(name, x, y))
    assert single.rows[0].dtype == jnp.float32
    v = jax.random.normal(jax.random.key(3), (len(y), 9))
    variation = matrix.max() - matrix.min()
    assert (single @ v).dtype == v.dtype == jnp.float64
    assert np.abs(single @ v - matrix @ v).max() < 2e-6 * variation * float(jnp.abs(v).sum(axis=0).max())
    wrong = np.abs(np.asarray(single.dense()) - matrix)
    far = np.asarray(kernels.distance_matrix(x, y)) > 0.05
    assert wrong[far].max() < (2e-5 if name == "relu" else 3e-6) * variation
    assert np.abs(single.row_part @ single.column_part.T).max() > 50 * variation or name != "relu"


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "coarse"), [(jnp.complex128, 1e-9), (jnp.complex64, 1e-5)])
def test_the_wedge_keeps_the_distance_of_near_points(dtype, coarse):
    """exp(-30 d) at distances where 1 - |<z, w>|^2 has lost every digit of d."""
    x = sampling.random_points(jax.random.key(4), Dwork(), 200).z
    y = x + 1e-9 * jax.random.normal(jax.random.key(5), x.shape) * (1 if dtype == jnp.complex128 else 3e4)
    x, y = x.astype(dtype), y.astype(dtype)
    d = jax.vmap(projective.geodesic_distance)(x.astype(complex), y.astype(complex))
    exact, fast = (
        jnp.diagonal(kernel_products.of_distance(kernel_products.laplace, x, y, 30.0, exact=e).dense())
        for e in (True, False)
    )
    assert_allclose(exact, jnp.exp(-30 * d), rtol=30 * float(d.max()) * 1e-2 * (coarse > 1e-8) + coarse)
    assert np.abs(fast - jnp.exp(-30 * d)).max() > 10 * np.abs(exact - jnp.exp(-30 * d)).max()


def test_relu_angles_beyond_a_right_one(points):
    """Without bias angles fill (0, pi); neural-tangents agrees with the closed form it is held to here."""
    x, y = points[0][:40], -points[0][:40]
    kernel = kernel_products.relu_ntk(x, y, 1.3, 0.2)
    matrix = kernels.relu_ntk_matrix(x, y, 1.3, 0.2)
    assert_allclose(kernel.dense(), matrix, atol=1e-7 * float(jnp.abs(matrix).max()))


@pytest.mark.parametrize("name", ["exp(-(sigma d)^2)", "relu"])
def test_the_coupling_bounds_the_kernel_as_a_matrix(points, name):
    x = points[0]
    factor, spread = blocked(name, x, x).coupling()
    matrix = np.asarray(dense(name, x, x))
    assert_allclose(factor, np.sqrt(matrix.min()) * np.ones((613, 1)), rtol=1e-9)
    assert_allclose(spread, np.abs(matrix - matrix.min()).sum(axis=1), rtol=1e-6)
    rest = matrix - factor @ factor.T
    rounding = 1e-9 * float(spread.max())
    assert np.linalg.eigvalsh(np.diag(spread) - rest)[0] > -rounding
    assert np.linalg.eigvalsh(np.diag(0.99 * spread) - rest)[0] < -rounding  # no smaller one would do


def test_a_kernel_with_both_signs_is_bounded_by_absolute_values(points):
    x = points[0]
    kernel = kernel_products.of_distance(lambda d2, p: 1 - p * d2, x, x, 1.0)
    matrix = 1 - np.asarray(kernels.distance_matrix(x, x)) ** 2
    assert matrix.min() < 0
    factor, spread = kernel.coupling()
    assert_array_equal(factor, 0)
    assert_allclose(spread, np.abs(matrix).sum(axis=1), rtol=1e-9)


EIGHT = """
import json, sys, jax, numpy as np
jax.config.update("jax_enable_x64", True)
from mfcore import kernel_products, sampling
from mfcore.hypersurface import Dwork
x, y = (sampling.random_points(jax.random.key(k), Dwork(), n).z for k, n in ((1, 613), (2, 4100)))
v = jax.random.normal(jax.random.key(3), (4100, 9))
mesh = jax.sharding.Mesh(np.array(jax.devices()), ("points",))
found = {}
for name, kernel in {
    "gaussian": kernel_products.of_distance(kernel_products.gaussian, x, y, 3.0),
    "relu": kernel_products.relu_ntk(x, y, 5.716, 80.52),
}.items():
    shared = kernel_products.shared_out(kernel, mesh)
    compiled = kernel_products._times.lower(shared, v).compile().as_text()
    # Each device computes tiles of its own rows only: 613 rows over 8 devices are 77 each.
    found[name] = {
        "product": np.asarray(shared @ v).tolist(),
        "own": "[77,2000]" in compiled or "[1,77,2000]" in compiled,
        "all": "[8,77,2000]" in compiled,
    }
print(json.dumps({"devices": len(jax.devices()), **found}))
"""


@pytest.mark.slow
def test_eight_devices_give_the_numbers_of_one(points):
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    done = subprocess.run(
        [sys.executable, "-c", EIGHT], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["devices"] == 8
    x, y = points[0], sampling.random_points(jax.random.key(2), Dwork(), 4100).z
    v = jax.random.normal(jax.random.key(3), (4100, 9))
    for name in ("gaussian", "relu"):
        kernel = blocked({"gaussian": "exp(-(sigma d)^2)"}.get(name, name), x, y)
        expected = np.asarray(kernel @ v)
        assert_allclose(found[name]["product"], expected, atol=1e-13 * np.abs(expected).max())
        assert found[name]["own"]
        assert not found[name]["all"]


def test_a_mesh_of_two_axes_is_refused(points):
    mesh = Mesh(np.array(jax.devices()).reshape(1, 1), ("points", "columns"))
    with pytest.raises(ValueError, match="need a single axis"):
        kernel_products.shared_out(blocked("relu", *points), mesh)


@pytest.fixture(scope="module")
def setting():
    sample = sampling.random_points_in_patch(jax.random.key(6), Dwork(), 300).sample
    return sample, sampling.fubini_study_pullback(sample)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [energies.absolute, energies.squared], ids=["absolute", "squared"])
def test_the_flow_is_that_of_the_dense_kernel(setting, loss):
    """A few steps with multipliers solved well: the same flow, though the bound of the rest is another."""
    sample, start = setting
    kernel = blocked("exp(-(sigma d)^2)", sample.z, sample.z)
    options = {"loss": loss, "largest_change": 0.02, "goal": 0.5}
    ours = flows.kernel_flow(kernel, start, sample.omega, KAPPA, **options)
    stored = flows.kernel_flow(kernel.dense(), start, sample.omega, KAPPA, **options)
    moved = float(jnp.abs(stored.metric - start).max())
    assert len(ours.loss) == len(stored.loss) > 5
    assert_allclose(ours.time, stored.time, rtol=5e-3)
    assert_allclose(ours.metric, stored.metric, atol=0.01 * moved)
    assert_allclose(ours.loss, stored.loss, rtol=5e-3)
    assert_allclose(ours.metric, start - flows.smear(kernel.dense(), ours.correction), atol=1e-11)
    predicted = flows.predict(kernel.at(np.arange(20), slice(None)), start[:20], ours)
    assert_allclose(predicted.metric, ours.metric[:20], atol=1e-11)


@pytest.mark.slow
def test_explicit_steps_are_those_of_the_dense_kernel(setting):
    sample, start = setting
    kernel = blocked("relu", sample.z, sample.z)
    runs = [
        flows.gradient_descent(
            k, start, sample.omega, KAPPA, learning_rate=1e-10, steps=3, loss=energies.squared
        )
        for k in (kernel, kernel.dense())
    ]
    assert_allclose(runs[0].metric, runs[1].metric, rtol=1e-10, atol=1e-12)
    assert runs[0].loss[-1] < runs[0].loss[0]


@pytest.mark.slow
def test_points_that_are_not_finite_are_refused(setting):
    sample, start = setting
    kernel = blocked("relu", sample.z.at[3].set(jnp.nan), sample.z)
    with pytest.raises(ValueError, match="the kernel holds NaN"):
        flows.kernel_flow(kernel, start, sample.omega, KAPPA)
