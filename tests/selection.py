"""How the tests are shared out between two environments: ``pytest --share locked`` and ``--share newest``.

Files take turns, in the order of their names, so that each runs in one of the two. Those that compare with
neural-tangents or test the book stay with the locked versions, for only they have what it needs, and so do
the stored results, which came from them. ``--once`` is for running everything in the second, too, which need
not repeat every case: of a parametrised test the first runs, and what is marked slow does not; but of each
file something does.
"""

import pytest

SHARES = ("locked", "newest")
ONLY_LOCKED = ("neural_tangents", "mark.book", "stored_results")  # words in a test file


def pytest_addoption(parser):
    parser.addoption("--share", choices=SHARES, help="every other file: those for this environment")
    parser.addoption(
        "--once", action="store_true", help="the first case of each test that is not slow; of each file one"
    )


# First: the files of which nothing is left are told apart before -m takes its share.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    kept = list(items)
    if config.getoption("--share"):
        paths = _share(sorted({item.path for item in items}))[config.getoption("--share")]
        kept = [item for item in kept if item.path in paths]
    if config.getoption("--once"):
        kept = _once(kept)
    chosen = set(kept)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = [item for item in items if item in chosen]


def _share(paths):
    locked = {path for path in paths if any(word in path.read_text() for word in ONLY_LOCKED)}
    turns = [path for path in paths if path not in locked]
    return {"locked": locked | set(turns[::2]), "newest": set(turns[1::2])}


def _once(items):
    first_cases = list({item.nodeid.partition("[")[0]: item for item in reversed(items)}.values())[::-1]
    kept = [item for item in first_cases if not item.get_closest_marker("slow")]
    files = {item.path for item in kept}
    return kept + list({item.path: item for item in reversed(first_cases) if item.path not in files}.values())
