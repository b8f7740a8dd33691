r"""How far a metric is from Ricci-flat: the ratio eta, the sigma loss, and the pointwise losses that flows
descend.

Conventions (notation page): eta = (det g / |Omega|^2) / kappa, with kappa such that the mean of eta over the
measure |Omega|^2 is 1 (paper B.10, B.11); the Ricci-flat metric has eta = 1. A start with another kappa is
one whose volume is not normalised, and its gains are not comparable.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from mfcore._typing import Array, Complex, Float


class PointwiseLoss(NamedTuple):
    """A convex function l(eta) with what a flow asks of it.

    ``value`` l; ``derivative`` l'; ``dual_proximal`` maps x, p to argmin_s l*(s) + p (s - x)^2 / 2, with l*
    the convex conjugate of u -> l(1 + u): it yields the derivative at the *end* of a step, which keeps a kink
    from chattering.
    """

    value: Callable
    derivative: Callable
    dual_proximal: Callable


# The paper's sigma loss (B.11). Its conjugate is the indicator of [-1, 1].
absolute = PointwiseLoss(
    value=lambda eta: jnp.abs(eta - 1),
    derivative=lambda eta: jnp.sign(eta - 1),
    dual_proximal=lambda x, _: jnp.clip(x, -1, 1),
)
# The ultra-local energy F = (eta - 1)^2 of (B.14). Its conjugate is s^2 / 4.
squared = PointwiseLoss(
    value=lambda eta: (eta - 1) ** 2,
    derivative=lambda eta: 2 * (eta - 1),
    dual_proximal=lambda x, p: p * x / (p + 0.5),
)


def volume_ratio(g: Complex[Array, "dim dim"], omega: Complex[Array, ""]) -> Float[Array, ""]:
    """det g / |Omega|^2 at a point; both change by |det|^2 of a change of coordinates, the ratio does not."""
    return jnp.linalg.det(g).real / (omega.real**2 + omega.imag**2)


def kappa(ratio: Float[Array, " points"], weight: Float[Array, " points"]) -> Float[Array, ""]:
    """The mean of `volume_ratio` over the measure |Omega|^2, of which ``weight`` is the density (paper
    B.10)."""
    return jnp.sum(weight * ratio) / jnp.sum(weight)


def departure(
    g: Complex[Array, "dim dim"], omega: Complex[Array, ""], kappa: Float[Array, ""] | float
) -> Float[Array, ""]:
    """|1 - eta| at a point, whose mean over |Omega|^2 is the sigma loss (paper B.11)."""
    return jnp.abs(1 - volume_ratio(g, omega) / kappa)


def sigma(eta: Float[Array, " points"], weight: Float[Array, " points"]) -> Float[Array, ""]:
    """The sigma loss, the mean of |1 - eta| over the measure |Omega|^2 (paper B.11)."""
    return jnp.sum(weight * jnp.abs(1 - eta)) / jnp.sum(weight)


def ratio_of_means(before: Float[Array, " points"], after: Float[Array, " points"]) -> Float[Array, ""]:
    """Mean of |1 - eta| before over that after, points unweighted: steady, no lucky point decides it."""
    return jnp.mean(before) / jnp.mean(after)


def mean_of_ratios(before: Float[Array, " points"], after: Float[Array, " points"]) -> Float[Array, ""]:
    """Mean of the gains of single points. Its tail is heavy: where |1 - eta| passes 0, a gain is infinite."""
    return jnp.mean(before / after)


def median_of_ratios(before: Float[Array, " points"], after: Float[Array, " points"]) -> Float[Array, ""]:
    """Median of the gains of single points."""
    return jnp.median(before / after)


# What the "factor gained in the sigma loss" of Figure 3 may mean, |1 - eta| given point by point.
GAIN_READINGS: dict[str, Callable[[Float[Array, " points"], Float[Array, " points"]], Float[Array, ""]]] = {
    "ratio of means": ratio_of_means,
    "median of ratios": median_of_ratios,
    "mean of ratios": mean_of_ratios,
}


def loss_gradient(
    g: Complex[Array, "dim dim"], eta: Float[Array, ""], loss: PointwiseLoss
) -> Complex[Array, "dim dim"]:
    r"""dl/dg as the Hermitian matrix G with dl = Re tr(G dg): l'(eta) eta g^(-1), stored like g.

    d eta = eta tr(g^(-1) dg) (Jacobi). Descent along -G is steepest for the Frobenius norm of Hermitian
    matrices, which is what delta_ik delta_jl in the paper's kernels means for complex components.
    """
    return loss.derivative(eta) * ratio_gradient(g, eta)


def ratio_gradient(g: Complex[Array, "dim dim"], eta: Float[Array, ""]) -> Complex[Array, "dim dim"]:
    """d eta/dg = eta g^(-1), so that d eta = tr(d eta/dg dg); Hermitian to the last bit."""
    # Rounding leaves an anti-Hermitian part that nothing in a flow damps and a large kernel amplifies.
    inverse = jnp.linalg.inv(g)
    return eta * (inverse + inverse.conj().T) / 2
