"""Runs too long for a notebook, one file each: ``python -m mfcore run NAME``."""

import importlib
import pkgutil

from mfcore.runner import Experiment


def names() -> list[str]:
    """The experiments there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def named(name: str) -> Experiment:
    """The experiment of this name."""
    if name not in names():
        raise ValueError(f"no experiment {name!r}; there are: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}").EXPERIMENT
