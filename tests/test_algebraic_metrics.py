import drawn
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from mfcore import energies, kaehler_curvature, sampling, training
from mfcore.algebraic_metrics import AlgebraicMetric, algebraic_points, invariant_products
from mfcore.hypersurface import Dwork

QUINTIC = Dwork()


def some_metric(key, degree, k):
    n = len(invariant_products(degree, k))
    return AlgebraicMetric(1 + 0.3 * jax.random.uniform(key, (n,)), degree, k)


at_points = eqx.filter_jit(lambda metric, sample: jax.vmap(metric)(sample.z, sample.jacobian))


def test_products_by_hand():
    one, two, three, four = (1, 1), (2, 2), (3, 3), (4, 4)
    assert set(invariant_products(5, 4)) == {
        (one, one, one, one),
        (one, one, two),
        (two, two),
        (one, three),
        (four,),
    }
    assert set(invariant_products(3, 5)) - {
        p for p in invariant_products(3, 5) if all(a == b for a, b in p)
    } == {((1, 4), (4, 1))}


@pytest.mark.slow
def test_products_span_the_symmetric_hermitian_forms():
    """Brute force: all z^a zbar^b that the phases leave alone, averaged over permutations."""
    z = drawn.points(Dwork(3), 200).z
    z = z / jnp.linalg.norm(z, axis=1, keepdims=True)
    permutations = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    for k in (3, 5, 6):
        exponents = [(a, b, k - a - b) for a in range(k + 1) for b in range(k + 1 - a)]
        pairs = [
            (a, b)
            for a in exponents
            for b in exponents
            if all((x - y) % 3 == 0 for x, y in zip(a, b, strict=True))
        ]
        brute = [
            sum(
                jnp.prod(z[:, p] ** jnp.array(a) * z[:, p].conj() ** jnp.array(b), axis=1)
                for p in map(list, permutations)
            )
            for a, b in pairs
        ]
        brute = np.stack([np.asarray(f.real) for f in brute], axis=1)
        points = algebraic_points(sampling.sample_at(Dwork(3), z), invariant_products(3, k), 1.0)
        ours = np.asarray(points.jet[:, 0])
        rank = np.linalg.matrix_rank(brute, tol=1e-10)
        assert np.linalg.matrix_rank(ours, tol=1e-10) == rank
        assert np.linalg.matrix_rank(np.hstack([brute, ours]), tol=1e-10) == rank


@pytest.mark.parametrize(
    ("degree", "k"),
    [(3, 4), pytest.param(4, 5, marks=pytest.mark.slow), pytest.param(5, 7, marks=pytest.mark.slow)],
)
def test_metric_is_that_of_the_potential_by_autodiff(key, degree, k):
    variety = Dwork(degree)
    metric = some_metric(key, degree, k)
    sample = drawn.points(variety, 4)
    by_jets = at_points(metric, sample)

    def potential(x, y, z, free, eliminated):
        lift = kaehler_curvature.lifted
        return metric.potential(
            lift(variety, z, free, eliminated, x), lift(variety, z.conj(), free, eliminated, y)
        )

    def nested(z, patch, eliminated):
        free = kaehler_curvature.free_coordinates(degree, patch, eliminated)
        mixed = jax.jacfwd(jax.jacfwd(potential, 0, holomorphic=True), 1, holomorphic=True)
        return mixed(z[free], z.conj()[free], z, free, eliminated)

    by_autodiff = jax.jit(jax.vmap(nested))(sample.z, sample.patch, sample.eliminated)
    assert_allclose(by_jets, by_autodiff, rtol=1e-10, atol=1e-12)


def test_frames_do_not_change_the_ratio(key):
    metric = some_metric(key, 5, 5)
    sample = drawn.points(QUINTIC, 20)
    kappa = training.exact_kappa(QUINTIC)
    points = algebraic_points(sample, metric.products, kappa)
    g = at_points(metric, sample)
    assert_allclose(
        drawn.ratio(points, metric), jax.vmap(energies.volume_ratio)(g, sample.omega) / kappa, rtol=1e-10
    )


def test_permutations_phases_and_conjugation_are_isometries(key):
    metric = some_metric(key, 5, 6)
    z = drawn.points(QUINTIC, 10).z
    phases = jnp.exp(2j * jnp.pi * jnp.arange(5) / 5)

    def ratio_at(z):
        return drawn.ratio(algebraic_points(sampling.sample_at(QUINTIC, z), metric.products, 1.0), metric)

    for moved in (z[:, ::-1], z[:, jnp.array([1, 0, 2, 4, 3])], z * phases, z.conj()):
        assert_allclose(ratio_at(moved), ratio_at(z), rtol=1e-10)


def test_degree_1_is_fubini_study():
    sample = drawn.points(QUINTIC, 5)
    g = at_points(AlgebraicMetric(jnp.array([2.0]), 5, 1), sample)
    assert_allclose(g, sampling.fubini_study_pullback(sample), atol=1e-14)


@pytest.mark.slow
def test_equal_weight_for_all_monomials():
    """sum |monomials|^2 of degree 2 and 3, with sigma 0.181 and 0.032 by another package's points."""
    sample = drawn.points(QUINTIC, 20_000, 1)
    products = {k: invariant_products(5, k) for k in (2, 3)}
    # Complete homogeneous polynomials by power sums.
    recipes = {
        2: {((1, 1), (1, 1)): 1 / 2, ((2, 2),): 1 / 2},
        3: {((1, 1),) * 3: 1 / 6, ((1, 1), (2, 2)): 1 / 2, ((3, 3),): 1 / 3},
    }
    for k, expected in ((2, 0.181), (3, 0.032)):
        metric = AlgebraicMetric(jnp.array([recipes[k][p] for p in products[k]]), 5, k)
        points = algebraic_points(sample, products[k], 1.0)
        eta = drawn.ratio(points, metric)
        eta = eta / energies.kappa(eta, points.weight)
        assert abs(energies.sigma(eta, points.weight) - expected) < 0.002


def test_the_potential_is_holomorphic_in_both_arguments(key):
    metric = some_metric(key, 4, 4)
    z = drawn.points(Dwork(4), 1).z[0]
    # A change of scale of either argument alone is a Kaehler transformation.
    assert_allclose(metric.potential(3 * z, z.conj()) - metric.potential(z, z.conj()), jnp.log(3), atol=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"degree 5 and k = 3 have 3"):
        AlgebraicMetric(jnp.ones(2), 5, 3)
    with pytest.raises(ValueError, match="k of at least 1"):
        invariant_products(5, 0)
