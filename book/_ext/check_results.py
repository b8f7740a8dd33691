"""Whether the stored results, whose numbers stand on the pages, still belong to the code."""

from pathlib import Path

from mfcore.stored_results import is_current, load

STORED = Path(__file__).resolve().parents[1] / "results"


def stale_results(site: Path, stored: Path = STORED) -> list[str]:
    """Stored results whose code has changed since: their numbers stand on the pages, and may be wrong."""
    names = sorted(path.stem for path in stored.glob("*.json"))
    return [
        f"the stored result {name} is older than its code: python -m mfcore check {name} (or run {name})"
        for name in names
        if not is_current(load(name, stored))
    ]
