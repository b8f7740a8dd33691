"""What a chapter finds about the claims of the paper: each finding has a verdict and the checks behind it.

A chapter ends with `table`, which shows its findings and hands them to the book's ledger. A finding without a
check is refused, and at the paper's scale one whose check fails stops the notebook, and with it the book.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from mfcore.profile import profile

Verdict = Literal[
    "reproduced",
    "reproduced under a stated reading",
    "not reproduced",
    "misprint",
    "not decided",
    "found here",
]
KEY = "mfcore_findings"  # under which the output's metadata hold the findings, for the book to read


class Finding(NamedTuple):
    """One row: a claim of the paper and what the chapter computed about it.

    ``claim`` is its number in ``book/claims.yml`` (T1, N7, B3), or "" for what the paper has not; then
    the verdict is "found here". ``paper`` and ``here`` are Markdown. ``checks`` says in words what was
    checked, and whether it held.
    """

    claim: str
    paper: str
    verdict: Verdict
    here: str
    checks: Mapping[str, bool]


class Table:
    """Findings as Jupyter shows them: a table for readers, and the rows as data for the ledger."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        seen = Counter()
        self.rows: list[dict[str, Any]] = []
        for finding in findings:
            _refuse(finding)
            seen[finding.claim] += 1
            name = f"claim-{finding.claim.lower() or 'c'}"
            anchor = name if seen[finding.claim] == 1 else f"{name}-{seen[finding.claim]}"
            checks = {words: bool(held) for words, held in finding.checks.items()}
            words = {k: " ".join(getattr(finding, k).split()) for k in ("claim", "paper", "verdict", "here")}
            self.rows.append({**words, "checks": checks, "anchor": anchor, "profile": profile()})

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        from mfcore import figures  # here, for it brings matplotlib

        cells = [
            (f'<span id="{r["anchor"]}">{r["claim"]}</span>', r["paper"], r["here"], r["verdict"])
            for r in self.rows
        ]
        text = figures.markdown_table(("claim", "the paper", "computed here", "verdict"), cells)
        return {"text/markdown": text, "text/plain": text}, {KEY: self.rows}


def table(findings: Sequence[Finding]) -> Table:
    """The findings of a chapter, for its last cell to show.

    Raises ValueError for a finding that nothing checks or that has a verdict unknown to the book, and
    AssertionError for one whose check fails at the paper's scale.
    """
    return Table(findings)


def _refuse(finding: Finding) -> None:
    where = f"finding {finding.claim or finding.paper!r}"
    if finding.verdict not in get_args(Verdict):
        raise ValueError(f"{where} has the verdict {finding.verdict!r}; use one of {get_args(Verdict)}.")
    if bool(finding.claim) == (finding.verdict == "found here"):
        raise ValueError(
            f"{where}: {finding.verdict!r}; a claim of the paper gets one of its verdicts, what the paper "
            "has not ('' as its number) is 'found here'."
        )
    if not finding.checks:
        raise ValueError(f"{where} has no check; say what was computed, and whether it holds.")
    # At a small scale numbers are rough: there the cells must only run.
    failed = [words for words, held in finding.checks.items() if not held]
    if failed and profile() == "paper":
        raise AssertionError(f"{where}: {finding.verdict}, but this does not hold: {'; '.join(failed)}")
