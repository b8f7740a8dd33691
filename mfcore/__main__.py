"""``python -m mfcore run NAME`` runs an experiment, ``check NAME`` a part again, ``results`` lists all."""

import argparse
import sys

from mfcore import experiments, runner


def main() -> int:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m mfcore", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run what is missing of an experiment, and store its results")
    run.add_argument("name", choices=experiments.names())
    run.add_argument("--scheduler", help="address of a Dask scheduler, such as tcp://host:8786")
    run.add_argument("--workers", type=int, help="processes on this machine; one a core by default")
    check = commands.add_parser("check", help="run some stored trials again, and note that they agree")
    check.add_argument("name", choices=experiments.names())
    check.add_argument("--trials", type=int, default=20, help="how many, spread evenly")
    commands.add_parser("results", help="list the experiments, and whether their stored results are current")
    asked = parser.parse_args()
    if asked.command == "run":
        path = runner.run(experiments.named(asked.name), scheduler=asked.scheduler, workers=asked.workers)
        print(f"wrote {path}")
    elif asked.command == "check":
        path = runner.check(experiments.named(asked.name), asked.trials)
        print(f"{asked.trials} trials agree; noted in {path}")
    else:
        for name in experiments.names():
            print(_line(name))
    return 0


def _line(name: str) -> str:
    about = f"{name:24} {experiments.named(name).about} ({experiments.named(name).cost})"
    try:
        results = runner.load(name)
    except ValueError as error:
        return f"{about}\n{'':24} none: {error}"
    state = "current" if runner.is_current(results) else "STALE: the code has changed since"
    source, count = results.provenance, len(results.trials)
    return f"{about}\n{'':24} {state}; {count} trials, {source['date'][:10]}, commit {source['commit'][:10]}"


if __name__ == "__main__":
    sys.exit(main())
