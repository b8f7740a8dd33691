import drawn
import jax.numpy as jnp
import pytest
from numpy.testing import assert_allclose

from mfcore import algebraic_flows, energies, kaehler_flows, reference_metrics, training
from mfcore.algebraic_metrics import algebraic_points, invariant_products
from mfcore.hypersurface import Dwork

QUINTIC = Dwork()
TIMES = jnp.append(0.0, jnp.geomspace(0.01, 4, 9))


@pytest.fixture(scope="module")
def points():
    sample = drawn.points(QUINTIC, 1500, 2)
    return algebraic_points(sample, invariant_products(5, 4), training.exact_kappa(QUINTIC))


@pytest.mark.slow
@pytest.mark.parametrize("name", kaehler_flows.OF_RATIO)
def test_flows_end_near_the_least_energy(points, name):
    path = algebraic_flows.follow(points, 5, 4, kaehler_flows.OF_RATIO[name], TIMES)
    least = reference_metrics.fit_to(points, 5, 4).residual ** 2
    assert jnp.all(jnp.diff(path.energy) < 1e-3 * least)
    assert least < path.energy[-1] < 1.03 * least
    assert_allclose(path.sigma[0], energies.sigma(points.eta, points.weight), rtol=1e-12)
    assert_allclose(path.sigma[-1], energies.sigma(points.ratio(path.metric), points.weight), rtol=1e-8)


@pytest.mark.slow
def test_the_potential_moves_with_the_velocity_projected(points):
    """d/dt (1/k) log F against the least-squares fit of log eta by the sections over F, at F = 1."""
    step = 1e-4
    path = algebraic_flows.follow(points, 5, 4, jnp.log, jnp.array([0.0, step]))
    values = points.jet[:, 0]
    f = values @ path.metric.coefficients
    weight = jnp.sqrt(points.weight * points.eta)
    fitted = jnp.linalg.lstsq(values * weight[:, None], jnp.log(points.eta) * weight)[0]
    moved, expected = jnp.log(f) / 4 / step, values @ fitted
    # Up to a constant, and to the step's length.
    gap = (moved - moved.mean()) - (expected - expected.mean())
    assert jnp.abs(gap).max() < 2e-3 * jnp.abs(expected).max()


@pytest.mark.parametrize("times", [[0.0], [0.1, 1.0], [0.0, 2.0, 1.0]])
def test_bad_times_are_refused(times):
    points = algebraic_points(drawn.points(QUINTIC, 40), invariant_products(5, 2), 1.0)
    with pytest.raises(ValueError, match="rising order"):
        algebraic_flows.follow(points, 5, 2, jnp.log, jnp.array(times))
