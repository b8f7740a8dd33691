import drawn
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore.algebraic_metrics import AlgebraicMetric
from mfcore.experiments.judged_by_the_metric import _at, _measures
from mfcore.hypersurface import Dwork
from mfcore.projective import fubini_study_metric, pullback
from mfcore.sampling import fubini_study_pullback

TRUTH = AlgebraicMetric(jnp.array([1.0, 0.4]), 5, 2)


def points(n=40):
    return drawn.points_in_patch(Dwork(), n, 3)


@pytest.mark.slow
def test_a_change_of_shape_that_eta_does_not_see():
    """With det unchanged sigma is that of the truth, the distance is all shape."""
    stretch = jnp.diag(jnp.array([2.0, 0.5, 1.0]))

    def stretched(z, j):
        root = jnp.linalg.cholesky(TRUTH(z, j))
        return root @ stretch @ root.conj().T

    found, true = (_measures(metric, TRUTH, points()) for metric in (stretched, TRUTH))
    assert_allclose(found["sigma"], true["sigma"], rtol=1e-10)
    assert_allclose(found["shape distance"], 2**0.5 * np.log(2), rtol=1e-10)
    assert_allclose(found["distance"], found["shape distance"], rtol=1e-10)


@pytest.mark.slow
def test_points_without_a_metric_are_counted_and_left_out():
    def broken(z, j):
        # One entry of z decides which points have no metric.
        return jnp.where(z[2].real > 0, 1, -1) * TRUTH(z, j)

    sample = points()
    found = _measures(broken, TRUTH, sample)
    assert_allclose(found["positive"], float(np.mean(np.asarray(sample.z[:, 2].real) > 0)))
    assert found["distance"] < 1e-12


@pytest.mark.slow
def test_torsion_of_a_conformal_metric():
    """d(f J) = df ^ J: with f = |z_2|^2, z_2 the first local coordinate, df = zbar_2 dx^1."""
    sample = points(5)

    def conformal(z, j):
        return (z[2].real ** 2 + z[2].imag ** 2) * pullback(j, fubini_study_metric(z))

    _, truth, torsion = _at(conformal, TRUTH, sample)
    fubini_study = np.asarray(fubini_study_pullback(sample))
    for z, g, h, found in zip(np.asarray(sample.z), fubini_study, np.asarray(truth), torsion, strict=True):
        df = np.array([z[2].conj(), 0, 0])
        t = np.einsum("a,bc->abc", df, g) - np.einsum("b,ac->abc", df, g)
        up = np.linalg.inv(h)  # [c bar, a]
        expected = np.einsum("abc,def,da,eb,cf->", t, t.conj(), up, up, up).real / 2
        assert_allclose(found, expected, rtol=1e-9)
