"""The kernel flow against the full 81 N^2 tensor, an adaptive ODE solver, and a closed-form solution."""

from functools import partial

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp

from mfcore import energies, flow_steps, flows, kernels, sampling
from mfcore.hypersurface import Dwork, fubini_study_volume, omega_volume

KAPPA = fubini_study_volume(Dwork()) / omega_volume(Dwork())


@pytest.fixture(scope="module")
def setting():
    """Fifteen points in one chart of the quintic, a kernel that couples them, and the Fubini-Study start."""
    sample = drawn.points_in_patch(Dwork(), 15, 2)
    kernel = kernels.gaussian(kernels.distance_matrix(sample.z, sample.z), 0.2)
    return kernel, sampling.fubini_study_pullback(sample), sample.omega


@partial(jax.jit, static_argnums=2)
def one_step(state, problem, loss):
    new = flow_steps._step(state, problem, loss)
    return new, new.loss[None]


@pytest.fixture
def single_steps(monkeypatch):
    """Blocks of one step, so that a run may end after any number of them."""
    monkeypatch.setattr(flows, "BLOCK", 1)
    monkeypatch.setattr(flows, "block", one_step)


def full_tensor(kernel):
    """Theta_ijkl(x, x') with all its 81 N^2 entries."""
    eye = np.eye(3)
    return np.einsum("ik,jl,ab->ijklab", eye, eye, np.asarray(kernel))


def slow_gradient(g, omega, kappa, loss):
    """dl/dg_kl by automatic differentiation in the 18 real numbers of g, as steepest descent wants it."""

    def value(real, imag):
        g = real + 1j * imag
        g = (g + g.conj().T) / 2
        return loss.value(jnp.linalg.det(g).real / jnp.abs(omega) ** 2 / kappa)

    real, imag = jax.grad(value, argnums=(0, 1))(g.real, g.imag)
    return np.asarray(real + 1j * imag)


def slow_velocity(kernel, g, omega, kappa, loss):
    gradients = np.stack([slow_gradient(a, b, kappa, loss) for a, b in zip(g, omega, strict=True)])
    return -np.einsum("ijklab,bkl->aij", full_tensor(kernel), gradients)


@pytest.mark.parametrize("loss", [energies.absolute, energies.squared], ids=["absolute", "squared"])
def test_velocity_is_that_of_the_full_tensor(setting, loss):
    kernel, g, omega = setting
    expected = slow_velocity(kernel, g, omega, 0.7 * KAPPA, loss)
    velocity = flows.velocity(kernel, g, omega, 0.7 * KAPPA, loss)
    assert_allclose(velocity, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())
    assert_allclose(
        flows.velocity(kernel[:4], g, omega, 0.7 * KAPPA, loss), expected[:4], rtol=1e-11, atol=1e-10
    )


@pytest.mark.slow
@pytest.mark.usefixtures("single_steps")
def test_flow_converges_to_the_ode_at_first_order(setting):
    """Against SciPy's adaptive solver with the squared loss, at the time that the flow reports."""
    kernel, start, omega = setting

    def right_side(_, y):
        g = jnp.asarray(y.view(complex).reshape(start.shape))
        return np.asarray(flows.velocity(kernel, g, omega, KAPPA, energies.squared)).ravel().view(float)

    errors, changes = [], [0.02, 0.01, 0.005]
    for change, steps in zip(changes, (10, 20, 40), strict=True):
        flow = flows.kernel_flow(
            kernel, start, omega, KAPPA, loss=energies.squared, largest_change=change, max_steps=steps
        )
        y0 = np.asarray(start).ravel().view(float)
        exact = solve_ivp(right_side, (0, flow.time), y0, rtol=1e-10, atol=1e-12, method="DOP853").y[:, -1]
        errors.append(np.abs(np.asarray(flow.metric).ravel().view(float) - exact).max())
    order = np.polyfit(np.log(changes), np.log(errors), 1)[0]
    assert 0.8 < order < 1.3, errors
    assert np.abs(np.asarray(flow.metric - start)).max() > 10 * errors[-1]


@pytest.mark.slow
def test_a_curve_under_the_delta_kernel_is_solved_in_closed_form():
    """d = 1: g moves at the rate 1 / (kappa |Omega|^2) and stays where eta = 1; nothing chatters."""
    sample = drawn.points(Dwork(3), 40)
    start = sampling.fubini_study_pullback(sample)
    kappa = fubini_study_volume(Dwork(3)) / omega_volume(Dwork(3))
    goal = kappa * jnp.abs(sample.omega) ** 2
    way = start[:, 0, 0].real - goal
    early = flows.kernel_flow(jnp.eye(40), start, sample.omega, kappa, largest_change=0.005, max_steps=20)
    arrived = jnp.abs(way) <= early.time / goal
    assert 0 < arrived.sum() < 40  # some points are still moving
    moved = jnp.sign(way) * jnp.minimum(early.time / goal, jnp.abs(way))
    assert_allclose(early.metric[:, 0, 0], start[:, 0, 0] - moved, rtol=1e-11)
    assert_allclose(early.correction[:, 0, 0], moved, rtol=1e-8, atol=1e-11)
    late = flows.kernel_flow(jnp.eye(40), start, sample.omega, kappa)
    assert late.status == "reached its goal"
    assert_allclose(late.metric[:, 0, 0], goal, rtol=1e-11)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_sigma_loss_falls_at_every_step_to_rounding(setting, scale):
    kernel, start, omega = setting
    flow = flows.kernel_flow(kernel, start, omega, scale * KAPPA)
    assert np.all(np.diff(flow.loss) < 0)
    eta = jax.vmap(energies.volume_ratio)(flow.metric, omega) / (scale * KAPPA)
    assert_allclose(jnp.mean(jnp.abs(eta - 1)), flow.loss[-1], rtol=1e-6, atol=1e-15)
    assert flow.loss[-1] < 1e-10 * flow.loss[0]
    assert flow.status == "reached its goal"
    assert 0 < flow.smallest_eigenvalue <= np.linalg.eigvalsh(flow.metric).min() * (1 + 1e-12)


@pytest.mark.parametrize("constant", [0.0, 2.0])
@pytest.mark.usefixtures("single_steps")
def test_a_step_is_implicit_in_the_derivative_of_the_loss(setting, constant):
    """s = l'(eta + d eta) with d eta_a = -h sum_b Theta_ab tr(D_a D_b) s_b, D = d eta/dg: a linear system."""
    kernel, start, omega = setting
    kernel = kernel + constant
    flow = flows.kernel_flow(
        kernel, start, omega, KAPPA, loss=energies.squared, largest_change=0.5, max_steps=1
    )
    eta = np.linalg.det(start).real / np.abs(omega) ** 2 / KAPPA
    slope = eta[:, None, None] * np.linalg.inv(start)
    response = flow.time * kernel * np.einsum("aij,bji->ab", slope, slope).real
    s = np.linalg.solve(np.eye(15) + 2 * response, 2 * (eta - 1))
    expected = flow.time * s[:, None, None] * slope
    size = np.abs(expected).max()
    assert np.abs(expected - flow.time * (2 * (eta - 1))[:, None, None] * slope).max() > 0.1 * size
    assert_allclose(flow.correction, expected, atol=3e-3 * size)
    assert_allclose(
        flow.metric, start - np.einsum("ab,bij->aij", kernel, flow.correction), rtol=1e-11, atol=1e-12
    )


@pytest.mark.slow
@pytest.mark.usefixtures("single_steps")
def test_no_step_changes_a_metric_by_more_than_asked(setting):
    kernel, start, omega = setting
    metrics = [np.asarray(start)]
    for steps in range(1, 7):
        flow = flows.kernel_flow(kernel, start, omega, 0.5 * KAPPA, largest_change=0.03, max_steps=steps)
        metrics.append(np.asarray(flow.metric))
    root = np.linalg.inv(np.linalg.cholesky(metrics[:-1]))
    change = root @ np.diff(metrics, axis=0) @ root.conj().swapaxes(2, 3)
    largest = np.linalg.norm(change, axis=(2, 3)).max(axis=1)
    assert np.all(largest <= 0.03 + 1e-12)
    assert np.all(largest > 0.015)


def test_corrections_predict_the_train_metrics_and_leave_far_points_alone(setting):
    kernel, start, omega = setting
    flow = flows.kernel_flow(kernel, start, omega, KAPPA)
    again = flows.predict(kernel, start, flow)
    assert_allclose(again.metric, flow.metric, atol=1e-12)
    assert jnp.all(again.positive)
    far = flows.predict(jnp.zeros((1, 15)), start[:1], flow)
    assert_allclose(far.metric, start[:1], atol=0)


def test_prediction_tells_where_it_is_no_metric(setting):
    kernel, start, omega = setting
    flow = flows.kernel_flow(kernel, start, omega, 0.3 * KAPPA)
    amplified = [flows.predict(factor * kernel, start, flow) for factor in np.geomspace(1, 50, 12)]
    eigenvalues = np.linalg.eigvalsh(np.stack([a.metric for a in amplified]))
    assert np.any((eigenvalues[..., 0] < 0) & (eigenvalues[..., -1] > 0))
    assert_array_equal(np.stack([a.positive for a in amplified]), eigenvalues[..., 0] > 0)


def test_a_kernel_that_is_not_positive_is_told(setting):
    _, start, omega = setting
    flow = flows.kernel_flow(-jnp.eye(15), start, omega, KAPPA)
    assert flow.status.startswith("stopped")
    assert "not positive on its gradient" in flow.status
    assert_allclose(flow.metric, start)


@pytest.mark.slow
def test_a_flow_that_must_leave_the_cone_says_so():
    """A constant kernel subtracts one matrix from all: the smallest metric stops the others."""
    start = jnp.stack([jnp.eye(2), 0.05 * jnp.eye(2)]).astype(complex)
    flow = flows.kernel_flow(jnp.ones((2, 2)), start, jnp.ones(2, complex), 1e-4)
    assert "edge of the positive cone" in flow.status
    assert flow.smallest_eigenvalue < 1e-4


def test_a_step_that_leaves_the_cone_is_not_taken_though_it_lowers_the_loss():
    """det(-g) = det g for 2 x 2 matrices: the loss alone would let the smaller metric change its sign."""
    start = jnp.stack([jnp.eye(2), 0.05 * jnp.eye(2)]).astype(complex)
    flow = flows.kernel_flow(jnp.ones((2, 2)), start, jnp.ones(2, complex), 1e-4, largest_change=1e3)
    assert flow.smallest_eigenvalue > 0
    assert np.linalg.eigvalsh(flow.metric).min() > 0


def test_a_flow_stops_at_its_goal_and_not_at_the_end_of_a_block(setting):
    kernel, start, omega = setting
    flow = flows.kernel_flow(kernel, start, omega, 0.5 * KAPPA, goal=0.3)
    reached = flow.loss <= 0.3 * flow.loss[0]
    assert flow.status == "reached its goal"
    assert_array_equal(reached[:-1], False)
    assert reached[-1]
    assert (len(flow.loss) - 1) % 20 > 0
    assert flow.loss[-1] > 0.2 * flow.loss[0]


def test_a_spent_budget_is_told(setting):
    kernel, start, omega = setting
    assert (
        flows.kernel_flow(kernel, start, omega, KAPPA, largest_change=1e-3, max_steps=20).status
        == "spent its 20 steps"
    )


def test_gradient_descent_takes_the_steps_of_the_dense_formula(setting):
    kernel, start, omega = setting
    flow = flows.gradient_descent(kernel, start, omega, KAPPA, learning_rate=1e-4, steps=3)
    g = start
    for _ in range(3):
        g = g + 1e-4 * slow_velocity(kernel, g, omega, KAPPA, energies.absolute)
    assert_allclose(flow.metric, g, rtol=1e-10, atol=1e-12)
    assert_allclose(flows.predict(kernel, start, flow).metric, g, rtol=1e-10, atol=1e-12)
    assert_allclose(flow.time, 3e-4)
    assert flow.status == "took its 3 steps"


def test_gradient_descent_tells_where_it_leaves_the_cone_or_raises_the_loss(setting):
    kernel, start, omega = setting
    flow = flows.gradient_descent(kernel, start, omega, KAPPA, learning_rate=1.0, steps=5)
    assert flow.status.startswith("left the positive cone at step 1")
    flow = flows.gradient_descent(-kernel, start, omega, KAPPA, learning_rate=1e-3, steps=2)
    assert "raised the loss" in flow.status


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda k, g, o: (k.at[0, 0].set(jnp.nan), g, o, 1.0), "1 entries of the kernel"),
        (lambda k, g, o: (k, g.at[4].set(jnp.inf), o, 1.0), "9 entries of the start metric"),
        (lambda k, g, o: (k, g.at[4].set(jnp.diag(jnp.array([1, 1, -1]))), o, 1.0), "1 of 15 start metrics"),
        (lambda k, g, o: (k, g, o, 0.0), "kappa"),
    ],
)
def test_bad_input_is_refused_with_what_came(setting, spoil, message):
    with pytest.raises(ValueError, match=message):
        flows.kernel_flow(*spoil(*setting))
    with pytest.raises(ValueError, match=message):
        flows.gradient_descent(*spoil(*setting), learning_rate=0.1, steps=1)


def test_shapes_that_do_not_fit_are_refused_without_the_type_checker(setting):
    kernel, start, omega = setting
    with pytest.raises(ValueError, match=r"kernel \(3, 15\) and Omega \(15,\) for 15 train points"):
        flows._check(kernel[:3], start, omega, 1.0)
    with pytest.raises(ValueError, match=r"Omega \(2,\)"):
        flows._check(kernel, start, omega[:2], 1.0)


def test_steps_that_lead_nowhere_are_refused(setting):
    kernel, start, omega = setting
    for options in (
        {"largest_change": 0.0},
        {"largest_change": float("nan")},
        {"max_steps": 0},
        {"iterations": 0},
    ):
        with pytest.raises(ValueError, match="largest_change"):
            flows.kernel_flow(kernel, start, omega, KAPPA, **options)
    for rate, steps in ((0.0, 1), (float("nan"), 1), (0.1, 0)):
        with pytest.raises(ValueError, match="learning_rate"):
            flows.gradient_descent(kernel, start, omega, KAPPA, learning_rate=rate, steps=steps)
