"""One page of the built site in the browser: its formulas, pictures, layouts, themes and weight."""

from typing import Any

from browser_session import DESKTOP, PHONE, STILL, Visit

LARGEST_PAGE = 5_000_000  # bytes
DARKEST_TEXT, LIGHTEST_GROUND = 0.4, 0.1  # relative luminance, of text and ground in the dark

FORMULAS = r"""() => {
  const main = document.querySelector("main") ?? document.body;
  const nodes = [...main.querySelectorAll(".math")].filter((node) => !node.closest(".tippy-box"));
  const set = [...main.querySelectorAll("mjx-container")].filter((node) => !node.closest(".tippy-box"));
  const own = (node) => set.filter((one) => node.contains(one)).length;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const code = "script, style, noscript, template, pre, code, textarea, mjx-container";
  const raw = [];
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (/\\[([]|\$\$|\\begin\{|Math input error/.test(data) && !parentElement.closest(code)) {
      raw.push(data.trim().slice(0, 60));
    }
  }
  return {
    nodes: nodes.length,
    set: set.length,
    wrong: nodes.filter((node) => own(node) !== 1).map((node) => node.textContent.trim().slice(0, 60)),
    errors: [...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(
      (node) => node.getAttribute("data-mjx-error") ?? node.title ?? node.textContent.slice(0, 60)),
    unseen: set.filter((one) => one.checkVisibility() && !one.getBoundingClientRect().width).length,
    raw,
  };
}"""
# Pictures that are told to load late are loaded when the page is read to its end.
READ_TO_THE_END = """async () => {
  if (!document.querySelector("img[loading=lazy]")) return;
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {
    scrollTo(0, y);
    await new Promise(requestAnimationFrame);
  }
  scrollTo(0, 0);
}"""
PICTURES = """async () => {
  const all = [...document.querySelectorAll("img[src]")];
  for (const image of all) image.loading = "eager";
  const late = new Promise((resolve) => setTimeout(resolve, 20000));
  const loaded = all.map((image) => image.complete || new Promise((resolve) => {
    image.addEventListener("load", resolve); image.addEventListener("error", resolve);
  }));
  await Promise.race([Promise.all(loaded), late]);
  const broken = all.filter((image) => !image.complete || !(image.naturalWidth > 0));
  return { count: all.length, broken: broken.map((image) => image.getAttribute("src")) };
}"""
DRAWINGS = """() => {
  const cards = [...document.querySelectorAll("figure.figure-card")];
  const seen = (root) => [...root.querySelectorAll("img")].filter((image) => image.checkVisibility());
  const address = (image) => image.currentSrc || image.src;
  return {
    theme: document.documentElement.dataset.theme,
    // In a box that is folded, nothing is seen.
    counts: cards.filter((card) => card.checkVisibility()).map((card) => [card.id, seen(card).length]),
    light: seen(document).filter((image) => image.matches(".only-light")).map(address),
    dark: seen(document).filter((image) => image.matches(".only-dark")).map(address),
  };
}"""
COLOURS = """() => {
  const light = (colour) => {
    const [red, green, blue] = colour.match(/[\\d.]+/g).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const text = document.querySelector("article, main") ?? document.body;
  return [light(getComputedStyle(text).color), light(getComputedStyle(document.body).backgroundColor)];
}"""
OVERFLOW = """() => {
  const room = document.documentElement.clientWidth;
  const wide = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - room;
  // What scrolls in its own box may be wider; what is cut off may not.
  const boxed = (element) => {
    for (let box = element.parentElement; box && box.tagName !== "MAIN"; box = box.parentElement) {
      if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return true;
    }
    return false;
  };
  const out = [...document.querySelectorAll("main *")].filter((element) =>
    !element.closest("mjx-container, svg") && element.getBoundingClientRect().right > room + 1
    && element.getBoundingClientRect().width > 1 && element.checkVisibility({ visibilityProperty: true })
    && !boxed(element));
  return { wide, out: out.slice(0, 3).map((element) => element.outerHTML.slice(0, 80)), many: out.length };
}"""
WEIGHT = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const parts = performance.getEntriesByType("resource");
  const sum = (key) => parts.reduce((total, part) => total + part[key], page[key]);
  return {
    bytes: sum("transferSize"),
    bytes_unpacked: sum("decodedBodySize"),
    requests: parts.length + 1,
    ready_ms: Math.round(page.domContentLoadedEventEnd),
    load_ms: Math.round(page.loadEventEnd),
    layout_shift: window.shifts.reduce((total, entry) => total + entry.value, 0),
  };
}"""


# A page is told of another colour scheme when it is next drawn, which a busy machine may put off.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


async def turn(visit: Visit, theme: Any) -> None:
    """The reader asks for the light or the dark theme."""
    await visit.page.emulate_media(color_scheme=theme)
    await visit.page.evaluate(DRAWN)


async def check_page(visit: Visit) -> dict[str, Any]:
    """All that can be seen from a page that was opened once; returns its figures."""
    await visit.page.evaluate(READ_TO_THE_END)
    figures = await weight(visit)
    await visit.page.add_style_tag(content=STILL)  # a panel on its way out is no overflow
    figures["formulas"] = await formulas(visit)
    figures["pictures"] = await pictures(visit)
    await drawings(visit, "light")
    await overflow(visit, DESKTOP)
    await overflow(visit, PHONE)
    await turn(visit, "dark")
    await overflow(visit, PHONE)
    await visit.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    await drawings(visit, "dark")
    await dark_colours(visit)
    return figures


async def weight(visit: Visit) -> dict[str, Any]:
    figures = await visit.page.evaluate(WEIGHT)
    if figures["bytes"] > LARGEST_PAGE:
        visit.fault(f"weighs {figures['bytes'] / 1e6:.1f} MB, more than {LARGEST_PAGE / 1e6:.0f}")
    return figures


async def formulas(visit: Visit) -> int:
    found = await visit.page.evaluate(FORMULAS)
    for text in found["wrong"]:
        visit.fault(f"a formula is not typeset: {text}")
    for text in found["errors"]:
        visit.fault(f"a formula has an error: {text}")
    for text in found["raw"]:
        visit.fault(f"TeX stands on the page as letters: {text}")
    if found["unseen"]:
        visit.fault(f"{found['unseen']} typeset formulas have no width")
    if found["nodes"] != found["set"]:
        visit.fault(f"{found['nodes']} formulas in the text, but {found['set']} typeset")
    return found["set"]


async def pictures(visit: Visit) -> int:
    found = await visit.page.evaluate(PICTURES)
    for source in found["broken"]:
        visit.fault(f"the picture {source} is not loaded")
    return found["count"]


async def drawings(visit: Visit, theme: str) -> None:
    """Every figure card shows one drawing, the one for this theme."""
    found = await visit.page.evaluate(DRAWINGS)
    if found["theme"] != theme:
        visit.fault(f"is {found['theme']!r} where the reader asks for {theme}")
    for card, count in found["counts"]:
        if count != 1:
            visit.fault(f"figure {card} shows {count} drawings on a {theme} page")
    for source in found["dark" if theme == "light" else "light"]:
        visit.fault(f"{source.rsplit('/', 1)[-1]} is shown on a {theme} page")


async def dark_colours(visit: Visit) -> None:
    text, ground = await visit.page.evaluate(COLOURS)
    if text < DARKEST_TEXT or ground > LIGHTEST_GROUND:
        visit.fault(f"in the dark, text of luminance {text:.2f} on a ground of {ground:.2f}")


async def overflow(visit: Visit, size: tuple[int, int]) -> None:
    """Nothing makes the page wider than the window, and nothing is cut off at its edge."""
    await visit.page.set_viewport_size({"width": size[0], "height": size[1]})
    found = await visit.page.evaluate(OVERFLOW)
    if found["wide"] > 0:
        visit.fault(f"is {found['wide']} pixels wider than a window of {size[0]}: {' '.join(found['out'])}")
    elif found["many"]:
        visit.fault(f"{found['many']} elements stick out of a window of {size[0]}: {' '.join(found['out'])}")
