"""Text as it is printed: 2e-08 as 2 × 10⁻⁸, a hyphen before a digit as a minus sign; marks stay at formulas.

Cells write numbers as Python does. Code and formulas keep what they have. Between a formula and the comma
behind it browsers break the line; a frame around both forbids it.
"""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# One digit before the point, as Python prints it: the hash 86666019e3 is no number.
POWER = re.compile(r"(?<![\w.])([-+]?\d(?:\.\d+)?)e([-+]?\d{1,3})(?![\w.]*\w)")
MINUS = re.compile(r"(?:(?<=^)|(?<=[\s(±,;]))-(?=\d)")
MARK = re.compile(r"[.,;:!?)]+")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
CODE = (nodes.literal, nodes.literal_block, addnodes.desc_signature)
AS_THEY_ARE = (*CODE, nodes.math, nodes.math_block, nodes.raw, nodes.comment)


def typeset(text: str) -> str:
    """The same words with powers of ten and minus signs."""
    return MINUS.sub("\N{MINUS SIGN}", POWER.sub(power, text))


def power(found: re.Match[str]) -> str:
    times = "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}"
    mantissa, exponent = found[1], str(int(found[2])).translate(RAISED)
    if float(mantissa) == 0:
        return "0"
    return f"10{exponent}" if mantissa == "1" else f"{mantissa}{times}10{exponent}"


class TypesetNumbers(SphinxPostTransform):
    default_priority = 900  # after the numbers that cells have glued are in their places

    def run(self, **_: Any) -> None:
        set_numbers(self.document)


def set_numbers(node: nodes.Element) -> None:
    for place, child in enumerate(node.children):
        if isinstance(child, nodes.Text):
            if (new := typeset(child)) != child:
                node[place] = nodes.Text(new)
        elif isinstance(child, nodes.Element) and not isinstance(child, AS_THEY_ARE):
            set_numbers(child)


class MarksStay(SphinxPostTransform):
    default_priority = 910

    def run(self, **_: Any) -> None:
        for formula in list(self.document.findall(nodes.math)):
            siblings = formula.parent.children
            place = siblings.index(formula)
            after = siblings[place + 1] if place + 1 < len(siblings) else None
            if isinstance(after, nodes.Text) and (found := MARK.match(after)):
                both = nodes.inline("", "", formula, nodes.Text(found[0]), classes=["with-mark"])
                both.parent, siblings[place] = formula.parent, both
                siblings[place + 1] = nodes.Text(after.astext()[found.end() :])
                siblings[place + 1].parent = both.parent
                formula.parent = both


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(TypesetNumbers)
    app.add_post_transform(MarksStay)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
