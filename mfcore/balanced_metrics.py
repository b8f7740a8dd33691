r"""Donaldson's balanced metrics on the Fermat hypersurfaces, by his T-operator.

A Hermitian form H on the sections of degree k gives the potential (1/k) log s H^-1 s^dagger, s the monomials
of degree k modulo Q. T(H)_ab = N_k / vol int s_a sbar_b / (s H^-1 s^dagger) |Omega|^2 has one fixed point,
the balanced metric, which tends to the Ricci-flat one as k grows. The phases exp(2 pi i / N) of the
coordinates and complex conjugation make H real, and zero between monomials whose exponents differ modulo N.
"""

import itertools
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from mfcore._typing import Array, Complex, Float, Int, PRNGKeyArray
from mfcore.algebraic_metrics import AlgebraicMetric, algebraic_points, invariant_products
from mfcore.hypersurface import Dwork
from mfcore.sampling import Sample, random_points


class Balanced(NamedTuple):
    """The metric, and the largest relative change of the potential's argument in each application of T."""

    metric: AlgebraicMetric
    changes: Float[np.ndarray, " steps"]


def sections(degree: int, k: int) -> Int[np.ndarray, "sections hom"]:
    """Exponents of the monomials of degree k with less than N of the first coordinate: a basis modulo Q."""
    found = [e for e in itertools.product(range(k + 1), repeat=degree) if sum(e) == k and e[0] < degree]
    return np.array(found)


def balanced(
    key: PRNGKeyArray,
    variety: Dwork,
    k: int,
    n_points: int = 100_000,
    *,
    tolerance: float = 1e-6,
    max_steps: int = 100,
) -> Balanced:
    """The balanced metric of degree k, its integrals taken over random points, as an `AlgebraicMetric`."""
    exponents = sections(variety.degree, k)
    if n_points < 10 * len(exponents):
        raise ValueError(f"{n_points} points for {len(exponents)} sections: need ten times as many at least")
    sample = random_points(key, variety, n_points)
    values = _values(sample.z, tuple(map(tuple, exponents.tolist())))
    weight = sample.weight / sample.weight.sum()
    residues = exponents % variety.degree
    alike = jnp.asarray((residues[:, None] == residues[None]).all(axis=-1))
    before, changes = jnp.ones(n_points), []
    for _ in tqdm(range(max_steps), desc=f"Donaldson k = {k}", leave=False):
        after = _sums(values, _applied(values, before, weight, alike))
        changes.append(float(jnp.max(jnp.abs(after / before - 1))))
        before = after
        if changes[-1] < tolerance:
            return Balanced(_as_algebraic(sample, variety, k, before), np.array(changes))
    raise RuntimeError(
        f"after {max_steps} steps the potential still changes by {changes[-1]:.2g}; raise `max_steps`"
    )


@partial(jax.jit, static_argnums=1)
def _values(z: Complex[Array, "points hom"], exponents: tuple[tuple[int, ...], ...]) -> Array:
    """The monomials over |z|^k: [points, sections]."""
    unit = (z / jnp.linalg.norm(z, axis=1, keepdims=True)).T
    highest = max(map(max, exponents))
    powers = jnp.cumprod(jnp.stack([jnp.ones_like(unit), *[unit] * highest]), axis=0)
    return jnp.prod(powers[np.array(exponents), np.arange(len(unit))], axis=1).T


@jax.jit
def _sums(values: Complex[Array, "points sections"], inverse: Float[Array, "sections sections2"]) -> Array:
    """s H^-1 s^dagger at the points, H real and symmetric."""
    return jnp.sum((values.real @ inverse) * values.real + (values.imag @ inverse) * values.imag, axis=1)


@jax.jit
def _applied(values: Array, sums: Array, weight: Array, alike: Array) -> Float[Array, "sections sections2"]:
    """T(H)^-1, with the entries that symmetry forbids set to zero."""
    scale = jnp.sqrt(weight / sums)[:, None]
    real, imag = values.real * scale, values.imag * scale
    return jnp.linalg.inv(jnp.where(alike, real.T @ real + imag.T @ imag, 0)) / values.shape[1]


def _as_algebraic(sample: Sample, variety: Dwork, k: int, sums: Float[Array, " points"]) -> AlgebraicMetric:
    """The invariants nearest to the sums over the points: what chance leaves of asymmetry averages out."""
    products = invariant_products(variety.degree, k)
    few = sample.take(jnp.arange(min(len(sums), 50 * len(products) + 1000)))
    basis = algebraic_points(few, products, 1.0).jet[:, 0]
    coefficients = jnp.linalg.lstsq(basis, sums[: len(basis)])[0]
    return AlgebraicMetric(coefficients, variety.degree, k)
