"""Training: the data in their frames, determinism, and runs that are killed and go on."""

import drawn
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from mfcore import energies, kaehler_networks, sampling, training
from mfcore.hypersurface import Dwork
from mfcore.networks import MLP

QUINTIC = Dwork(5)


@pytest.fixture(scope="module")
def data():
    sample = drawn.points(QUINTIC, 400, 1)
    return sample, training.frame_points(sample, training.exact_kappa(QUINTIC))


def model(seed=0, alpha=0.3):
    net = MLP(jax.random.key(seed), (25, 8, 8, 1), activation=kaehler_networks.smooth_relu)
    return kaehler_networks.PotentialMetric(net, alpha)


METHOD = training.descent(training.adam(3e-2, 12, 400, 64))


def run(points, checkpoint=None, epochs=4, seed=2):
    options = {"method": METHOD, "epochs": epochs, "batch_size": 64, "checkpoint": checkpoint}
    return training.train(model(), points, points, jax.random.key(seed), **options)


def leaves(run):
    return jax.tree.leaves(eqx.filter(run.model, eqx.is_inexact_array))


def test_ratio_in_frames_is_that_of_the_metric_in_coordinates(data):
    sample, points = data
    g = jax.jit(jax.vmap(model()))(sample.z, sample.jacobian)
    expected = jax.vmap(energies.volume_ratio)(g, sample.omega) / training.exact_kappa(QUINTIC)
    np.testing.assert_allclose(drawn.ratio(points, model()), expected, rtol=1e-11)
    np.testing.assert_allclose(
        training.held_out(model(), points), energies.sigma(expected, sample.weight), rtol=1e-11
    )


@pytest.mark.slow
def test_least_eigenvalue_is_that_of_the_metric_against_fubini_study(data):
    sample, points = data
    metric = model(alpha=3.0)
    few = slice(0, 20)
    g = jax.vmap(metric)(sample.z[few], sample.jacobian[few])
    background = sampling.fubini_study_pullback(jax.tree.map(lambda x: x[few], sample))
    expected = [scipy.linalg.eigh(a, b, eigvals_only=True)[0] for a, b in zip(g, background, strict=True)]
    np.testing.assert_allclose(training.taken(points, few).least_eigenvalue(metric), expected, rtol=1e-9)


@pytest.mark.slow
def test_component_model_is_the_metric_in_the_coordinates_of_the_chart(data):
    sample, _ = data
    points = training.chart_points(sample, training.exact_kappa(QUINTIC))
    metric = kaehler_networks.ComponentMetric(MLP(jax.random.key(4), (25, 8, 9)), 0.2)
    g = jax.jit(jax.vmap(metric))(sample.z, sample.jacobian)
    expected = jax.vmap(energies.volume_ratio)(g, sample.omega) / training.exact_kappa(QUINTIC)
    np.testing.assert_allclose(drawn.ratio(points, metric), expected, rtol=1e-11)
    trained = training.train(
        metric, points, points, jax.random.key(2), method=METHOD, epochs=12, batch_size=64
    )
    assert trained.sigma[-1] < 0.9 * float(training.held_out(metric, points))


@pytest.mark.slow
def test_fubini_study_has_its_known_sigma():
    sample = drawn.points(QUINTIC, 20_000, 7)
    points = training.frame_points(sample, training.exact_kappa(QUINTIC))
    assert abs(float(training.held_out(model(alpha=0.0), points)) - 0.373) < 0.01


@pytest.mark.slow
def test_training_lowers_the_loss_and_the_same_key_gives_the_same_run(data):
    first, second = run(data[1]), run(data[1])
    assert run(data[1], epochs=12).loss[-1] < 0.9 * first.loss[0]
    assert all((a == b).all() for a, b in zip(leaves(first), leaves(second), strict=True))
    assert any((a != b).any() for a, b in zip(leaves(first), leaves(run(data[1], seed=3)), strict=True))


def test_a_run_stopped_early_is_the_start_of_the_longer_one(data):
    short, whole = run(data[1], epochs=2), run(data[1], epochs=4)
    np.testing.assert_array_equal(short.sigma, whole.sigma[:2])
    assert short.sigma[-1] != whole.sigma[-1]


def test_a_killed_run_goes_on_to_the_same_parameters(data, tmp_path, monkeypatch):
    whole = run(data[1])
    keep, kept = training._keep, []

    def killed_after_two(*arguments):
        keep(*arguments)
        kept.append(1)
        if len(kept) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_keep", killed_after_two)
    with pytest.raises(KeyboardInterrupt):
        run(data[1], tmp_path / "run.npz")
    monkeypatch.setattr(training, "_keep", keep)
    resumed = run(data[1], tmp_path / "run.npz")
    assert all((a == b).all() for a, b in zip(leaves(whole), leaves(resumed), strict=True))
    np.testing.assert_array_equal(whole.sigma, resumed.sigma)


def test_a_checkpoint_of_another_run_is_refused(data, tmp_path):
    run(data[1], tmp_path / "run.npz")
    with pytest.raises(ValueError, match="is of another run"):
        run(data[1], tmp_path / "run.npz", seed=9)
    others = (
        (training.adam(1e-2, 12, 400, 64), energies.absolute),
        (training.adam(3e-2, 12, 400, 64), energies.squared),
    )
    for other in others:
        options = {"method": training.descent(*other), "epochs": 4, "batch_size": 64}
        with pytest.raises(ValueError, match="is of another run"):
            training.train(
                model(), data[1], data[1], jax.random.key(2), checkpoint=tmp_path / "run.npz", **options
            )


def test_batches_that_do_not_fit_are_refused(data):
    with pytest.raises(ValueError, match="batches of 500 from 400 points"):
        training.train(
            model(),
            data[1],
            data[1],
            jax.random.key(0),
            method=METHOD,
            epochs=1,
            batch_size=500,
        )


def test_nothing_compiles_after_the_first_epoch(data):
    counts = []

    def count(name, _, **__):
        if name == "/jax/core/compile/backend_compile_duration":
            counts.append(name)

    run(data[1], epochs=1)
    jax.monitoring.register_event_duration_secs_listener(count)
    before = len(counts)
    run(data[1], epochs=4)
    assert len(counts) == before


@pytest.mark.slow
def test_single_precision_is_an_argument(data):
    sample, _ = data
    kappa = training.exact_kappa(QUINTIC)
    points, in_charts = (
        f(sample, kappa, jnp.float32) for f in (training.frame_points, training.chart_points)
    )
    assert {field.dtype for field in points} == {jnp.dtype("float32")}
    assert {field.dtype for field in in_charts} == {jnp.dtype("float32"), jnp.dtype("complex64")}
    small = training.in_precision(model(), jnp.float32)
    options = {"method": METHOD, "epochs": 1, "batch_size": 64}
    single = training.train(small, points, points, jax.random.key(2), **options)
    assert {leaf.dtype for leaf in leaves(single)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(single.sigma, run(data[1], epochs=1).sigma, rtol=1e-4)
