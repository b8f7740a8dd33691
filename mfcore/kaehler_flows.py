r"""Flows of a Kaehler potential, d phi / dt = v(g): Kaehler-Ricci, Calabi, and those of energies of eta.

Each row of `FLOWS` has the velocity, as printed or with the sign that makes it run, and its growth: at a
flat metric, the Fourier mode of phi on which -Delta is s grows as exp(growth(s) t). A flow whose growth rises
without bound is ill-posed: it has no solution from most starts, and on a grid the finest waves win. phi
matters up to a constant, which velocities may add at will. Paper (B.4) to (B.9) and (B.19) to (B.21).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mfcore import complex_torus, cubic
from mfcore._typing import Array, Float
from mfcore.complex_torus import ComplexTorus
from mfcore.geometric_flows import integrate
from mfcore.hypersurface import Dwork, weight
from mfcore.kaehler_energies import KaehlerClass, laplacian, metric, ratio, scalar_curvature

Velocity = Callable[[KaehlerClass, Array], Array]
Functional = Callable[[KaehlerClass, Array], Array]


class PotentialFlow(NamedTuple):
    """A velocity of phi, and how fast a mode grows at a flat metric on which -Delta is ``s``."""

    velocity: Velocity
    growth: Callable[[float], float]


# The velocities that are functions of eta alone, so that any space can have them.
OF_RATIO: dict[str, Callable[[Array], Array]] = {
    # d dbar of it is minus the Ricci form of (B.3): (B.4) through (B.6).
    "Kaehler-Ricci (B.4)": jnp.log,
    "two-derivative (B.20)": lambda eta: -(eta**-0.5),
    "ultra-local (B.21), sign turned": lambda eta: 2 * (eta - 1),
}


def _of_ratio(name: str) -> Velocity:
    return lambda k, phi: OF_RATIO[name](ratio(k, phi))


FLOWS: dict[str, PotentialFlow] = {
    "Kaehler-Ricci (B.4)": PotentialFlow(_of_ratio("Kaehler-Ricci (B.4)"), lambda s: -s),
    # dg/dt = d dbar R with R = g^ab R_ab and R_ab of (B.3).
    "Calabi, R of (B.3)": PotentialFlow(scalar_curvature, lambda s: -(s**2)),
    "Calabi (B.9) as printed": PotentialFlow(
        lambda k, phi: laplacian(k, metric(k, phi), jnp.log(ratio(k, phi))), lambda s: s**2
    ),
    "two-derivative (B.20)": PotentialFlow(_of_ratio("two-derivative (B.20)"), lambda s: -s / 2),
    "ultra-local (B.21) as printed": PotentialFlow(lambda k, phi: -2 * (ratio(k, phi) - 1), lambda s: 2 * s),
    "ultra-local (B.21), sign turned": PotentialFlow(
        _of_ratio("ultra-local (B.21), sign turned"), lambda s: -2 * s
    ),
    # The gradient of (B.14) in the inner product int phi psi mu_J: -Delta F'(eta), by (B.13).
    "gradient of (B.14)": PotentialFlow(
        lambda k, phi: -2 * laplacian(k, metric(k, phi), ratio(k, phi)), lambda s: -2 * s**2
    ),
}


class Path(NamedTuple):
    """A flow's end, and what was recorded after each step, the start first."""

    phi: Float[Array, "..."]
    times: Float[Array, " steps"]
    records: dict[str, Float[Array, " steps"]]


def follow(
    space: KaehlerClass,
    velocity: Velocity,
    start: Float[Array, "..."],
    *,
    duration: float,
    steps: int,
    record: dict[str, Functional] | None = None,
) -> Path:
    """The flow by equal steps of Tsitouras' method, of order 5, with the values of functionals at each.

    The velocity is truncated to modes below a third of the side. Explicit: a step may be no longer than 2.8
    over the fastest decay.
    """
    if not (duration > 0 and steps >= 1):
        raise ValueError(
            f"duration {duration!r}, steps {steps!r}: need a positive time and at least one step"
        )
    record = record or {}

    def step(phi: Array, _: None) -> tuple[Array, dict[str, Array]]:
        values = {name: of(space, phi) for name, of in record.items()}
        return integrate(moved, phi, duration / steps, steps=1), values

    def moved(phi: Array) -> Array:
        return complex_torus.truncated(space.torus, velocity(space, phi))

    @jax.jit
    def run(start: Array) -> tuple[Array, dict[str, Array]]:
        end, values = jax.lax.scan(step, start, None, length=steps)
        return end, {name: jnp.append(values[name], of(space, end)) for name, of in record.items()}

    end, values = run(start)
    return Path(end, jnp.linspace(0, duration, steps + 1), values)


def fastest_decay(space: KaehlerClass, flow: PotentialFlow) -> float:
    """The largest decay of a mode that `follow` keeps, at the flat metric of the class."""
    scale = jnp.linalg.det(space.background).real.mean() ** (1 / space.torus.dim)
    k = complex_torus.wave_covectors(space.torus)
    line = np.abs(np.fft.fftfreq(space.torus.side)) < 1 / 3
    kept = np.stack(np.meshgrid(*[line] * 2 * space.torus.dim, indexing="ij"), axis=-1).all(axis=-1)
    return -flow.growth(float(np.sum(np.abs(k) ** 2, axis=-1)[kept].max() / scale))


def fermat_cubic(side: int) -> KaehlerClass:
    """The class of Fubini-Study on the cubic curve, in its flat coordinate u: |Omega|^2 = 1, so that the
    Ricci-flat metric is the constant kappa."""
    torus = complex_torus.checked(
        ComplexTorus(((complex(cubic.PERIOD),), (cubic.PERIOD * cubic.TURN,)), side)
    )
    z = jnp.asarray(cubic.point_at(complex_torus.points(torus).reshape(-1)))
    curve = Dwork(3)
    g = 1 / jax.vmap(lambda z: weight(z, curve.gradient(z)))(z)
    return KaehlerClass(torus, g.reshape(side, side, 1, 1).astype(complex), jnp.ones((side, side)))
