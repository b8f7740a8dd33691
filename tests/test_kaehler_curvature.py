from functools import partial

import drawn
import jax
import jax.numpy as jnp
import pytest
from numpy.testing import assert_allclose

from mfcore import curvature, hypersurface, kaehler_curvature
from mfcore.algebraic_metrics import AlgebraicMetric, invariant_products
from mfcore.hypersurface import Dwork

FUBINI_STUDY = {n: AlgebraicMetric(jnp.ones(1), n, 1).potential for n in (3, 4, 5)}


def at(potential, variety, sample):
    one = partial(kaehler_curvature.curvature, potential, variety)
    return jax.jit(jax.vmap(one))(sample.z, sample.patch, sample.eliminated)


@pytest.mark.slow
def test_ricci_scalar_is_half_that_of_the_real_metric():
    variety = Dwork(4)
    metric = AlgebraicMetric(jnp.array([1.0, 0.3]), 4, 2)
    sample = drawn.points(variety, 1)
    z, patch, eliminated = sample.z[0], sample.patch[0], sample.eliminated[0]
    free = kaehler_curvature.free_coordinates(4, patch, eliminated)

    def real_metric(x):
        point = kaehler_curvature.lifted(variety, z, free, eliminated, x[:2] + 1j * x[2:])
        g = metric(point, hypersurface.jacobian(variety.gradient(point), patch, eliminated))
        # 2 Re g_ab dz^a dzbar^b in the coordinates Re z, Im z.
        return 2 * jnp.block([[g.real, g.imag], [-g.imag, g.real]])

    x = jnp.concatenate([z[free].real, z[free].imag])
    real = jax.jit(lambda x: curvature.scalar_curvature(real_metric, x))(x)
    assert_allclose(jax.vmap(kaehler_curvature.ricci_scalar)(at(metric.potential, variety, sample)), real / 2)


@pytest.mark.slow
def test_symmetries_of_the_riemann_tensor():
    sample = drawn.points(Dwork(), 5)
    metric = AlgebraicMetric(jnp.linspace(1, 2, len(invariant_products(5, 6))), 5, 6)
    r = at(metric.potential, Dwork(), sample).riemann
    assert_allclose(r, r.transpose(0, 3, 2, 1, 4), atol=1e-9)
    assert_allclose(r, r.transpose(0, 1, 4, 3, 2), atol=1e-9)
    assert_allclose(r, r.transpose(0, 2, 1, 4, 3).conj(), atol=1e-9)


def test_on_a_curve_everything_is_the_ricci_scalar():
    found = at(FUBINI_STUDY[3], Dwork(3), drawn.points(Dwork(3), 20))
    scalar, norm2, density = (
        jax.jit(jax.vmap(f))(found)
        for f in (
            kaehler_curvature.ricci_scalar,
            kaehler_curvature.riemann_norm2,
            kaehler_curvature.euler_density,
        )
    )
    assert_allclose(norm2, scalar**2, rtol=1e-10)
    assert_allclose(density, scalar / jnp.pi, rtol=1e-10)


@pytest.mark.parametrize(
    ("degree", "number", "n_points"),
    [
        (3, 0, 3000),
        pytest.param(4, 24, 8000, marks=pytest.mark.slow),
        pytest.param(5, -200, 12_000, marks=pytest.mark.slow),
    ],
)
def test_euler_numbers_by_fubini_study(degree, number, n_points):
    """The integral of the top Chern form is the Euler number whatever the metric."""
    variety = Dwork(degree)
    sample = drawn.points(variety, n_points, 3)

    @jax.jit
    def density(z, patch, eliminated):
        one = partial(kaehler_curvature.curvature, FUBINI_STUDY[degree], variety)
        return jax.lax.map(
            lambda x: kaehler_curvature.euler_density(one(*x)), (z, patch, eliminated), batch_size=500
        )

    found = density(sample.z, sample.patch, sample.eliminated) * hypersurface.fubini_study_volume(variety)
    by_line = found[: n_points // degree * degree].reshape(-1, degree).mean(axis=1)
    error = float(by_line.std() / len(by_line) ** 0.5)
    assert error < max(0.06 * abs(number), 0.1)
    assert abs(found.mean() - number) < 3 * error
