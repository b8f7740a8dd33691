import pytest

from mfcore.profile import pick, profile


def test_the_paper_is_the_default(monkeypatch):
    monkeypatch.delenv("MFCORE_PROFILE", raising=False)
    assert profile() == "paper"
    monkeypatch.setenv("MFCORE_PROFILE", "")
    assert profile() == "paper"


def test_the_variable_is_read_at_each_call(monkeypatch):
    monkeypatch.setenv("MFCORE_PROFILE", "quick")
    assert (profile(), pick(quick=1, paper=2)) == ("quick", 1)
    monkeypatch.setenv("MFCORE_PROFILE", "paper")
    assert (profile(), pick(quick=1, paper=2)) == ("paper", 2)


@pytest.mark.parametrize("call", [profile, lambda: pick(quick=1, paper=2)])
def test_an_unknown_profile_is_refused(monkeypatch, call):
    monkeypatch.setenv("MFCORE_PROFILE", "papr")
    with pytest.raises(ValueError, match="'papr'.*quick, paper"):
        call()
