"""The built site for readers who see little or use no mouse: what axe finds, and where the Tab key goes."""

from typing import Any

from axe_playwright_python.async_playwright import Axe
from browser_session import STILL, Session, Visit

MOST_STOPS = 1500  # of the Tab key on one page
GRAVE = ("serious", "critical")
# Glyphs of typeset formulas are hidden from screen readers, which get MathML; axe would look at each.
AXE = ({"exclude": [["mjx-math"]]}, {"resultTypes": ["violations"], "preload": False})
# Where the focus is after a press of Tab, and whether what had it before looks different without it.
STOP = """() => {
  const look = (element) => {
    const around = [element, element.parentElement].filter(Boolean);
    return around.map((one) => {
      const style = getComputedStyle(one);
      return [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow, style.borderColor,
        style.backgroundColor, style.textDecoration, style.color, style.opacity].join();
    }).join();
  };
  const before = window.lastStop;
  const same = before && before.element.isConnected && look(before.element) === before.look;
  const element = document.activeElement;
  if ([null, document.body, document.documentElement].includes(element)) return { same, end: true };
  const box = element.getBoundingClientRect();
  const place = before ? before.element.compareDocumentPosition(element) : 0;
  window.lastStop = { element, look: look(element) };
  return {
    same,
    turned: Boolean(place & Node.DOCUMENT_POSITION_PRECEDING),
    seen: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0
      && box.left < innerWidth && box.top < innerHeight,
    text: element.outerHTML.slice(0, 90),
    kind: element.closest(".skip-link") ? "skip link"
      : element.matches("[class*=search-button], input[type=search]") ? "search"
      : element.closest("nav.bd-links") ? "navigation"
      : element.closest(".figure-card-files") ? "downloads" : "",
  };
}"""


async def check_axe(visit: Visit, theme: str) -> dict[str, int]:
    """What axe finds in this page as it stands; grave faults are ours."""
    found = (await Axe().run(visit.page, *AXE)).response["violations"]
    for violation in found:
        if violation["impact"] in GRAVE:
            first = violation["nodes"][0]
            visit.fault(
                f"axe, {theme}: {violation['id']} ({violation['impact']}, {len(violation['nodes'])} times), "
                f"such as {first['html'][:120]}: {' '.join(first['failureSummary'].split())[:160]}"
            )
    return {violation["id"]: len(violation["nodes"]) for violation in found}


async def check_keyboard(session: Session, name: str, expected: tuple[str, ...]) -> int:
    """The Tab key reaches all that is expected, in the order of the page, and shows where it is."""
    async with session.visit(name) as visit:
        await visit.page.add_style_tag(content=STILL)
        stops = await walk(visit)
        kinds = [stop["kind"] for stop in stops]
        for kind in expected:
            if kind not in kinds:
                visit.fault(f"the Tab key does not reach the {kind}")
        firsts = [kinds.index(kind) for kind in expected if kind in kinds]
        if firsts != sorted(firsts) or 0 not in firsts:
            visit.fault(f"the Tab key does not go in the order {', '.join(expected)}")
        if "skip link" in kinds:
            await skip(visit)
    return len(stops)


async def walk(visit: Visit) -> list[dict[str, Any]]:
    stops: list[dict[str, Any]] = []
    while len(stops) < MOST_STOPS:
        await visit.page.keyboard.press("Tab")
        stop = await visit.page.evaluate(STOP)
        if stops and stop["same"]:
            visit.fault(f"no focus is to be seen on {stops[-1]['text']}")
        if stop.get("end") or (stops and stop["text"] == stops[0]["text"] and stop["turned"]):
            return stops
        if stop["turned"]:
            visit.fault(f"the Tab key goes back up the page, to {stop['text']}")
        if not stop["seen"]:
            visit.fault(f"the focus goes to what is not seen: {stop['text']}")
        stops.append(stop)
    visit.fault(f"the Tab key stops more than {MOST_STOPS} times")
    return stops


async def skip(visit: Visit) -> None:
    await visit.page.locator(".skip-link a").focus()
    await visit.page.keyboard.press("Enter")
    await visit.page.keyboard.press("Tab")
    if not await visit.page.evaluate("!!document.activeElement.closest('main')"):
        visit.fault("the skip link does not lead into the text")
