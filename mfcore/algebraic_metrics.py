r"""Algebraic metrics on the Fermat hypersurfaces: Kaehler potentials (1/k) log P_k, P_k of bidegree (k, k).

P_k is a real combination of products of the power sums p_ab = sum_i z_i^a zbar_i^b with a = b mod N, which
see neither permutations of the coordinates nor their phases exp(2 pi i / N). Every invariant polynomial is
such a combination; p_N0 = Q and its conjugate vanish on the variety and are left out. The potential is
written as log |z|^2 + (1/k) log F with F = P_k / |z|^2k, so that the metric is g_FS + (1/k) d dbar log F, in
the class of g_FS whatever the coefficients. Derivatives are carried as in `mfcore.kaehler_networks`. Paper
appendix B.
"""

from collections.abc import Iterator
from functools import lru_cache, reduce
from typing import NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mfcore._typing import Array, Complex, Float
from mfcore.kaehler_networks import activated, hermitian
from mfcore.projective import fubini_study_metric, pullback
from mfcore.sampling import Sample, fubini_study_pullback
from mfcore.training import FramePoints

PowerSum: TypeAlias = tuple[int, int]
Product: TypeAlias = tuple[PowerSum, ...]


@lru_cache
def invariant_products(degree: int, k: int) -> tuple[Product, ...]:
    """The products of at most N power sums of bidegree (k, k), one of each pair of conjugates.

    They span the invariants of bidegree (k, k) on the variety, real parts taken. For higher k a few depend
    on the others there, as relations of more than N power sums remain.
    """
    if degree < 3 or k < 1:
        raise ValueError(f"degree {degree}, k {k}: need a degree of at least 3 and k of at least 1")
    vanishing = ((0, 0), (degree, 0), (0, degree))
    sums = [(a, b) for a in range(k + 1) for b in range(a % degree, k + 1, degree) if (a, b) not in vanishing]

    def completed(product: Product, a: int, b: int, first: int) -> Iterator[Product]:
        if (a, b) == (k, k):
            yield product
        elif len(product) < degree:
            for i in range(first, len(sums)):
                if a + sums[i][0] <= k and b + sums[i][1] <= k:
                    yield from completed((*product, sums[i]), a + sums[i][0], b + sums[i][1], i)

    # Of a product and its conjugate, the one that comes first in the order of tuples.
    found = completed((), 0, 0, 0)
    return tuple(p for p in found if p <= tuple(sorted((b, a) for a, b in p)))


class _Jet(NamedTuple):
    """Complex functions (rows) with df/dx^a, df/dxbar^a and d^2 f / dx^a dxbar^b behind."""

    value: Complex[Array, " rows"]
    by_x: Complex[Array, "rows dim"]
    by_xbar: Complex[Array, "rows dim"]
    by_both: Complex[Array, "rows dim dim"]

    def take(self, index: np.ndarray) -> "_Jet":
        return _Jet(*(part[index] for part in self))

    def times(self, other: "_Jet") -> "_Jet":
        f, g = self, other
        u, v = f.value[:, None], g.value[:, None]
        cross = f.by_x[:, :, None] * g.by_xbar[:, None, :] + g.by_x[:, :, None] * f.by_xbar[:, None, :]
        return _Jet(
            f.value * g.value,
            f.by_x * v + u * g.by_x,
            f.by_xbar * v + u * g.by_xbar,
            f.by_both * v[..., None] + u[..., None] * g.by_both + cross,
        )


def _power_sums(
    sums: tuple[PowerSum, ...], z: Complex[Array, " hom"], jacobian: Complex[Array, "dim hom"]
) -> _Jet:
    """p_ab / |z|^(a + b), with its derivatives by the local coordinates x."""
    a, b = (jnp.asarray([s[i] for s in sums])[:, None] for i in (0, 1))
    norm2 = jnp.vdot(z, z).real
    highest = max(max(s) for s in sums)
    scaled = _powers(z, highest) / norm2 ** (jnp.arange(highest + 1)[:, None] / 2)
    up, down = scaled[a[:, 0]], scaled[b[:, 0]].conj()
    up_1, down_1 = a * scaled[jnp.maximum(a[:, 0] - 1, 0)], b * scaled[jnp.maximum(b[:, 0] - 1, 0)].conj()
    frame = jacobian / jnp.sqrt(norm2)
    value = jnp.sum(up * down, axis=1)
    by_x, by_xbar = (up_1 * down) @ frame.T, (up * down_1) @ frame.conj().T
    by_both = jnp.einsum("ri,ai,bi->rab", up_1 * down_1, frame, frame.conj())
    # The factor |z|^-(a + b), through the derivatives of log |z|^2.
    slope, half = jacobian @ z.conj() / norm2, (a + b) / 2
    bend = half[..., None] * pullback(jacobian, fubini_study_metric(z))
    tilt, tilt_bar = half * slope, half * slope.conj()
    return _Jet(
        value,
        by_x - tilt * value[:, None],
        by_xbar - tilt_bar * value[:, None],
        by_both
        - by_x[:, :, None] * tilt_bar[:, None, :]
        - tilt[:, :, None] * by_xbar[:, None, :]
        + (tilt[:, :, None] * tilt_bar[:, None, :] - bend) * value[:, None, None],
    )


def _powers(z: Complex[Array, " hom"], highest: int) -> Complex[Array, "powers hom"]:
    powers = [jnp.ones_like(z)]
    for _ in range(highest):
        powers.append(powers[-1] * z)
    return jnp.stack(powers)


def products_jet(
    products: tuple[Product, ...], z: Complex[Array, " hom"], jacobian: Complex[Array, "dim hom"]
) -> Float[Array, "channels features"]:
    """The real parts of the products over |z|^2k, with derivatives in the channels of
    `mfcore.kaehler_networks`."""
    sums = tuple(sorted({s for product in products for s in product}))
    single = _power_sums(sums, z, jacobian)
    rows: dict[Product, int] = {(s,): i for i, s in enumerate(sums)}
    found, parts, layer = dict(rows), [single], single
    # Products of a length from those that are one shorter, all at once: few operations, so quick to compile.
    for length in range(2, max(map(len, products)) + 1):
        wanted = sorted({p[:length] for p in products if len(p) >= length})
        parent, factor = [rows[p[:-1]] for p in wanted], [found[p[-1:]] for p in wanted]
        layer = layer.take(np.array(parent)).times(single.take(np.array(factor)))
        rows = {p: i for i, p in enumerate(wanted)}
        found |= {p: sum(len(part.value) for part in parts) + i for p, i in rows.items()}
        parts.append(layer)
    everything = _Jet(*(jnp.concatenate(field) for field in zip(*parts, strict=True)))
    return _real(everything.take(np.array([found[p] for p in products])))


def _real(jet: _Jet) -> Float[Array, "channels features"]:
    by_x = (jet.by_x + jet.by_xbar.conj()).T / 2
    by_both = jnp.moveaxis(jet.by_both + jet.by_both.conj().swapaxes(1, 2), 0, -1) / 2
    diagonal = jnp.diagonal(by_both).T.real
    above = by_both[np.triu_indices(by_x.shape[0], k=1)]
    return jnp.concatenate([jet.value[None].real, by_x.real, by_x.imag, diagonal, above.real, above.imag])


class AlgebraicMetric(eqx.Module):
    """g_FS + (1/k) d dbar log F, F the sum of ``coefficients`` times `invariant_products` over |z|^2k."""

    coefficients: Float[Array, " products"]
    degree: int = eqx.field(static=True)
    k: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        n = len(invariant_products(self.degree, self.k))
        if self.coefficients.shape != (n,):
            raise ValueError(
                f"coefficients of shape {self.coefficients.shape}: degree {self.degree} and k = {self.k} "
                f"have {n}, in the order of invariant_products"
            )

    @property
    def products(self) -> tuple[Product, ...]:
        """Those that the coefficients belong to, in their order."""
        return invariant_products(self.degree, self.k)

    def __call__(
        self, z: Complex[Array, " hom"], jacobian: Complex[Array, "dim hom"]
    ) -> Complex[Array, "dim dim"]:
        """The metric g_{a bbar} in the local coordinates that belong to the Jacobian."""
        jet = products_jet(self.products, z, jacobian)
        return pullback(jacobian, fubini_study_metric(z)) + hermitian(self.entries(jet))

    def potential(self, z: Complex[Array, " hom"], zbar: Complex[Array, " hom"]) -> Complex[Array, ""]:
        """(1/k) log P_k, polarised: holomorphic in z and in ``zbar``, which need not be its conjugate."""
        sums = tuple(sorted({s for product in self.products for s in product}))
        a, b = (np.array([s[i] for s in sums]) for i in (0, 1))
        # Products by repeated multiplication: powers and products of an array differentiate at length.
        up, down = (_powers(x, max(map(max, sums))) for x in (z, zbar))
        # A product shorter than N is filled up with ones.
        places = [[sums.index(s) for s in p] + [len(sums)] * (self.degree - len(p)) for p in self.products]
        both = []
        for i, j in ((a, b), (b, a)):
            factors = jnp.append(jnp.sum(up[i] * down[j], axis=1), 1)
            both.append(
                reduce(jnp.multiply, [factors[np.array(column)] for column in zip(*places, strict=True)])
            )
        return jnp.log(self.coefficients @ (both[0] + both[1]) / 2) / self.k

    def entries(self, jet: Float[Array, "channels features"]) -> Float[Array, " entries"]:
        """(1/k) d dbar log F, as the numbers of which `mfcore.kaehler_networks.hermitian` makes a matrix."""
        return log_entries(jet @ self.coefficients, self.k)


def log_entries(jet: Float[Array, " channels"], k: Array | int) -> Float[Array, " entries"]:
    """(1/k) d dbar log F from the jet of F."""
    dim = round(jet.shape[0] ** 0.5) - 1
    return jnp.stack(activated(jnp.log, tuple(jet))[2 * dim + 1 :]) / k


def algebraic_points(sample: Sample, products: tuple[Product, ...], kappa: float) -> FramePoints:
    """The data of a sample for an `AlgebraicMetric`, in frames orthonormal for g_FS."""
    frame = jnp.linalg.inv(jnp.linalg.cholesky(fubini_study_pullback(sample)))
    jets = _jets(products, sample.z, frame @ sample.jacobian)
    return FramePoints(jets, 1 / (sample.weight * kappa), sample.weight / jnp.mean(sample.weight))


@eqx.filter_jit
def _jets(
    products: tuple[Product, ...], z: Complex[Array, "points hom"], jacobian: Complex[Array, "points dim hom"]
) -> Float[Array, "points channels features"]:
    return jax.lax.map(lambda x: products_jet(products, *x), (z, jacobian), batch_size=100)
