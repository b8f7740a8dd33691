r"""The flow of a metric under a fixed kernel, dg/dt = -sum_b Theta(x, x_b) dl/dg(x_b), paper (2.12).

Theta_ijkl = delta_ik delta_jl Theta(x, x') mixes no components, so the kernel is one number a pair of points:
memory is N^2, not 81 N^2, and none where the kernel comes as products (`mfcore.kernel_products`,
`mfcore.approximate_kernels`). `kernel_flow` follows the flow, `gradient_descent` the paper's fixed rate. Both
return the accumulated corrections, from which `predict` gives the metric anywhere.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from mfcore._typing import Array, Bool, Complex, Float
from mfcore.energies import PointwiseLoss, absolute, loss_gradient
from mfcore.flow_steps import (
    BLOCK,
    KernelOperator,
    Problem,
    State,
    at_start,
    block,
    coupling_energy,
    descend,
    eta_at,
    smear,
)
from mfcore.proximal import ITERATIONS, Coupling


class Flow(NamedTuple):
    """Where a flow ended, and how.

    ``correction`` is A = int dl/dg dt at each train point, so that g = g_0 - sum_b Theta(x, x_b) A_b.
    ``loss`` is the mean pointwise loss after each step, its first entry the start; ``time`` the flow time;
    ``smallest_eigenvalue`` the least of g at any train point and step; ``status`` says why the run ended.
    """

    correction: Complex[Array, "train dim dim"]
    metric: Complex[Array, "train dim dim"]
    loss: Float[np.ndarray, " steps"]
    time: float
    smallest_eigenvalue: float
    status: str


class Prediction(NamedTuple):
    """The metric at other points, and where it is positive definite, as a metric must be."""

    metric: Complex[Array, "points dim dim"]
    positive: Bool[Array, " points"]


def kernel_flow(
    kernel: Float[Array, "train train"] | KernelOperator,
    start: Complex[Array, "train dim dim"],
    omega: Complex[Array, " train"],
    kappa: float,
    *,
    loss: PointwiseLoss = absolute,
    largest_change: float = 0.05,
    max_steps: int = 1000,
    goal: float = 1e-12,
    iterations: int = ITERATIONS,
) -> Flow:
    r"""Follow the flow from ``start`` by steps that are implicit in the derivative of the loss.

    With l'(eta) taken at the end of a step and all else at its beginning (order 1 in the step), a point that
    has reached eta = 1 stays, where an explicit step would chatter across the kink of the sigma loss. A step
    changes no metric by more than ``largest_change``, as |g^(-1/2) dg g^(-1/2)|, and must lower the loss. The
    run ends when the mean loss is ``goal`` of its start, when 20 steps lower it by under 1e-4 of itself, when
    no step lowers it (then the status says whether the kernel drives it uphill), or after ``max_steps``,
    which count in twenties. Each trial of a step takes a product with the kernel, and at most ``iterations``
    more to solve for l'; they start from the last step's, so that a few will do where products are dear.
    """
    _check(kernel, start, omega, kappa)
    if not (largest_change > 0 and max_steps >= 1 and iterations >= 1):
        raise ValueError(
            f"largest_change {largest_change!r}, max_steps {max_steps}, iterations {iterations}: need a "
            "positive number and twice at least 1"
        )
    state = at_start(start, omega, kappa, loss)
    limits = (jnp.asarray(kappa), jnp.asarray(largest_change), goal * state.loss, jnp.asarray(iterations))
    problem = Problem(kernel, _shared(kernel), omega, *limits)
    history, least = [np.asarray(state.loss)[None]], float(state.smallest)
    status = ""
    with tqdm(total=max_steps, desc="kernel flow", leave=False) as bar:
        while len(history) <= -(-max_steps // BLOCK):
            before = float(state.loss)
            state, losses = block(state, problem, loss)
            history.append(np.asarray(losses))
            bar.update(BLOCK)
            status = _ended(state, before, least, problem)
            if status:
                break
    losses = np.concatenate(history)
    # Every step lowers the loss; where it stands still, the rest of the last block took none.
    losses = losses[: np.argmin(losses) + 1]
    return _flow(state, losses, status or f"spent its {len(losses) - 1} steps")


def gradient_descent(
    kernel: Float[Array, "train train"] | KernelOperator,
    start: Complex[Array, "train dim dim"],
    omega: Complex[Array, " train"],
    kappa: float,
    *,
    learning_rate: float,
    steps: int,
    loss: PointwiseLoss = absolute,
) -> Flow:
    """The paper's own scheme: explicit steps of one size, the sum over train points unscaled (2.3).

    It stops at once where a metric leaves the positive cone, and the status tells the step; a loss that ends
    above its start is told too.
    """
    _check(kernel, start, omega, kappa)
    if not (learning_rate > 0 and steps >= 1):
        raise ValueError(
            f"learning_rate {learning_rate!r}, steps {steps}: need a positive number and at least 1"
        )
    limits = (jnp.asarray(kappa), jnp.array(jnp.inf), jnp.array(0.0), jnp.array(0))
    problem = Problem(kernel, jnp.array(0.0), omega, *limits)
    state = at_start(start, omega, kappa, loss)
    history, status = [float(state.loss)], f"took its {steps} steps"
    for step in range(1, steps + 1):
        state = descend(state, problem, learning_rate, loss)
        history.append(float(state.loss))
        if not state.smallest > 0:
            status = f"left the positive cone at step {step}"
            break
    if not history[-1] <= history[0]:
        status += f"; raised the loss from {history[0]:.4g} to {history[-1]:.4g}"
    return _flow(state, np.array(history), status)


def predict(
    kernel: Float[Array, "points train"] | KernelOperator,
    start: Complex[Array, "points dim dim"],
    flow: Flow,
) -> Prediction:
    """g(x) = g_0(x) - sum_b Theta(x, x_b) A_b at points x with the rows of ``kernel``; nothing is clipped."""
    g = start - smear(kernel, flow.correction)
    return Prediction(g, jnp.linalg.eigvalsh(g)[:, 0] > 0)


def velocity(
    kernel: Float[Array, "points train"] | KernelOperator,
    g: Complex[Array, "train dim dim"],
    omega: Complex[Array, " train"],
    kappa: float,
    loss: PointwiseLoss = absolute,
) -> Complex[Array, "points dim dim"]:
    """dg/dt of (2.12) at the points of the kernel's rows, for the metric g at its columns."""
    eta = eta_at(g, omega, kappa)
    return -smear(kernel, jax.vmap(lambda g, eta: loss_gradient(g, eta, loss))(g, eta))


def _shared(kernel: Array | KernelOperator) -> Array | Coupling:
    if isinstance(kernel, KernelOperator):
        coupling = kernel.coupling()
        if not jnp.all(jnp.isfinite(coupling.spread)):
            raise ValueError("the kernel holds NaN or infinity; mend the points it is made of")
        return coupling
    return jnp.maximum(kernel.min(), 0)


def _flow(state: State, history: np.ndarray, status: str) -> Flow:
    return Flow(state.correction, state.metric, history, float(state.time), float(state.smallest), status)


def _ended(state: State, before: float, least_at_start: float, problem: Problem) -> str:
    """Why the run is over, in words; empty while it is not."""
    now = float(state.loss)
    if now <= float(problem.goal):
        return "reached its goal"
    if state.stuck:
        uphill = float(coupling_energy(state, problem)) < 0
        why = "the kernel is not positive on its gradient" if uphill else "it is stationary to this accuracy"
        return f"stopped: no step lowers the loss; {why}"
    edge = " at the edge of the positive cone" if float(state.smallest) < 1e-3 * least_at_start else ""
    if now > before * (1 - 1e-4):
        return f"levelled off{edge}: the last {BLOCK} steps lowered the loss by less than 1e-4 of itself"
    return ""


def _check(kernel: Array | KernelOperator, start: Array, omega: Array, kappa: float) -> None:
    n = len(start)
    if kernel.shape != (n, n) or omega.shape != (n,):
        raise ValueError(
            f"kernel {kernel.shape} and Omega {omega.shape} for {n} train points: need {(n, n)} and {(n,)}"
        )
    stored = {} if isinstance(kernel, KernelOperator) else {"kernel": kernel}
    for name, field in (stored | {"start metric": start, "Omega": omega}).items():
        bad = int(jnp.sum(~jnp.isfinite(field)))
        if bad:
            raise ValueError(f"{bad} entries of the {name} are NaN or infinite; mend them before the flow")
    if not kappa > 0:
        raise ValueError(f"kappa = {kappa!r}: need the positive mean of det g / |Omega|^2 (energies.kappa)")
    bad = int(jnp.sum(~(jnp.linalg.eigvalsh(start)[:, 0] > 0)))
    if bad:
        raise ValueError(
            f"{bad} of {n} start metrics are not positive definite; start from one that is everywhere"
        )
