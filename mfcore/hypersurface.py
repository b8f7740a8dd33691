r"""The Dwork family Q = sum_i z_i^N - N psi prod_i z_i = 0 in P^(N-1), for every degree N >= 3.

psi = 0 is Fermat: the cubic curve, the quartic K3, the quintic threefold of paper (3.1). This module owns its
polynomial, the coordinates of a point (paper section 3.1: the largest |z_i| is scaled to 1, and Q = 0
eliminates the coordinate that makes |Omega|^2 smallest), the holomorphic form and the volumes. The dimension
is d = N - 2; points have N homogeneous coordinates.
"""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from mfcore._typing import Array, Complex, Float, Int


@dataclass(frozen=True)
class Dwork:
    """The member of the family with this degree and psi; a singular one is refused."""

    degree: int = 5
    psi: complex | float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.degree, int) or self.degree < 3:
            raise ValueError(f"degree {self.degree!r}: need an integer of at least 3 (3 is the cubic curve)")
        if not math.isfinite(abs(self.psi)):
            raise ValueError(f"psi = {self.psi!r} is not a finite number")
        # All partial derivatives vanish together where z_i^N = psi prod z for every i, so that psi^N = 1.
        if abs(self.psi**self.degree - 1) < 1e-9:
            raise ValueError(
                f"psi = {self.psi!r} satisfies psi^{self.degree} = 1, where the variety is singular; "
                "take another psi"
            )

    @property
    def dim(self) -> int:
        """Complex dimension d = N - 2."""
        return self.degree - 2

    def polynomial(self, z: Complex[Array, " hom"]) -> Complex[Array, ""]:
        """Q(z), paper (3.1) for N = 5 and psi = 0."""
        fermat = jnp.sum(z**self.degree)
        return fermat - self.degree * self.psi * jnp.prod(z) if self.psi else fermat

    def gradient(self, z: Complex[Array, " hom"]) -> Complex[Array, " hom"]:
        """dQ/dz_i, by products before and after i, which stay exact where a coordinate vanishes."""
        fermat = self.degree * z ** (self.degree - 1)
        if not self.psi:
            return fermat
        before, after = [jnp.ones_like(z[0])], [jnp.ones_like(z[0])]
        for i in range(self.degree - 1):
            before.append(before[-1] * z[i])
            after.append(after[-1] * z[self.degree - 1 - i])
        return fermat - self.degree * self.psi * jnp.stack(before) * jnp.stack(after[::-1])


def patch_of(z: Complex[Array, " hom"]) -> Int[Array, ""]:
    """The index of the largest |z_i|, which is scaled to 1."""
    return jnp.argmax(z.real**2 + z.imag**2)


def eliminated_of(gradient: Complex[Array, " hom"], patch: Int[Array, ""]) -> Int[Array, ""]:
    """The index other than ``patch`` with the largest |dQ/dz_i|, hence the smallest |Omega|^2."""
    size = gradient.real**2 + gradient.imag**2
    return jnp.argmax(jnp.where(jnp.arange(gradient.shape[0]) == patch, -1.0, size))


def jacobian(
    gradient: Complex[Array, " hom"], patch: Int[Array, ""], eliminated: Int[Array, ""]
) -> Complex[Array, "dim hom"]:
    """J[a, i] = dz^i/dx^a along Q = 0 with z[patch] held fixed, x the other coordinates in rising order."""
    a, i = jnp.arange(gradient.shape[0] - 2)[:, None], jnp.arange(gradient.shape[0])[None, :]
    low, high = jnp.minimum(patch, eliminated), jnp.maximum(patch, eliminated)
    free = a + (a >= low)
    free = free + (free >= high)
    # Sums against a mask, not gathers: they vectorise over points.
    slope = -jnp.sum(jnp.where(i == free, gradient, 0), axis=1) / jnp.sum(
        jnp.where(i[0] == eliminated, gradient, 0)
    )
    return (i == free) + jnp.where(i == eliminated, slope[:, None], 0)


def omega(gradient: Complex[Array, " hom"], eliminated: Int[Array, ""]) -> Complex[Array, ""]:
    """The component 1 / (dQ/dz_eliminated) of Omega = dx^1 ... dx^d / (dQ/dz_eliminated), up to an overall
    sign.

    ``gradient`` must be taken at z scaled so that z[patch] = 1. The sign that makes Omega one form across
    charts is left out, for only |Omega|^2 is used.
    """
    return 1 / jnp.sum(jnp.where(jnp.arange(gradient.shape[0]) == eliminated, gradient, 0))


def weight(z: Complex[Array, " hom"], gradient: Complex[Array, " hom"]) -> Float[Array, ""]:
    r"""|Omega|^2 / det g_FS = |z|^(2N-2) / |dQ|^2, in which no patch or eliminated coordinate is left.

    It follows from det(J h J^dagger) = |dQ|^2 / (|dQ/dz_eliminated|^2 |z|^(2N-2)) at z[patch] = 1.
    """
    return _norm2(z) ** (z.shape[0] - 1) / _norm2(gradient)


def fubini_study_volume(variety: Dwork) -> float:
    """N pi^d / d!, the volume of every degree-N hypersurface for the metric of `mfcore.projective`."""
    return variety.degree * math.pi**variety.dim / math.factorial(variety.dim)


def omega_volume(variety: Dwork) -> float:
    """int |Omega|^2 = pi^d gamma(1/N)^N / N^(N-1), gamma(x) = Gamma(x) / Gamma(1-x); Fermat members only."""
    if variety.psi:
        raise ValueError(
            f"psi = {variety.psi!r}: the closed form holds at psi = 0; elsewhere take "
            "fubini_study_volume(variety) times the mean weight of a sample"
        )
    n = variety.degree
    return math.pi**variety.dim * (math.gamma(1 / n) / math.gamma(1 - 1 / n)) ** n / n ** (n - 1)


def project_to_variety(
    variety: Dwork, z: Complex[Array, " hom"], *, max_steps: int = 50
) -> Complex[Array, " hom"]:
    """The nearby point that Newton steps of least norm reach, z - Q conj(dQ) / |dQ|^2, at norm 1.

    Quadratic near the variety; not the nearest point exactly. Steps end at rounding, or at ``max_steps``
    without a word, for it must run under vmap: `sample_at` refuses points that did not arrive.
    """

    def step(state: tuple) -> tuple:
        z, _, count = state
        gradient = variety.gradient(z)
        z = z - variety.polynomial(z) * gradient.conj() / _norm2(gradient)
        z = z / jnp.sqrt(_norm2(z))
        return z, jnp.abs(variety.polynomial(z)), count + 1

    z = z / jnp.sqrt(_norm2(z))
    start = (z, jnp.abs(variety.polynomial(z)), 0)
    goal = 4 * jnp.finfo(z.real.dtype).eps
    return jax.lax.while_loop(lambda s: (s[1] > goal) & (s[2] < max_steps), step, start)[0]


def _norm2(z: Complex[Array, " hom"]) -> Float[Array, ""]:
    return jnp.sum(z.real**2 + z.imag**2)
