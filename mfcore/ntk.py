r"""The empirical metric-NTK of any metric with parameters, and the flow that it drives (paper section 2.1).

A metric is a function (params, x) -> g_ij(x). ``params`` is any tree, an Equinox module say; its
floating-point arrays are the parameters theta_I, the rest is fixed. A point x is an array, or a tree of them
(coordinates and the name of their chart).

Derivatives by a symmetric matrix: delta l / delta g_kl is the symmetric G with dl = sum_kl G_kl dg_kl, summed
over all k and l. So an off-diagonal G_kl is half of the derivative by the one number g_kl = g_lk.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from mfcore._typing import Array, Float

Metric = Callable[[Any, Any], Array]


def parameter_jacobian(metric: Metric, params: Any, x: Any) -> Float[Array, "dim dim2 params"]:
    """d g_ij(x) / d theta_I, the parameters in the order of `jax.flatten_util.ravel_pytree`."""
    trained, fixed = eqx.partition(params, eqx.is_inexact_array)
    theta, unravel = ravel_pytree(trained)
    return jax.jacrev(lambda theta: metric(eqx.combine(unravel(theta), fixed), x))(theta)


@eqx.filter_jit
def metric_ntk(metric: Metric, params: Any, x: Any, y: Any) -> Float[Array, "dim dim dim dim"]:
    """Theta_ijkl(x, y) = sum_I d_I g_ij(x) d_I g_kl(y): the metric-NTK of one pair of points (paper 2.7)."""
    at_x, at_y = (parameter_jacobian(metric, params, point) for point in (x, y))
    return jnp.einsum("ijp,klp->ijkl", at_x, at_y)


@eqx.filter_jit
def gram_tensor(
    metric: Metric, params: Any, xs: Any, ys: Any
) -> Float[Array, "points train dim dim dim dim"]:
    """`metric_ntk` of all pairs of two stacks of points. Holds the Jacobians of all points at once."""
    at_x, at_y = (jax.vmap(lambda x: parameter_jacobian(metric, params, x))(points) for points in (xs, ys))
    return jnp.einsum("aijp,bklp->abijkl", at_x, at_y)


def gram_matrix(tensor: Float[Array, "points train dim dim dim dim"]) -> Float[Array, "rows columns"]:
    """The tensor as a matrix: a row for each (x, i, j), a column for each (y, k, l), in this order."""
    points, train, dim = tensor.shape[:3]
    return tensor.transpose(0, 2, 3, 1, 4, 5).reshape(points * dim**2, train * dim**2)


def transform(
    kernel: Float[Array, "dim dim dim dim"], at_x: Float[Array, "dim dim"], at_y: Float[Array, "dim dim"]
) -> Float[Array, "dim dim dim dim"]:
    """The kernel in new coordinates: Theta'_ijkl = A_ai A_bj B_ck B_dl Theta_abcd (below paper 2.7).

    A = ``at_x`` and B = ``at_y`` are the Jacobians d(old)/d(new) at the first and at the second point.
    """
    return jnp.einsum("abcd,ai,bj,ck,dl->ijkl", kernel, at_x, at_x, at_y, at_y)


def loss_derivative(loss: Callable[[Array], Array], g: Float[Array, "dim dim"]) -> Float[Array, "dim dim"]:
    """delta l / delta g_kl of a pointwise loss, the symmetric one (see the top of this module)."""
    gradient = jax.grad(loss)(g)
    return (gradient + gradient.T) / 2


@eqx.filter_jit
def flow_velocity(
    metric: Metric,
    params: Any,
    targets: Any,
    batch: Any,
    derivatives: Float[Array, "train dim dim"],
    weights: Float[Array, " train"],
) -> Float[Array, "points dim dim"]:
    r"""dg_ij(x)/dt = -sum_b w_b Theta_ijkl(x, x_b) delta l / delta g_kl(x_b) at all targets (paper 2.8).

    ``weights`` all 1 for a batch, the quadrature weights of d mu for an integral. Matrix-free: the sum over b
    is one pullback to the parameters, Theta applied to it one push-forward; no kernel entry is formed.
    """
    trained, fixed = eqx.partition(params, eqx.is_inexact_array)

    def on(points: Any) -> Callable[[Any], Array]:
        return lambda trained: jax.vmap(lambda x: metric(eqx.combine(trained, fixed), x))(points)

    _, pullback = jax.vjp(on(batch), trained)
    (gradient,) = pullback(weights[:, None, None] * derivatives)
    _, velocity = jax.jvp(on(targets), (trained,), (gradient,))
    return -velocity
