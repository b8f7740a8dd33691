// What the printed book (book/_ext/print_book.py) asks of the browser. The pages of the site do not use this file.
"use strict";

const SMALLEST = 0.5; // of its size: smaller letters cannot be read
const TOLERANCE = 2; // pixels beyond the edge that no reader sees
const width = (element) => element.getBoundingClientRect().width;

// Formulas, letters and pictures are there.
async function typeset() {
  await MathJax.startup.promise;
  await document.fonts.ready;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
}

// Tables and formulas that are wider than their place get smaller.
function fit() {
  for (const table of document.querySelectorAll("section.chapter table")) {
    const share = width(table.parentElement) / Math.max(table.scrollWidth, width(table));
    if (share < 1) table.style.zoom = Math.max(SMALLEST, share * 0.995);
  }
  for (const formula of document.querySelectorAll('mjx-container[display="true"]')) {
    const number = formula.parentElement.querySelector(":scope > .eqno");
    const room = width(formula.parentElement) - (number ? width(number) + 12 : 0);
    const share = room / width(formula.querySelector("mjx-math"));
    const size = parseFloat(getComputedStyle(formula).fontSize);
    if (share < 1) formula.style.fontSize = `${Math.max(SMALLEST, share * 0.99) * size}px`;
  }
}

// What would be wrong on paper, in words.
function faults() {
  const found = [];
  const say = (element, what) => {
    const chapter = element.closest("section.chapter");
    const text = element.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
    found.push(`${chapter ? chapter.id : "front"}: ${what} ${text}`);
  };
  for (const math of document.querySelectorAll(".math")) {
    const error = math.querySelector("mjx-merror");
    if (error) say(math, `formula with an error: ${error.dataset.mjxError}`);
    else if (!math.querySelector("mjx-container")) say(math, "formula not typeset:");
  }
  for (const image of document.images) {
    if (!image.naturalWidth) say(image, `picture that does not load: ${image.src}`);
  }
  // Text is wider than its block without making the block wider.
  for (const chapter of document.querySelectorAll("section.chapter")) {
    const outside = chapter.scrollWidth - chapter.clientWidth;
    if (outside > TOLERANCE) found.push(`${chapter.id}: ${outside} pixels of it are too wide`);
  }
  const edge = document.querySelector("section.chapter").getBoundingClientRect().right + TOLERANCE;
  const beyond = (element) => width(element) > 0 && element.getBoundingClientRect().right > edge;
  for (const element of document.querySelectorAll("section.chapter *")) {
    // The outermost of what sticks out speaks for all inside it.
    if (beyond(element) && !beyond(element.parentElement)) say(element, `too wide: <${element.localName}>`);
  }
  return found;
}

// Fill in the table of contents: the page of each heading, by its id.
function number(pages) {
  for (const [id, page] of Object.entries(pages)) {
    document.querySelector(`#table-of-contents a[href="#${CSS.escape(id)}"] .page`).textContent = page;
  }
}
