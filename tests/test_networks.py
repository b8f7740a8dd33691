"""Networks against layers written out by hand, their own symmetries, and one tensor field in two charts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mfcore import networks


def test_a_perceptron_by_hand(key):
    net = networks.MLP(key, (3, 5, 4, 2), sigma_w=1.7, sigma_b=0.3)
    x = jnp.array([0.3, -1.2, 0.5])
    (w0, w1, w2), (b0, b1, b2) = map(np.asarray, net.weights[:3]), map(np.asarray, net.biases)
    hidden = np.tanh(1.7 / 3**0.5 * w0 @ np.asarray(x) + 0.3 * b0)
    hidden = np.tanh(1.7 / 5**0.5 * w1 @ hidden + 0.3 * b1)
    assert_allclose(net(x), 1.7 / 4**0.5 * w2 @ hidden + 0.3 * b2, rtol=1e-14)


def test_the_activation_is_the_one_asked_for(key):
    x = jnp.array([0.7, 0.2])
    tanh, gelu = (networks.MLP(key, (2, 6, 1), activation=a) for a in (jnp.tanh, jax.nn.gelu))
    w, b = np.asarray(gelu.weights[0]), np.asarray(gelu.biases[0])
    hidden = jax.nn.gelu(1.5 / 2**0.5 * w @ np.asarray(x) + 0.5 * b)
    expected = 1.5 / 6**0.5 * gelu.weights[1] @ hidden + 0.5 * gelu.biases[1]
    assert_allclose(gelu(x), expected, rtol=1e-14)
    assert abs(gelu(x) - tanh(x))[0] > 1e-3


def test_the_parameterisations_are_one_function_with_rescaled_gradients(key):
    """d f / d W_ntk = (sigma_w / sqrt n) d f / d W_standard, for each layer of n inputs; biases sigma_b."""
    x = jnp.array([0.3, -1.2, 0.5])
    nets = [
        networks.MLP(key, (3, 7, 1), parameterisation=p, sigma_w=1.3, sigma_b=0.4)
        for p in ("ntk", "standard")
    ]
    assert_allclose(nets[0](x), nets[1](x), rtol=1e-14)
    ntk, standard = (eqx.filter_grad(lambda net: net(x)[0])(net) for net in nets)
    for layer, n in enumerate((3, 7)):
        assert_allclose(ntk.weights[layer], 1.3 / n**0.5 * standard.weights[layer], rtol=1e-13)
        assert_allclose(ntk.biases[layer], 0.4 * standard.biases[layer], rtol=1e-13)


@pytest.mark.slow
def test_mup_moves_its_features_as_much_at_any_width(key):
    """One step at the rate n: hidden nodes move by O(1), in the NTK parameterisation by O(1 / sqrt n)."""
    x, movement = jnp.array([0.3, -1.2, 0.5]), {}
    for parameterisation in ("ntk", "mup"):
        for n in (100, 6400):
            net = networks.MLP(key, (3, n, 1), parameterisation=parameterisation)
            rate = n if parameterisation == "mup" else 1
            gradient = eqx.filter_grad(lambda net: net(x)[0])(net)
            w, b = (-rate * gradient.weights[0], -rate * gradient.biases[0])
            change = 1.5 / 3**0.5 * w @ x + 0.5 * b
            movement[parameterisation, n] = float(jnp.sqrt(jnp.mean(change**2)))
    assert 0.7 < movement["mup", 6400] / movement["mup", 100] < 1.4
    assert 0.7 < 8 * movement["ntk", 6400] / movement["ntk", 100] < 1.4


def test_mup_is_the_ntk_function_with_a_smaller_last_layer(key):
    x = jnp.array([0.3, -1.2, 0.5])
    ntk, mup = (networks.MLP(key, (3, 7, 4, 1), parameterisation=p) for p in ("ntk", "mup"))
    at_zero = 0.5 * ntk.biases[-1]
    assert_allclose(mup(x) - at_zero, (ntk(x) - at_zero) / 2, rtol=1e-13)


def test_draws_are_standard_normal_and_differ_between_layers_and_keys(key):
    net, other = (networks.MLP(k, (40, 40, 40)) for k in (key, jax.random.key(1)))
    draws = np.stack([np.ravel(w) for w in (*net.weights, *other.weights)])
    assert_allclose(np.cov(draws), np.eye(4), atol=6 / 40)
    assert abs(draws.mean(axis=1)).max() < 4 / 40


def test_wrong_sizes_and_parameterisations_are_refused(key):
    for sizes in ((3,), (3, 0, 1)):
        with pytest.raises(ValueError, match="sizes"):
            networks.MLP(key, sizes)
    with pytest.raises(ValueError, match="mu-P"):
        networks.MLP(key, (2, 3, 1), parameterisation="mu-P")


@pytest.mark.slow
def test_independent_nets_share_no_parameter(key):
    """Moving the parameters of one network moves its own output alone; all outputs differ."""
    nets = networks.IndependentNets(key, (3, 5, 4))
    x = jnp.array([0.3, -1.2, 0.5])
    before = np.asarray(nets(x))
    assert before.shape == (4,)
    assert len(np.unique(before)) == 4
    for k in range(4):
        moved = jax.tree.map(lambda a, k=k: a.at[k].multiply(1.1), nets)
        assert_array_equal(np.asarray(moved(x)) != before, np.arange(4) == k)


@pytest.mark.slow
def test_independent_nets_are_perceptrons_of_the_same_kind(key):
    nets = networks.IndependentNets(key, (3, 5, 2), sigma_w=0.9)
    x = jnp.array([0.3, -1.2, 0.5])
    keys = jax.random.split(key, 2)
    assert_allclose(nets(x), [networks.MLP(k, (3, 5, 1), sigma_w=0.9)(x)[0] for k in keys], rtol=1e-14)


def test_symmetric_matrix_row_by_row():
    assert_array_equal(networks.symmetric_matrix(jnp.arange(6.0), 3), [[0, 1, 2], [1, 3, 4], [2, 4, 5]])
    with pytest.raises(ValueError, match="give 6"):
        networks.symmetric_matrix(jnp.arange(5.0), 3)


@pytest.mark.slow
@pytest.mark.parametrize("components", [networks.MLP, networks.IndependentNets])
@pytest.mark.parametrize("dim", [2, 3])
def test_torus_metric_is_background_plus_network_and_periodic(key, dim, components):
    def background(x):
        return jnp.diag(2 + jnp.cos(x))

    metric = networks.TorusMetric(key, dim, (8, 8), components=components, background=background, scale=0.3)
    x = jnp.array([0.4, 2.1, 5.0])[:dim]
    g = metric(x)
    entries = np.asarray(metric.components(jnp.concatenate([jnp.cos(x), jnp.sin(x)])))
    expected = np.diag(2 + np.cos(x))
    for number, (i, j) in enumerate(zip(*np.triu_indices(dim), strict=True)):
        expected[i, j] += 0.3 * entries[number]
        expected[j, i] = expected[i, j]
    assert_allclose(g, expected, rtol=1e-14)
    for k in range(dim):
        assert_allclose(metric(x.at[k].add(2 * jnp.pi)), g, atol=1e-14)
        assert abs(metric(x.at[k].add(1.0)) - g).max() > 1e-2
    assert_array_equal(networks.TorusMetric(key, dim, (8,), scale=0.0)(x), np.eye(dim))


def test_charts_lie_on_the_sphere_and_agree(key):
    for x in jax.random.normal(key, (20, 2)):
        north = networks.stereographic(x, 1.0)
        assert_allclose(jnp.sum(north**2), 1, rtol=1e-14)
        assert_allclose(networks.stereographic(networks.other_chart(x), -1.0), north, atol=1e-14)
    assert_array_equal(networks.stereographic(jnp.zeros(2), 1.0), [0, 0, 1])
    assert_array_equal(networks.stereographic(jnp.zeros(2), -1.0), [0, 0, -1])


@pytest.mark.slow
def test_the_round_metric_in_both_charts(key):
    """4 (du^2 + dv^2) / (1 + u^2 + v^2)^2."""
    metric = networks.SphereMetric(key, (4,), scale=0.0)
    x = jnp.array([0.3, -1.2])
    for pole in (1.0, -1.0):
        assert_allclose(metric(x, pole), 4 / (1 + 0.3**2 + 1.2**2) ** 2 * np.eye(2), atol=1e-14)


@pytest.mark.slow
def test_sphere_metric_is_one_tensor_field_and_measures_lengths_of_curves(key):
    metric = networks.SphereMetric(key, (8, 8), scale=0.3)
    x = jnp.array([0.3, -1.2])
    transition = jax.jacfwd(networks.other_chart)(x)
    in_south = metric(networks.other_chart(x), -1.0)
    assert_allclose(transition.T @ in_south @ transition, metric(x), rtol=1e-12)
    v, step = np.array([0.7, 0.4]), 1e-5
    ends = [np.asarray(networks.stereographic(x + s * step * v, 1.0)) for s in (1, -1)]
    velocity = (ends[0] - ends[1]) / (2 * step)
    point = networks.stereographic(x, 1.0)
    h = np.eye(3) + 0.3 * networks.symmetric_matrix(metric.components(point), 3)
    assert_allclose(v @ metric(x) @ v, velocity @ h @ velocity, rtol=1e-8)
    assert abs(v @ metric(x) @ v - velocity @ velocity) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_positive_at_the_start(seed):
    key, for_points = jax.random.split(jax.random.key(seed))
    x = jax.random.uniform(for_points, (200, 3), maxval=2 * jnp.pi)
    for dim in (2, 3):
        g = jax.vmap(networks.TorusMetric(key, dim, (64, 64)))(x[:, :dim])
        assert np.linalg.eigvalsh(g).min() > 0.1
    assert np.linalg.eigvalsh(jax.vmap(networks.SphereMetric(key, (64, 64)))(x[:, :2] / 6)).min() > 0.1


def test_static_parts_are_no_parameters_and_copies_compile_once(key):
    metric = networks.TorusMetric(key, 2, (8,))
    shapes = [a.shape for a in jax.tree.leaves(eqx.filter(metric, eqx.is_inexact_array))]
    assert sorted(shapes) == sorted([(8, 4), (8,), (3, 8), (3,)])
    traces = []

    @eqx.filter_jit
    def at_zero(metric):
        traces.append(1)
        return metric(jnp.zeros(2))

    for seed in range(3):
        at_zero(networks.TorusMetric(jax.random.key(seed), 2, (8,)))
    assert len(traces) == 1
