"""How large a run is: the paper's scale, or a small one for tests and edit loops.

The environment variable ``MFCORE_PROFILE`` decides, and is read at each call. Unset or empty means ``paper``.
"""

import os
from typing import TypeVar

PROFILES = ("quick", "paper")

T = TypeVar("T")


def profile() -> str:
    """The profile of this run, ``quick`` or ``paper``."""
    name = os.environ.get("MFCORE_PROFILE") or "paper"
    if name not in PROFILES:
        raise ValueError(
            f"MFCORE_PROFILE is {name!r}, but must be one of {', '.join(PROFILES)}; "
            "set it to one of them, or unset it for the paper's scale."
        )
    return name


def pick(*, quick: T, paper: T) -> T:
    """The value that belongs to the profile of this run: ``n_points = pick(quick=100, paper=1000)``."""
    return {"quick": quick, "paper": paper}[profile()]
