"""Experiments: runs too long for a notebook, made of trials that are kept one by one.

`run` hands the trials of an `Experiment` to Dask and writes each to disk as it ends, so that a killed run
goes on where it was. What it stores, `mfcore.stored_results` reads.
"""

import contextlib
import hashlib
import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from tqdm import tqdm

from mfcore import provenance
from mfcore.code_version import PACKAGE, code_version
from mfcore.stored_results import (
    STORED,
    Params,
    Trial,
    Values,
    agree,
    note_check,
    packed,
    save,
    unpacked,
)
from mfcore.stored_results import is_current as is_current
from mfcore.stored_results import load as load
from mfcore.stored_results import provenance_line as provenance_line

SCRATCH = PACKAGE.parent / "_build" / "experiments"

# What a trial may run into: it is kept, with its message. Anything else is a fault of the code, ends the run.
FAILURES = (ValueError, ArithmeticError, RuntimeError, np.linalg.LinAlgError)


# From the finished trials of a chain, in their order, to the next one; None at its end.
Propose: TypeAlias = Callable[[list[Trial]], Params | None]


class Experiment(NamedTuple):
    """Trials, each a deterministic function of its parameters, in chains that do not wait for each other.

    Within a chain a trial may depend on those before it, as in a search. ``sample`` are the parameters of one
    of the trials, cheap enough for the tests to compute again, and compare but for the values ``varying``
    names: times, memory, what rounding decides. ``total`` is the number of trials, for the progress bar,
    where it is not one a chain.
    """

    name: str
    about: str
    cost: str
    trial: Callable[[Params], Values]
    chains: Mapping[str, Propose]
    sample: Params
    total: int | None = None
    varying: tuple[str, ...] = ()


def independent(*params: Params) -> dict[str, Propose]:
    """A chain of one trial for each of these parameters."""

    def once(own: Params) -> Propose:
        return lambda done: None if done else own

    chains = {json.dumps(own, sort_keys=True): once(own) for own in params}
    if len(chains) != len(params):
        raise ValueError(f"{len(params)} trials, but only {len(chains)} different ones; name each once")
    return chains


def run(
    experiment: Experiment,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    stored: Path = STORED,
    scratch: Path = SCRATCH,
) -> Path:
    """Run the trials that are missing, and write ``stored``/NAME.json (and NAME.npz) when none is.

    ``scheduler`` is the address of a Dask scheduler (tcp://...); by default the cores of this machine work,
    one process each. Trials that ended before, under the same code, are not run again.
    """
    version = _version(experiment)
    folder = scratch / f"{experiment.name}-{version[:12]}"
    chains = _Chains(experiment.chains, _finished(experiment.name, version, folder, stored))
    waiting = chains.open()
    total = experiment.total or len(experiment.chains)
    with tqdm(total=total, initial=chains.length(), desc=experiment.name) as bar:
        for trial in _performed(experiment.trial, waiting, chains, scheduler, workers) if waiting else ():
            provenance.write_bytes(folder / f"{chains.add(trial)}.npz", packed(trial))
            bar.update()
    return save(experiment.name, chains.trials(), version, stored)


def check(experiment: Experiment, count: int, *, stored: Path = STORED) -> Path:
    """Run ``count`` finished trials of its stored result again, by the present code; note that they agree.

    For code that has changed without changing what it computes. The trials are spread evenly over all; one
    that does not `agree`, or that its chain no longer proposes, ends the check, and nothing is written.
    """
    name, results = experiment.name, load(experiment.name, stored)
    done = [old for old in results.trials if old.status == "done"]
    if not 1 <= count <= len(done):
        raise ValueError(f"{count} of {len(done)} finished trials: choose from 1 to all of them")
    chosen = [done[i] for i in np.linspace(0, len(done) - 1, count).astype(int)]
    for old in tqdm(chosen, desc=f"checking {name}"):
        if old.chain not in experiment.chains:
            raise ValueError(f"{name}: no chain {old.chain!r} any more; run the experiment again")
        chain = [trial for trial in results.trials if trial.chain == old.chain]
        place = next(i for i, trial in enumerate(chain) if trial is old)
        proposed = provenance.plain(experiment.chains[old.chain](chain[:place]))
        if proposed != old.params:
            raise ValueError(f"{name}: {old.params} was a trial, and now {proposed} is; run it again")
        again = perform(experiment.trial, old.chain, old.params)
        if not agree(old, again, experiment.varying):
            raise ValueError(f"{name}: the trial {old.params} gave {old.values}, and now {again.values}")
    return note_check(results, count, stored)


class _Chains:
    """The trials of each chain so far, and which comes next."""

    def __init__(self, propose: Mapping[str, Propose], finished: Mapping[str, Trial]) -> None:
        self.propose, self.finished = propose, finished
        self.done: dict[str, list[Trial]] = {chain: [] for chain in propose}

    def next(self, chain: str) -> Params | None:
        """Parameters of the first trial of the chain that is still to be run."""
        while (params := self.propose[chain](self.done[chain])) is not None:
            params = provenance.plain(params)
            old = self.finished.get(_key(chain, len(self.done[chain]), params))
            if old is None:
                return params
            self.done[chain].append(old)
        return None

    def open(self) -> dict[str, Params]:
        following = {chain: self.next(chain) for chain in self.propose}
        return {chain: params for chain, params in following.items() if params is not None}

    def add(self, trial: Trial) -> str:
        done = self.done[trial.chain]
        done.append(trial)
        return _key(trial.chain, len(done) - 1, trial.params)

    def trials(self) -> list[Trial]:
        return [trial for chain in self.done.values() for trial in chain]

    def length(self) -> int:
        return len(self.trials())


def _performed(
    trial: Callable[[Params], Values],
    waiting: Mapping[str, Params],
    chains: _Chains,
    scheduler: str | None,
    workers: int | None,
) -> Iterator[Trial]:
    from distributed import as_completed  # here, so that reading results needs no Dask

    with _client(scheduler, workers) as client:
        futures = as_completed(
            [client.submit(perform, trial, chain, params, pure=False) for chain, params in waiting.items()]
        )
        for future in futures:
            finished = future.result()
            yield finished
            following = chains.next(finished.chain)
            if following is not None:
                futures.add(client.submit(perform, trial, finished.chain, following, pure=False))


@contextlib.contextmanager
def _client(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with Client(scheduler) as client:
            yield client
        return
    # One core a process: left alone, every process would start a thread for every core.
    environment = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "TQDM_DISABLE": "1"}
    with (
        LocalCluster(
            n_workers=workers or provenance.device()["cores"],
            threads_per_worker=1,
            dashboard_address=":0",
            memory_limit=0,
            env=environment,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def perform(trial: Callable[[Params], Values], chain: str, params: Params) -> Trial:
    """One trial in this process, in float64; what it runs into is kept with it."""
    import jax

    jax.config.update("jax_enable_x64", True)
    start = time.perf_counter()
    try:
        values, status = {name: _plain(value) for name, value in trial(params).items()}, "done"
    except FAILURES as error:
        values, status = {}, f"failed: {type(error).__name__}: {error}"
    return Trial(chain, params, values, status, time.perf_counter() - start)


def _plain(value: Any) -> Any:
    if np.ndim(value) == 0:
        return provenance.plain(value)
    return np.asarray(value)


def _version(experiment: Experiment) -> str:
    module = experiment.trial.__module__
    if not module.startswith("mfcore."):
        # An experiment of a test, or of a reader: known by its own file.
        return provenance.sha256(inspect.getfile(experiment.trial))
    return code_version(module.removeprefix("mfcore."))


def _key(chain: str, place: int, params: Params) -> str:
    return hashlib.sha256(json.dumps([chain, place, params], sort_keys=True).encode()).hexdigest()[:24]


def _finished(name: str, version: str, folder: Path, stored: Path) -> dict[str, Trial]:
    """Trials of this version of the code, by their keys: those of a run cut short, and the stored ones."""
    found = {path.stem: unpacked(path) for path in folder.glob("*.npz")}
    if (stored / f"{name}.json").exists():
        results = load(name, stored)
        if results.provenance["code"] == version:
            places: dict[str, int] = {}
            for trial in results.trials:
                place = places[trial.chain] = places.get(trial.chain, -1) + 1
                found[_key(trial.chain, place, trial.params)] = trial
    return found
