import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import energies, reference_metrics, sampling, training
from mfcore.algebraic_metrics import algebraic_points, invariant_products
from mfcore.hypersurface import Dwork


def points_of(key, degree, k, n):
    variety = Dwork(degree)
    return algebraic_points(
        sampling.random_points(key, variety, n), invariant_products(degree, k), training.exact_kappa(variety)
    )


def sigma_on_fresh(metric):
    points = points_of(jax.random.key(99), metric.degree, metric.k, 2000)
    eta = points.ratio(metric)
    return float(energies.sigma(eta / energies.kappa(eta, points.weight), points.weight))


@pytest.mark.slow
def test_the_flat_metric_of_the_cubic_curve_is_found(key):
    """There the Ricci-flat metric is kappa |Omega|^2, known exactly."""
    curve = Dwork(3)
    metric = reference_metrics.fit(key, curve, 6).metric
    sample = sampling.random_points(jax.random.key(5), curve, 300)
    g = jax.vmap(metric)(sample.z, sample.jacobian)[:, 0, 0]
    exact = training.exact_kappa(curve) * jnp.abs(sample.omega) ** 2
    assert_allclose(g, exact, rtol=1e-10)


@pytest.mark.slow
def test_accuracy_grows_exponentially_with_the_degree(key):
    sigmas = [sigma_on_fresh(reference_metrics.fit(key, Dwork(4), k).metric) for k in (2, 4, 6)]
    assert sigmas[1] < sigmas[0] / 8
    assert sigmas[2] < sigmas[1] / 8


@pytest.mark.slow
def test_no_step_from_the_fit_lowers_the_energy(key):
    points = points_of(key, 5, 3, 800)
    found = reference_metrics.fit_to(points, 5, 3)

    def energy(coefficients):
        ratio = points.ratio(type(found.metric)(coefficients, 5, 3))
        return jnp.mean(points.weight * (ratio - 1) ** 2)

    c = found.metric.coefficients
    assert_allclose(jnp.sqrt(energy(c)), found.residual, rtol=1e-10)
    bend = jax.hessian(energy)(c)
    # The slope against the curvature: how far the minimum may be, in units of the coefficients.
    step = jnp.linalg.lstsq(bend, jax.grad(energy)(c), rcond=1e-8)[0]
    assert jnp.linalg.norm(step) < 1e-6 * jnp.linalg.norm(c)
    # One direction is the scale of F, which no metric sees.
    assert jnp.linalg.eigvalsh(bend)[1] > 1e-4 * jnp.linalg.eigvalsh(bend)[-1]


def test_directions_are_orthonormal_also_where_products_depend_on_one_another(key):
    points = points_of(key, 3, 6, 500)
    start, directions = reference_metrics.orthonormal(points)
    values = np.asarray(points.jet[:, 0])
    columns = values @ np.column_stack([start, directions])
    assert columns.shape[1] < values.shape[1]
    assert_allclose(columns[:, 0], 1, atol=1e-8)
    assert_allclose(columns.T @ columns / len(columns), np.eye(columns.shape[1]), atol=1e-8)


@pytest.mark.slow
def test_a_fit_of_high_degree_starts_from_the_one_below(key, monkeypatch):
    """Fewer looks than from Fubini-Study, the same end."""
    direct = reference_metrics.fit(key, Dwork(4), 6)
    monkeypatch.setattr(reference_metrics, "DIRECT", 4)
    continued = reference_metrics.fit(key, Dwork(4), 6)
    assert continued.evaluations < direct.evaluations
    assert_allclose(continued.residual, direct.residual, rtol=1e-6)


@pytest.mark.slow
def test_a_metric_that_is_not_positive_is_refused(key, monkeypatch):
    points = points_of(key, 3, 4, 100)
    monkeypatch.setattr(type(points), "least_eigenvalue", lambda *_: jnp.array([1.0, -0.1]))
    with pytest.raises(RuntimeError, match="not positive definite"):
        reference_metrics.fit_to(points, 3, 4)


def test_too_few_points_are_refused(key):
    with pytest.raises(ValueError, match="at least twice as many"):
        reference_metrics.fit(key, Dwork(), 6, n_points=10)
