r"""Docstrings as reStructuredText: formulas in plain letters stay as they are, names become links.

A docstring of ``mfcore`` is text for a reader of the source. Stars, bars and underscores in it are
mathematics, not markup. What means something is a `name` in single backquotes (an object of the package),
code in double ones, a *word* between stars, the number of an equation, (2.12) or paper 2.8, and an indented
block.
"""

import re
from collections.abc import Callable

PIECES = re.compile(
    r"``(?P<code>.+?)``|`(?P<name>[^`]+)`|(?<![\w*])\*(?P<stressed>[a-z]+)\*(?![\w*])", re.DOTALL
)
NUMBER = r"C?[1-9A-D][a-z]?(?:\.\d+[a-z]?)+"
IN_BRACKETS = re.compile(rf"\(({NUMBER})\)")
AFTER_PAPER = re.compile(rf"(?<=[Pp]aper)\s+{NUMBER}(?:(?:,|\s+and|-|,\s+and)\s*{NUMBER})*")
ENUMERATOR = re.compile(r"^(\s*)(\(?(?:\d+|[A-Za-z]|[ivxlcdm]+)[.)]\s)")
MARKUP = re.compile(r"([\\*|_`])")
EDGE = r"\ "  # lets markup touch letters


def as_rst(text: str, link: Callable[[str], str]) -> str:
    """The text with its markup spelt out; ``link`` makes a name in backquotes into markup."""
    blocks, literal = [], False
    for block in re.split(r"\n\s*\n", text):
        if literal and block.startswith(" "):
            blocks.append(block)
        else:
            blocks.append(ENUMERATOR.sub(r"\1\\\2", _inline(block, link)))
            literal = block.endswith("::")
    return "\n\n".join(blocks)


def first_paragraph(text: str) -> str:
    return text.split("\n\n", 1)[0].replace("\n", " ")


def _inline(block: str, link: Callable[[str], str]) -> str:
    parts, end = [], 0
    for found in PIECES.finditer(block):
        parts.append(_plain(block[end : found.start()]))
        if found["code"]:
            parts.append(_marked(f"``{found['code']}``"))
        elif found["name"]:
            parts.append(_marked(link(found["name"])))
        else:
            parts.append(_marked(f"*{found['stressed']}*"))
        end = found.end()
    return "".join([*parts, _plain(block[end:])])


def escaped(text: str) -> str:
    return MARKUP.sub(r"\\\1", text)


def _plain(text: str) -> str:
    text = escaped(text)
    text = AFTER_PAPER.sub(lambda found: re.sub(NUMBER, lambda n: _equation(n[0], n[0]), found[0]), text)
    return IN_BRACKETS.sub(lambda found: _equation(found[0], found[1]), text)


def _equation(shown: str, number: str) -> str:
    return _marked(f":equation-number:`{shown} <{number}>`")


def _marked(markup: str) -> str:
    return f"{EDGE}{markup}{EDGE}"
