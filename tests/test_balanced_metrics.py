import drawn
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import balanced_metrics, energies, training
from mfcore.algebraic_metrics import algebraic_points
from mfcore.hypersurface import Dwork

QUINTIC = Dwork()


def sigma(metric):
    points = algebraic_points(
        drawn.points(QUINTIC, 4000, 9),
        metric.products,
        training.exact_kappa(QUINTIC),
    )
    eta = points.ratio(metric)
    return float(energies.sigma(eta / energies.kappa(eta, points.weight), points.weight))


@pytest.mark.parametrize(
    ("degree", "k", "number"), [(3, 4, 12), (4, 3, 20), (5, 4, 70), (5, 6, 205), (4, 6, 74)]
)
def test_sections_are_counted_by_riemann_roch(degree, k, number):
    """3k on the cubic, 2k^2 + 2 on the quartic, (5k^3 + 25k) / 6 on the quintic."""
    assert len(balanced_metrics.sections(degree, k)) == number


@pytest.mark.slow
def test_the_metric_of_degree_1_is_fubini_study(key):
    metric = balanced_metrics.balanced(key, QUINTIC, 1, 20_000).metric
    assert_allclose(sigma(metric), 0.373, atol=0.01)


@pytest.mark.slow
def test_the_balanced_form_is_a_fixed_point_of_the_full_operator(key):
    """Without the zeros of symmetry, over other points: sections are orthonormal up to one factor."""
    metric = balanced_metrics.balanced(key, QUINTIC, 2, 40_000).metric
    sample = drawn.points(QUINTIC, 20_000, 4)
    z = sample.z / jnp.linalg.norm(sample.z, axis=1, keepdims=True)
    sections = jnp.stack([z[:, i] * z[:, j] for i in range(5) for j in range(i, 5)], axis=1)
    squares = jnp.array([i == j for i in range(5) for j in range(i, 5)])
    f = algebraic_points(sample, metric.products, 1.0).jet[:, 0] @ metric.coefficients
    form = (sections.conj() * (sample.weight / f)[:, None]).T @ sections / sample.weight.sum()
    # F = a sum |z_i|^4 + b sum_{i<j} |z_i z_j|^2: sqrt(a) z_i^2 and sqrt(b) z_i z_j are orthonormal.
    of_products = dict(zip(metric.products, metric.coefficients, strict=True))
    a = of_products[(1, 1), (1, 1)] + of_products[((2, 2),)]
    b = 2 * of_products[(1, 1), (1, 1)]
    scale = jnp.sqrt(jnp.where(squares, a, b))
    assert_allclose(form * scale[:, None] * scale * 15, np.eye(15), atol=0.05)


@pytest.mark.slow
def test_sigma_falls_with_the_degree_as_published(key):
    """0.136 at k = 4 by another package, from other points."""
    sigmas = [sigma(balanced_metrics.balanced(key, QUINTIC, k, 20_000).metric) for k in (2, 3, 4)]
    assert sigmas[0] > sigmas[1] > sigmas[2]
    assert_allclose(sigmas[2], 0.136, atol=0.01)


def test_changes_fall_geometrically(key):
    changes = balanced_metrics.balanced(key, QUINTIC, 3, 5000).changes
    assert changes[-1] < 1e-6
    assert np.all(changes[2:] < 0.5 * changes[1:-1])


def test_bad_input_is_refused(key):
    with pytest.raises(ValueError, match="ten times as many"):
        balanced_metrics.balanced(key, QUINTIC, 4, 100)
    with pytest.raises(RuntimeError, match="max_steps"):
        balanced_metrics.balanced(key, QUINTIC, 3, 1000, max_steps=2)
