"""Array types with their axes, so that a signature says what its docstring need not.

Axes: ``points`` a sample; ``lines`` the random lines it was cut out by; ``hom`` homogeneous coordinates of
P^n (n + 1 of them); ``dim`` local coordinates of the variety; a second one of the same kind ends in ``2``.
Shapes are checked at run time in the tests and notebooks (jaxtyping with beartype), and cost nothing
elsewhere.
"""

from jaxtyping import Array, Bool, Complex, Float, Int, PRNGKeyArray, PyTree, Shaped

__all__ = ["Array", "Bool", "Complex", "Float", "Int", "PRNGKeyArray", "PyTree", "Shaped"]
