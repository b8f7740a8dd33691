"""Print time, peak memory and ratios of `mfcore` against stated baselines, all measured in this one run.

``python -m benchmarks`` takes about three minutes. Each measurement has a process of its own; its peak memory
is the largest resident size of that process, with the interpreter, the libraries and the input in it. Nothing
is asserted: times differ between machines, ratios less.
"""

import json
import os
import resource
import subprocess
import sys

import numpy as np

Numbers = dict


def main() -> None:
    """Measure everything and print the tables."""
    if len(sys.argv) == 3 and sys.argv[1] == "--one":
        return _one(sys.argv[2])
    _heading()
    _sampling()
    _neighbours()
    _flow()
    _product()
    _library()
    _training()
    return None


def _sampling() -> None:
    from benchmarks.measurements import POINTS

    ours, theirs = _measure("sampling_mfcore"), _measure("sampling_companion")
    _table(
        f"{POINTS:,} points of the quintic with line, patch, Jacobian, Omega and weight",
        {"mfcore.sampling, warm": ours, "numpy.linalg.eigvals of companion matrices": theirs},
        {
            "points/s": lambda row: f"{POINTS / row['seconds']:,.0f}",
            "|Q|": lambda row: f"{row['residual']:.1e}",
        },
    )
    print(f"  compiling took {ours['compile']:.2f} s more, once")
    difference = _measure("sampling_agreement")["difference"]
    print(f"  both give the same points on the same lines: largest difference in any field {difference:.1e}")


def _neighbours() -> None:
    from benchmarks.measurements import POINTS

    ours, theirs = _measure("neighbours_mfcore"), _measure("neighbours_brute_force")
    _table(
        f"Nearest neighbours of {POINTS:,} single-patch points in R^25",
        {"mfcore.neighbours": ours, 'scikit-learn, algorithm="brute", float64': theirs},
        {"mean distance": lambda row: f"{row['mean']:.5f}"},
    )
    print(f"  the points alone: {_measure('neighbours_data_only')['peak']:.0f} MB")
    print(f"  every neighbour the same: {'yes' if ours['index'] == theirs['index'] else 'NO'}")


def _flow() -> None:
    from benchmarks.measurements import TRAIN

    ours, theirs = _measure("flow_structured"), _measure("flow_dense")
    _table(
        f"One velocity of the kernel flow at {TRAIN:,} train points",
        {"mfcore.flows, N^2 kernel": ours, "the stored tensor of 81 N^2 entries": theirs},
        {},
    )
    _difference(ours, theirs)


def _product() -> None:
    from benchmarks.measurements import POINTS

    ours, theirs = _measure("product_mfcore"), _measure("product_numpy")
    _table(
        f"The kernel exp(-(2 d)^2) at {POINTS:,} points applied to 9 components, single precision",
        {"mfcore.kernel_products, warm": ours, "NumPy, same tiles (a tenth of the rows, x 10)": theirs},
        {},
    )
    _difference(ours, theirs)


def _library() -> None:
    from benchmarks.measurements import TRAIN

    ours, theirs = _measure("flow_matrix_free"), _measure("flow_of_library")
    _table(
        f"The flow of the squared loss at {TRAIN:,} points to a tenth of its start, compiling included",
        {"mfcore.flows, products only": ours, "neural_tangents.predict.gradient_descent": theirs},
        {},
    )
    _difference(ours, theirs)


def _training() -> None:
    ours = _measure("training_mfcore")
    for name, over in (("training_ambient", "10 homogeneous"), ("training_local", "6 local")):
        theirs = _measure(name)
        _table(
            "One step of Adam on 512 points, potential model 3 x 64, single precision",
            {"mfcore.training, warm": ours, f"jax.hessian over the {over} real coordinates": theirs},
            {"loss at the end": lambda row: f"{row['value'][-1]:.6f}"},
        )
        _difference(ours, theirs)


def _difference(ours: Numbers, theirs: Numbers) -> None:
    a, b = np.array(ours["value"]), np.array(theirs["value"])
    print(f"  largest relative difference {np.max(np.abs(a - b)) / np.max(np.abs(b)):.1e}")


def _measure(name: str) -> Numbers:
    command = [sys.executable, "-m", "benchmarks", "--one", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _one(name: str) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    from benchmarks.measurements import MEASUREMENTS

    numbers = MEASUREMENTS[name]()
    unit = 1e-6 if sys.platform == "darwin" else 1.024e-3
    print(json.dumps({**numbers, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}))


def _table(title: str, rows: dict[str, Numbers], more: dict) -> None:
    (_, ours), (_, baseline) = rows.items()
    print(f"\n{title}")
    print("  " + f"{'':46}{'seconds':>10}{'peak MB':>10}" + "".join(f"{name:>15}" for name in more))
    for label, row in rows.items():
        extra = "".join(f"{show(row):>15}" for show in more.values())
        print(f"  {label:46}{row['seconds']:10.3g}{row['peak']:10.0f}{extra}")
    speed, memory = baseline["seconds"] / ours["seconds"], baseline["peak"] / ours["peak"]
    print(f"  {'baseline / mfcore':46}{speed:10.1f}{memory:10.2f}")


def _heading() -> None:
    from mfcore import provenance

    device, versions, commit = provenance.device(), provenance.versions(), provenance.commit()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    print(f"{device['processor']}, {device['cores']} cores, {memory:.0f} GB, JAX on {device['jax_platform']}")
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    print(f"commit {commit['commit'][:12]} ({commit['tree']}); load {os.getloadavg()[0]:.1f} at the start")


if __name__ == "__main__":
    main()
