import jax.numpy as jnp
import pytest

from mfcore import claims


def finding(**changes):
    return claims.Finding("T1", "slope 2", "reproduced", "slope 1.998", {"slope within 0.1": True})._replace(
        **changes
    )


def test_rows_are_shown_and_handed_on():
    rows = [finding(), finding(here="a\n  second  time"), finding(claim="", verdict="found here")]
    shown, metadata = claims.table(rows)._repr_mimebundle_()
    handed = metadata[claims.KEY]
    assert [row["anchor"] for row in handed] == ["claim-t1", "claim-t1-2", "claim-c"]
    assert handed[1]["here"] == "a second time"
    assert handed[0]["checks"] == {"slope within 0.1": True}
    lines = shown["text/markdown"].splitlines()
    assert len(lines) == 5
    assert '<span id="claim-t1-2">T1</span>' in lines[3]
    assert lines[3].endswith("| reproduced |")


def test_a_check_that_fails_stops_the_notebook(monkeypatch):
    failing = finding(checks={"slope within 0.1": True, "on every manifold": jnp.array(1.0) > 2})
    monkeypatch.setenv("MFCORE_PROFILE", "paper")
    with pytest.raises(AssertionError, match="does not hold: on every manifold"):
        claims.table([failing])
    monkeypatch.setenv("MFCORE_PROFILE", "quick")
    (row,) = claims.table([failing]).rows
    assert row["checks"] == {"slope within 0.1": True, "on every manifold": False}
    assert row["profile"] == "quick"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"checks": {}}, "no check"),
        ({"verdict": "true"}, "use one of"),
        ({"verdict": "found here"}, "gets one of its verdicts"),
        ({"claim": ""}, "gets one of its verdicts"),
    ],
)
def test_refuses(change, words):
    with pytest.raises(ValueError, match=words):
        claims.table([finding(**change)])
