r"""The Fermat cubic x^3 + y^3 + w^3 = 0 as the torus C / lattice, where the Ricci-flat metric is known.

With Omega = dx / (3 y^2) at w = 1, the flat coordinate u = int Omega from the point (1 : -1 : 0) makes the
flat metric constant. X = -12 w / (x + y), Y = 36 (y - x) / (x + y) solve Y^2 = X^3 - 432 and dX / Y = Omega,
so that X = 4 p(u) and Y = 4 p'(u) with Weierstrass' p for g_2 = 0, g_3 = 27, whose lattice is hexagonal. u is
defined up to the lattice; Omega in other charts may differ by a sign, which no metric sees. For the inverse
Weierstrass functions of paper section 3.2.
"""

import math

import numpy as np
from scipy.special import elliprf

from mfcore._typing import Array, Complex

# int Omega over the real points; both periods have this size.
PERIOD = math.gamma(1 / 3) ** 3 / (2 * 3**0.5 * math.pi)
TURN = complex(0.5, 3**0.5 / 2)  # exp(i pi / 3); the lattice is PERIOD (Z + TURN Z)
TERMS = 8  # of the series in q = exp(2 pi i TURN), |q| = 0.0043
# The zeros of 4 p^3 - 27.
ROOTS = (27 / 4) ** (1 / 3) * np.exp(2j * np.pi / 3 * np.arange(3))


def lattice_area() -> float:
    """Of a period parallelogram, which is int |Omega|^2 (`hypersurface.omega_volume`)."""
    return 3**0.5 / 2 * PERIOD**2


def reduced(u: Complex[np.ndarray, " points"]) -> Complex[np.ndarray, " points"]:
    """The representative in the parallelogram PERIOD (a + b TURN) with a and b in [-1/2, 1/2]."""
    b = np.imag(u) / TURN.imag / PERIOD
    a = np.real(u) / PERIOD - TURN.real * b
    return PERIOD * ((a - np.round(a)) + (b - np.round(b)) * TURN)


def weierstrass(
    u: Complex[np.ndarray, " points"],
) -> tuple[Complex[np.ndarray, " points"], Complex[np.ndarray, " points"]]:
    r"""Weierstrass' p(u) and p'(u), for the lattice of the cubic.

    p = (2 pi i / PERIOD)^2 (1/12 + sum_m v_m / (1 - v_m)^2 - 2 sum_{m>0} q^m / (1 - q^m)^2) with
    v_m = q^m exp(2 pi i u / PERIOD), m over all integers. Both are infinite on the lattice, which is refused.
    """
    u = reduced(u)
    if np.any(u == 0):
        raise ValueError(
            f"{int(np.sum(u == 0))} of {u.size} points lie on the lattice, where p has a pole; move them"
        )
    rate = 2j * math.pi / PERIOD
    powers = np.exp(2j * math.pi * TURN * np.arange(1, TERMS + 1))
    value, slope = (
        np.full(u.shape, 1 / 12 - 2 * np.sum(powers / (1 - powers) ** 2)),
        np.zeros(u.shape, complex),
    )
    # v / (1 - v)^2 is even in log v, which moves all powers of q below 1.
    for sign, shifts in ((1, [1, *powers]), (-1, powers)):
        for shift in shifts:
            v = shift * np.exp(sign * rate * u)
            value = value + v / (1 - v) ** 2
            slope = slope + sign * v * (1 + v) / (1 - v) ** 3
    return rate**2 * value, rate**3 * slope


def point_at(u: Complex[np.ndarray, " points"]) -> Complex[np.ndarray, "points 3"]:
    """Homogeneous coordinates (x, y, w) of the point with flat coordinate u, not on the lattice."""
    value, slope = weierstrass(u)
    x_plus_y, y_minus_x = np.full(u.shape, -12 + 0j), -4 * slope / 3
    return np.stack([(x_plus_y - y_minus_x) / 2, (x_plus_y + y_minus_x) / 2, 4 * value], axis=1)


def flat_coordinate(
    z: Complex[np.ndarray, "points 3"] | Complex[Array, "points 3"],
) -> Complex[np.ndarray, " points"]:
    r"""u = int Omega of points (x, y, w), in the parallelogram of `reduced`: inverse Weierstrass.

    int_p^inf dt / sqrt(4 t^3 - 27) is Carlson's R_F(p - e_1, p - e_2, p - e_3) up to a sign, which p' = Y / 4
    gives.
    """
    x, y, w = np.asarray(z).T
    if np.any(x + y == 0):
        raise ValueError(
            f"{int(np.sum(x + y == 0))} of {len(x)} points have x + y = 0, where p is infinite; move them"
        )
    value, slope = -3 * w / (x + y), 9 * (y - x) / (x + y)
    gaps = [value - root for root in ROOTS]
    # p'(u) = -2 prod sqrt(p - e_j) belongs to the u that R_F gives with the same square roots.
    of_carlson = -2 * np.prod([np.sqrt(gap) for gap in gaps], axis=0)
    sign = np.where((slope * of_carlson.conj()).real > 0, 1, -1)
    return reduced(_polished(sign * elliprf(*gaps), value, slope))


def _polished(u: np.ndarray, value: np.ndarray, slope: np.ndarray) -> np.ndarray:
    # One Gauss-Newton step on p and p' together: at half periods p' = 0, and p alone knows u to 1e-8 only.
    now, rate = weierstrass(u)
    bend = 6 * now**2
    miss = rate.conj() * (now - value) + bend.conj() * (rate - slope)
    return u - miss / (np.abs(rate) ** 2 + np.abs(bend) ** 2)
