"""Network metrics on a hypersurface: carried derivatives against nested autodiff, and what is invariant."""

import drawn
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mfcore import kaehler_networks, projective, sampling
from mfcore.hypersurface import Dwork
from mfcore.networks import MLP


def model(key, activation=kaehler_networks.smooth_relu, parameterisation="ntk"):
    net = MLP(key, (25, 8, 6, 1), activation=activation, parameterisation=parameterisation)
    return kaehler_networks.PotentialMetric(net, 0.7)


@pytest.fixture(scope="module")
def sample():
    return drawn.points(Dwork(5), 20, 3)


def nested(metric, z, jacobian):
    """g_FS + alpha J (d dbar phi) J^dagger with phi differentiated twice by the real coordinates of C^5."""

    def phi(u):
        return metric.phi(kaehler_networks.invariants(jax.lax.complex(*u)))[0]

    hessian = jax.hessian(phi)(jnp.stack([z.real, z.imag]))
    xx, xy, yx, yy = (hessian[i, :, j, :] for i in (0, 1) for j in (0, 1))
    mixed = (xx + yy + 1j * (xy - yx)) / 4
    background = projective.pullback(jacobian, projective.fubini_study_metric(z))
    return background + metric.alpha * projective.pullback(jacobian, mixed)


# Compiled as a whole: hundreds of operations one by one take ten times as long to compile.
@eqx.filter_jit
def at_points(metric, sample):
    return jax.vmap(metric)(sample.z, sample.jacobian)


@eqx.filter_jit
def nested_at_points(metric, sample, scale):
    return jax.vmap(lambda z, j: nested(metric, z, scale * j))(sample.z, sample.jacobian)


@pytest.mark.parametrize(
    "activation",
    [kaehler_networks.smooth_relu, *(pytest.param(f, marks=pytest.mark.slow) for f in (jnp.tanh, jnp.cos))],
)
def test_potential_metric_is_that_of_nested_autodiff(key, sample, activation):
    metric = model(key, activation)
    found = at_points(metric, sample)
    np.testing.assert_allclose(found, nested_at_points(metric, sample, 1.0), rtol=0, atol=1e-13)
    assert jnp.abs(found - nested_at_points(metric, sample, 0.0)).max() > 0.1


@pytest.mark.slow
def test_potential_metric_is_one_tensor_in_all_charts(key, sample):
    metric = model(key)
    z = sample.z[0]
    other = sampling.sample_at(
        Dwork(5), (z * (2 - 1j))[None], patch=jnp.array([(int(sample.patch[0]) + 1) % 5])
    )
    ratios = [
        jnp.linalg.det(at_points(metric, s.take(jnp.arange(1)))[0]).real / jnp.abs(s.omega[0]) ** 2
        for s in (sample, other)
    ]
    np.testing.assert_allclose(*ratios, rtol=1e-11)


@pytest.mark.slow
def test_volume_of_the_class_is_kept(key):
    """int det g over the quintic is that of g_FS, for the two differ by d dbar of a function."""
    many = drawn.points(Dwork(5), 20_000, 5)
    metric = model(key)
    g = at_points(metric, many)
    change = (jnp.linalg.det(g) / jnp.linalg.det(sampling.fubini_study_pullback(many))).real - 1
    by_line = np.bincount(np.asarray(many.line), np.asarray(change))
    error = np.sqrt(np.sum((by_line - by_line.mean()) ** 2)) / len(change)
    assert abs(float(change.mean())) < 4 * error
    assert float(jnp.abs(change).mean()) > 20 * error


def test_inputs_do_not_see_the_scaling_and_hold_all_of_the_point(sample):
    z = sample.z[1]
    u = kaehler_networks.invariants(z)
    np.testing.assert_allclose(kaehler_networks.invariants(z * (0.3 + 2j)), u, atol=1e-15)
    np.testing.assert_allclose(jnp.sum(u[:5]), 1, rtol=1e-14)
    np.testing.assert_allclose(jnp.sum(u[:5] ** 2) + 2 * jnp.sum(u[5:] ** 2), 1, rtol=1e-14)


def test_hermitian_matrix_has_its_entries_where_they_belong():
    g = kaehler_networks.hermitian(jnp.arange(1.0, 10.0))
    expected = [[1, 4 + 7j, 5 + 8j], [4 - 7j, 2, 6 + 9j], [5 - 8j, 6 - 9j, 3]]
    np.testing.assert_array_equal(g, expected)


@pytest.mark.slow
def test_component_metric_is_hermitian_and_starts_at_fubini_study(key, sample):
    net = MLP(key, (25, 8, 9))
    g = at_points(kaehler_networks.ComponentMetric(net, 0.3), sample)
    np.testing.assert_allclose(g, g.conj().mT, atol=1e-15)
    at_zero = at_points(kaehler_networks.ComponentMetric(net, 0.0), sample)
    np.testing.assert_allclose(at_zero, sampling.fubini_study_pullback(sample), atol=1e-15)
    entry = kaehler_networks.hermitian(net(kaehler_networks.invariants(sample.z[0])))[0, 1]
    np.testing.assert_allclose(g[0, 0, 1], at_zero[0, 0, 1] * (1 + 0.3 * entry), rtol=1e-13)


@pytest.mark.slow
def test_parameter_gradients_pass_through_the_carried_derivatives(key, sample):
    def f(w):
        metric = eqx.tree_at(lambda m: m.phi.weights[1], model(key), jnp.asarray(w))
        return jnp.linalg.det(metric(sample.z[0], sample.jacobian[0])).real

    check_grads(f, (model(key).phi.weights[1],), order=1, modes=("rev",), rtol=1e-6)


def test_relu_loses_the_curvature_at_its_kinks(sample):
    """For ReLU the carried second derivative is s' d dbar h alone: the kink's delta function is not seen."""
    jet = kaehler_networks.invariants_jet(sample.z[0], sample.jacobian[0])
    active = (jet[0] - 0.1 > 0)[None]
    shifted = jet.at[0].add(-0.1)
    found = jnp.stack(kaehler_networks.activated(jax.nn.relu, tuple(shifted)))
    np.testing.assert_allclose(found, jnp.where(active, shifted, 0), atol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_determinant_is_that_of_the_matrix(key, dim):
    entries = jax.random.normal(key, (20, dim**2))
    expected = jnp.linalg.det(jax.vmap(kaehler_networks.hermitian)(entries))
    np.testing.assert_allclose(jax.vmap(kaehler_networks.determinant)(entries), expected.real, atol=1e-13)
    np.testing.assert_allclose(expected.imag, 0, atol=1e-13)
