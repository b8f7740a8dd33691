"""The metric-NTK of metrics on a hypersurface: by layers and matrix-free, against Jacobians and a library."""

import sys
import types

import drawn
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from numpy.testing import assert_allclose, assert_array_equal

from mfcore import kaehler_networks, network_ntk, training
from mfcore.hypersurface import Dwork
from mfcore.networks import MLP, PARAMETERISATIONS

QUINTIC = Dwork(5)
KINDS = ("component", "potential")
# The derivatives of a potential take long to compile.
CASES = [("component", name) for name in PARAMETERISATIONS] + [
    pytest.param("potential", name, marks=pytest.mark.slow) for name in PARAMETERISATIONS
]


@pytest.fixture(scope="module")
def data():
    sample = drawn.points(QUINTIC, 9, 1)
    kappa = training.exact_kappa(QUINTIC)
    return {
        "component": training.chart_points(sample, kappa),
        "potential": training.frame_points(sample, kappa),
    }


def model(kind, parameterisation="ntk", activation=kaehler_networks.smooth_relu):
    options = {"activation": activation, "parameterisation": parameterisation, "sigma_b": 0.3}
    net = MLP(jax.random.key(0), (25, 7, 6, 9 if kind == "component" else 1), **options)
    metric = kaehler_networks.ComponentMetric if kind == "component" else kaehler_networks.PotentialMetric
    return metric(net, 0.7)


def split(points):
    return training.taken(points, slice(0, 4)), training.taken(points, slice(4, 9))


def close(found, expected):
    assert_allclose(found, expected, rtol=0, atol=1e-10 * np.abs(expected).max())


@eqx.filter_jit
def contracted(metric, xs, ys):
    """J(x) J(y)^T with J by forward mode through the whole metric at once."""
    trained, fixed = eqx.partition(metric, eqx.is_inexact_array)
    theta, unravel = ravel_pytree(trained)

    def jacobian(points):
        def f(theta):
            return network_ntk.components(eqx.combine(unravel(theta), fixed), points).ravel()

        return jax.jacfwd(f)(theta)

    return jacobian(xs) @ jacobian(ys).T


@pytest.mark.slow
def test_components_are_those_of_the_metric(data):
    for kind in KINDS:
        metric, points = model(kind), data[kind]
        matrices = jax.vmap(kaehler_networks.hermitian)(network_ntk.components(metric, points))
        if kind == "component":
            expected = jax.vmap(metric.from_inputs)(points.inputs, points.background)
        else:
            nothing = jnp.zeros((9, 3, 3), complex)
            expected = jax.vmap(metric.from_jet)(points.jet, nothing)
        assert_allclose(matrices, expected, rtol=1e-14)
    bare = network_ntk.components(model("component"), network_ntk.without_background(data["component"]))
    outputs = jax.vmap(model("component").components)(data["component"].inputs)
    assert_allclose(bare, 0.7 * outputs + np.array([1] * 6 + [0] * 3), rtol=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_jacobian_by_finite_differences(data, kind):
    metric, points = model(kind), training.taken(data[kind], slice(0, 2))
    theta, unravel = ravel_pytree(metric)
    jacobian = network_ntk.component_jacobian(metric, points)
    assert jacobian.shape == (2, 9, len(theta))
    step = 1e-5 * jax.random.normal(jax.random.key(5), theta.shape)
    up, down = (network_ntk.components(unravel(theta + sign * step), points) for sign in (1, -1))
    assert_allclose(2 * jacobian @ step, up - down, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("kind", "parameterisation"), CASES)
def test_gram_is_the_product_of_the_jacobians(data, kind, parameterisation):
    metric, (xs, ys) = model(kind, parameterisation), split(data[kind])
    found = network_ntk.gram(metric, xs, ys)
    assert found.shape == (36, 45)
    close(found, contracted(metric, xs, ys))


@pytest.mark.slow
def test_jacobians_of_some_points_at_a_time_give_the_same(data, monkeypatch):
    metric, (xs, ys) = model("potential"), split(data["potential"])
    whole = network_ntk.gram(metric, xs, ys)
    params = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(metric, eqx.is_inexact_array)))
    for points in (1, 3):
        monkeypatch.setattr(network_ntk, "HELD", 16 * params * points)
        close(network_ntk.gram(metric, xs, ys), whole)


def test_gram_of_relu_and_of_the_bare_network(data):
    metric = model("component", "standard", jax.nn.relu)
    xs, ys = split(data["component"])
    close(network_ntk.gram(metric, xs, ys), contracted(metric, xs, ys))
    bare = network_ntk.gram(metric, *(network_ntk.without_background(points) for points in (xs, ys)))
    theta, unravel = ravel_pytree(metric.components)
    at_x, at_y = (
        jax.jacfwd(lambda theta, points=points: jax.vmap(unravel(theta))(points.inputs).ravel())(theta)
        for points in (xs, ys)
    )
    close(bare, 0.49 * at_x @ at_y.T)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "parameterisation"), CASES)
def test_gram_against_neural_tangents(data, kind, parameterisation):
    name = "neural_tangents.experimental"  # only this part needs TensorFlow
    sys.modules.setdefault(name, types.ModuleType(name))
    nt = pytest.importorskip("neural_tangents")
    metric, (xs, ys) = model(kind, parameterisation), split(data[kind])
    trained, fixed = eqx.partition(metric, eqx.is_inexact_array)

    def f(params, packed):
        """The metric's components as `kaehler_networks` gives them, written out here."""
        whole = eqx.combine(params, fixed)
        if kind == "potential":
            return jax.vmap(whole.entries)(packed.reshape(-1, 16, 25))
        inputs, real, imag = jnp.split(packed, (25, 34), axis=1)
        g = jax.vmap(whole.from_inputs)(inputs, jax.lax.complex(real, imag).reshape(-1, 3, 3))
        above = jnp.stack([g[:, 0, 1], g[:, 0, 2], g[:, 1, 2]], axis=1)
        diagonal = jnp.stack([g[:, a, a].real for a in range(3)], axis=1)
        return jnp.concatenate([diagonal, above.real, above.imag], axis=1)

    def packed(points):
        if kind == "potential":
            return points.jet.reshape(len(points.weight), -1)
        background = points.background.reshape(-1, 9)
        return jnp.concatenate([points.inputs, background.real, background.imag], axis=1)

    kernel = nt.empirical_ntk_fn(
        f, trace_axes=(), vmap_axes=0, implementation=nt.NtkImplementation.JACOBIAN_CONTRACTION
    )(packed(xs), packed(ys), trained)
    close(network_ntk.gram(metric, xs, ys), kernel.transpose(0, 2, 1, 3).reshape(36, 45))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_product_is_that_of_the_matrix(data, kind):
    metric, (xs, ys) = model(kind, "standard"), split(data[kind])
    v = jax.random.normal(jax.random.key(2), (45,))
    close(network_ntk.product(metric, xs, ys, v), contracted(metric, xs, ys) @ v)


@pytest.mark.parametrize("kind", KINDS)
def test_a_gram_matrix_is_symmetric_and_positive_and_one_of_two_sets_is_not(data, kind):
    """So a negative eigenvalue in a picture of a spectrum is not that of the kernel on one set of points."""
    metric, xs = model(kind), data[kind]
    own = np.asarray(network_ntk.gram(metric, xs, xs))
    close(own, own.T)
    eigenvalues = np.linalg.eigvalsh(own)
    assert eigenvalues[0] > -1e-13 * eigenvalues[-1]
    other = training.taken(xs, jnp.roll(jnp.arange(9), 1))
    cross = np.asarray(network_ntk.gram(metric, xs, other))
    assert np.abs(cross - cross.T).max() > 0.1 * np.abs(cross).max()
    assert np.linalg.eigvalsh((cross + cross.T) / 2)[0] < -1e-3 * eigenvalues[-1]
    assert np.linalg.eigvals(cross).real.min() < -1e-3 * eigenvalues[-1]


def test_rows_are_points_then_components(data):
    metric, (xs, ys) = model("component"), split(data["component"])
    whole = network_ntk.gram(metric, xs, ys)
    one = network_ntk.gram(metric, training.taken(xs, slice(2, 3)), training.taken(ys, slice(1, 2)))
    assert_allclose(whole[18:27, 9:18], one, rtol=1e-12, atol=1e-15)
    matrix = kaehler_networks.hermitian(jnp.arange(1.0, 10.0))
    assert_array_equal(network_ntk.entries(matrix), np.arange(1.0, 10.0))


def test_single_precision_stays_single(data):
    xs = training._cast(data["component"], jnp.float32)
    metric = training.in_precision(model("component"), jnp.float32)
    found = network_ntk.gram(metric, xs, xs)
    assert found.dtype == jnp.float32
    expected = network_ntk.gram(model("component"), data["component"], data["component"])
    assert_allclose(found, expected, atol=1e-5 * float(expected.max()))


def test_points_of_the_other_model_are_refused(data):
    for kind, other in (KINDS, KINDS[::-1]):
        with pytest.raises(ValueError, match=r"training\.chart_points those of"):
            network_ntk.gram(model(kind), data[kind], data[other])
        with pytest.raises(ValueError, match="Points for a"):
            network_ntk.component_jacobian(model(kind), data[other])
