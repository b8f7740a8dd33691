r"""One step of a metric under a fixed kernel: implicit in the derivative of the loss, or explicit.

What `mfcore.flows` iterates. An implicit step takes l'(eta) at its end and all else at its beginning, so that
points that have reached eta = 1 stay there; `mfcore.proximal` solves for the end values. The kernel is a
matrix, or anything that can be multiplied with vectors and bounded (`KernelOperator`).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from mfcore._typing import Array, Complex, Float
from mfcore.energies import PointwiseLoss, loss_gradient, ratio_gradient, volume_ratio
from mfcore.proximal import Coupling, end_multipliers

BLOCK = 20  # steps between two looks at the progress bar and the stopping rule
HALVINGS = 40  # of a step that breaks a rule, before the run counts as stuck


@runtime_checkable
class KernelOperator(Protocol):
    """A kernel that is not stored as a matrix: products with vectors, and a bound on what they can do."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        ...

    def __matmul__(self, v: Array, /) -> Array: ...

    def coupling(self) -> Coupling:
        """The kernel as a part of low rank and a rest, with a bound of the rest."""
        ...


class Problem(NamedTuple):
    """What stays the same through a run: the kernel, the volumes, and the rules of a step."""

    kernel: Array | KernelOperator
    # The least entry of a matrix, or 0: a constant kernel of this height drives all points alike.
    shared: Array | Coupling
    omega: Array
    kappa: Array
    largest_change: Array
    goal: Array  # the loss at which to stop
    iterations: Array  # at most, to solve for the multipliers of a step


class State(NamedTuple):
    """What a step changes; ``smallest`` is the least eigenvalue of the metric so far."""

    correction: Array
    metric: Array
    multiplier: Array  # l'(eta) at the end of the last step
    loss: Array
    step: Array
    time: Array
    smallest: Array
    stuck: Array


def at_start(start: Array, omega: Array, kappa: float, loss: PointwiseLoss) -> State:
    """The state before the first step."""
    eta = eta_at(start, omega, kappa)
    return State(
        correction=jnp.zeros_like(start),
        metric=start,
        multiplier=loss.derivative(eta),
        loss=jnp.mean(loss.value(eta)),
        step=jnp.array(0.0),
        time=jnp.array(0.0),
        smallest=jnp.linalg.eigvalsh(start).min(),
        stuck=jnp.array(False),
    )


@partial(jax.jit, static_argnames="loss")
def block(state: State, problem: Problem, loss: PointwiseLoss) -> tuple[State, Array]:
    """`BLOCK` implicit steps, and the loss after each; none once the goal is reached, or where none helps."""

    def one(state: State, _: None) -> tuple[State, Array]:
        over = state.stuck | (state.loss <= problem.goal)
        state = jax.lax.cond(over, lambda s: s, lambda s: _step(s, problem, loss), state)
        return state, state.loss

    return jax.lax.scan(one, state, None, length=BLOCK)


def _step(state: State, problem: Problem, loss: PointwiseLoss) -> State:
    """One step: the longest of h, h/2, ... that keeps to the rules; ``stuck`` where none does."""
    g = state.metric
    eta = eta_at(g, problem.omega, problem.kappa)
    direction = jax.vmap(ratio_gradient)(g, eta)
    root = jnp.linalg.inv(jnp.linalg.cholesky(g))

    def fall(s: Array) -> Array:  # minus dg/dt under multipliers s
        return smear(problem.kernel, s[:, None, None] * direction)

    def change(dg: Array) -> Array:
        return jnp.linalg.norm(root @ dg @ root.conj().mT, axis=(1, 2)).max()

    rest, bound, modes = _response(problem, _orthonormal_components(direction))

    def attempt(h: Array, s: Array) -> tuple[Array, State]:
        s = end_multipliers(
            lambda s: h * rest(s),
            h * bound,
            jnp.sqrt(h) * modes,
            *(eta - 1, s, loss.dual_proximal, problem.iterations),
        )
        dg = -h * fall(s)
        new = State(
            correction=state.correction + h * s[:, None, None] * direction,
            metric=g + dg,
            multiplier=s,
            loss=jnp.mean(loss.value(eta_at(g + dg, problem.omega, problem.kappa))),
            step=h,
            time=state.time + h,
            smallest=jnp.minimum(state.smallest, jnp.linalg.eigvalsh(g + dg).min()),
            stuck=state.stuck,
        )
        return change(dg), new

    def retry(trial: tuple) -> tuple:
        h, moved, new, count = trial
        h = h * jnp.where(moved > problem.largest_change, 0.9 * problem.largest_change / moved, 0.5)
        return h, *attempt(h, new.multiplier), count + 1

    def refused(trial: tuple) -> Array:
        _, moved, new, _ = trial
        return ~((moved <= problem.largest_change) & (new.smallest > 0) & (new.loss < state.loss))

    first = problem.largest_change / change(fall(state.multiplier))
    h = jnp.where(state.step > 0, 2 * state.step, first)
    trial = jax.lax.while_loop(
        lambda t: refused(t) & (t[3] < HALVINGS), retry, (h, *attempt(h, state.multiplier), 0)
    )
    stuck = state._replace(stuck=jnp.array(True), multiplier=trial[2].multiplier)
    return jax.tree.map(lambda a, b: jnp.where(refused(trial), a, b), stuck, trial[2])


def _response(problem: Problem, components: Array) -> tuple[Callable[[Array], Array], Array, Array]:
    """M_ab = Theta_ab tr(D_a D_b), the response of eta to the multipliers, as R + U U^T: R, a bound of it, U.

    ``components`` are the real ones of D, of which M = sum_c D_c Theta D_c.
    """
    if isinstance(problem.shared, Coupling):
        factor, spread = problem.shared
        modes = (factor[:, :, None] * components[:, None, :]).reshape(len(components), -1)

        def rest_of_operator(s: Array) -> Array:
            moved = problem.kernel @ (components * s[:, None])
            return jnp.sum(components * moved, axis=1) - modes @ (modes.T @ s)

        return rest_of_operator, spread * jnp.sum(components**2, axis=1), modes
    rest = (problem.kernel - problem.shared) * (components @ components.T)
    # Row sums of absolute values are, by Gershgorin, a diagonal that dominates.
    bound, modes = jnp.sum(jnp.abs(rest), axis=1), jnp.sqrt(problem.shared) * components
    return lambda s: rest @ s, bound, modes


@partial(jax.jit, static_argnames="loss")
def descend(state: State, problem: Problem, rate: Array | float, loss: PointwiseLoss) -> State:
    """One explicit step of size ``rate`` along the sum over points (2.3), whatever it does to the loss."""
    eta = eta_at(state.metric, problem.omega, problem.kappa)
    gradient = jax.vmap(lambda g, eta: loss_gradient(g, eta, loss))(state.metric, eta)
    g = state.metric - rate * smear(problem.kernel, gradient)
    return state._replace(
        correction=state.correction + rate * gradient,
        metric=g,
        loss=jnp.mean(loss.value(eta_at(g, problem.omega, problem.kappa))),
        time=state.time + rate,
        smallest=jnp.minimum(state.smallest, jnp.linalg.eigvalsh(g).min()),
    )


def coupling_energy(state: State, problem: Problem) -> Array:
    """s^T M s, the response of the points to one another: negative where the kernel drives them uphill."""
    # s^T M s for the multipliers last tried: where it is positive, a short step lowers the convex loss.
    field = state.multiplier[:, None, None] * jax.vmap(ratio_gradient)(
        state.metric, eta_at(state.metric, problem.omega, problem.kappa)
    )
    return jnp.sum(_trace(field, smear(problem.kernel, field)))


def smear(
    kernel: Float[Array, "points train"] | KernelOperator, field: Complex[Array, "train dim dim"]
) -> Complex[Array, "points dim dim"]:
    """sum_b Theta(x_a, x_b) F_b for Hermitian F: the kernel is real, so that dim^2 real columns do."""
    return _from_components(kernel @ _orthonormal_components(field), field.shape[-1])


def eta_at(g: Array, omega: Array, kappa: Array | float) -> Array:
    """eta at each point (paper B.10, B.11)."""
    return jax.vmap(volume_ratio)(g, omega) / kappa


def _orthonormal_components(field: Complex[Array, "points dim dim"]) -> Float[Array, "points components"]:
    # Real coordinates of Hermitian matrices in which tr(a b) is the scalar product.
    rows, columns = np.triu_indices(field.shape[-1], k=1)
    above = 2**0.5 * field[:, rows, columns]
    diagonal = jnp.diagonal(field, axis1=1, axis2=2).real
    return jnp.concatenate([diagonal, above.real, above.imag], axis=1)


def _from_components(components: Float[Array, "points components"], dim: int) -> Array:
    rows, columns = np.triu_indices(dim, k=1)
    real, imag = jnp.split(components[:, dim:] / 2**0.5, 2, axis=1)
    field = (
        jnp.zeros((len(components), dim, dim), complex).at[:, rows, columns].set(jax.lax.complex(real, imag))
    )
    return field + field.conj().mT + jnp.eye(dim) * components[:, :dim, None]


def _trace(a: Array, b: Array) -> Array:
    return jnp.einsum("xij,xji->x", a, b).real
