import drawn
import jax
import jax.numpy as jnp
from numpy.testing import assert_allclose

from mfcore import symmetric_inputs, training
from mfcore.hypersurface import Dwork
from mfcore.kaehler_networks import invariants, invariants_jet

QUINTIC = Dwork()


def test_the_inputs_see_neither_scaling_nor_roots_of_unity_but_tell_other_points_apart():
    z = drawn.points(QUINTIC, 5).z
    roots = jnp.exp(2j * jnp.pi * jnp.array([0, 1, 3, 2, 4]) / 5)
    inputs = jax.vmap(symmetric_inputs.fermat_invariants)
    assert inputs(z).shape == (5, 25)
    assert_allclose(inputs((1 + 2j) * z * roots), inputs(z), atol=1e-13)
    assert jnp.max(jnp.abs(inputs(z))) <= 1
    # Turned by anything else they move, where the products that stand in them are not small.
    turned = z * jnp.exp(1j * jnp.array([0, 0.2, 0, 0, 0]))
    assert jnp.all(jnp.linalg.norm(inputs(turned) - inputs(z), axis=1) > 1e-8)


def test_jets_are_those_carried_by_hand():
    sample = drawn.points(QUINTIC, 4)
    by_autodiff = jax.vmap(lambda z, j: symmetric_inputs.jet_of(invariants, z, j))(sample.z, sample.jacobian)
    assert_allclose(by_autodiff, jax.vmap(invariants_jet)(sample.z, sample.jacobian), atol=1e-12)


def test_points_differ_from_the_others_in_their_inputs_alone():
    sample = drawn.points(QUINTIC, 6)
    kappa = training.exact_kappa(QUINTIC)
    ours, others = symmetric_inputs.frame_points(sample, kappa), training.frame_points(sample, kappa)
    assert_allclose(ours.eta, others.eta)
    assert_allclose(ours.weight, others.weight)
    assert_allclose(ours.jet[:, 0], jax.vmap(symmetric_inputs.fermat_invariants)(sample.z))
    assert ours.jet.shape == others.jet.shape
