"""For a second environment, which need not repeat every case: ``pytest --once``, and the shorter ``--first``.

``--once``: of a parametrised test the first case runs, and what is marked slow does not; but of each file
something does, so that a new module is tested there too without being entered in a list. ``--first``: the
first of these in each file.
"""

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--once", action="store_true", help="the first case of each test that is not slow; of each file one"
    )
    parser.addoption("--first", action="store_true", help="the first test of each file")


# First: the files of which nothing is left are told apart before -m takes its share.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if not (config.getoption("--once") or config.getoption("--first")):
        return
    first_cases = list({item.nodeid.partition("[")[0]: item for item in reversed(items)}.values())[::-1]
    kept = [item for item in first_cases if not item.get_closest_marker("slow")]
    files = {item.path for item in kept}
    kept += {item.path: item for item in reversed(first_cases) if item.path not in files}.values()
    if config.getoption("--first"):
        order = {path: [item for item in kept if item.path == path] for path in {item.path for item in kept}}
        kept = [item for item in kept if item in order[item.path][:1]]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]
