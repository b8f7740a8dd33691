"""Metric flows with neural networks: the numerics behind the reproducible companion to arXiv:2310.19870.

A metric is a function of a point, so energies never know where it came from; geometry is an argument, so a
kernel takes a distance, and a flow takes a kernel and an energy. The modules stand on floors and import only
from lower ones; some of them, from the top::

    flows                              dg/dt = -sum Theta dl/dg with a frozen kernel
    energies, kernels                  losses of a metric; kernels of a pair of points
    sampling                           random points with patch, Jacobian, Omega and weight
    hypersurface                       the Dwork family: charts, Omega, volumes, projection onto it
    projective                         Fubini-Study geometry of P^n
    clustering, neighbours, figures,   each on arrays alone
        polynomials, proximal
    provenance                         where a number comes from; writing it safely
    profile                            how large a run is
    _typing                            array types

Import the module you need (``from mfcore import projective``). Importing ``mfcore`` itself loads none of
them, changes no setting and prints nothing.
"""

__version__ = "0.1.0"
