// On a phone: wide formulas and tables, the drawers of the theme, and what a figure opens.
"use strict";

(() => {
  const SMALLEST = 0.86; // of the size of a displayed formula; what needs less is moved instead
  const narrow = matchMedia("screen and (max-width: 600px)");

  // A formula that is a little too wide gets smaller letters.
  function fit(formula) {
    formula.style.removeProperty("font-size");
    if (!narrow.matches) return;
    const room = (0.99 * formula.clientWidth) / formula.scrollWidth;
    if (room < 0.99 && room >= SMALLEST) {
      const size = parseFloat(getComputedStyle(formula).fontSize);
      formula.style.setProperty("font-size", `${(size * room).toFixed(2)}px`, "important");
    }
  }

  // What goes on beyond the edge fades there (reading.css).
  const fade = (box) =>
    box.classList.toggle("mf-more", box.scrollWidth - box.clientWidth - box.scrollLeft > 2);

  async function look() {
    await window.MathJax?.startup?.promise;
    const formulas = [...document.querySelectorAll("article div.math > mjx-container")];
    formulas.forEach(fit);
    const boxes = [...formulas, ...document.querySelectorAll("article .pst-scrollable-table-container")];
    boxes.forEach(fade);
    for (const box of boxes) box.onscroll = () => fade(box);
  }
  addEventListener("load", look);
  narrow.addEventListener("change", look);
  document.addEventListener("toggle", look, true); // a fold that opens

  // A drawer that closes gives the focus back to its button, at the head of the page: the text stays where it is.
  for (const button of document.querySelectorAll(".primary-toggle, .secondary-toggle")) {
    button.focus = () => HTMLElement.prototype.focus.call(button, { preventScroll: true });
  }
  // Who has chosen a section wants to see it.
  document.querySelector(".bd-sidebar-secondary")?.addEventListener("click", (event) => {
    const drawer = document.querySelector("#pst-secondary-sidebar-checkbox");
    if (drawer?.checked && event.target.closest("a[href^='#']")) drawer.click();
  });

  // A drawing opened by itself is laid out for a desk; the picture fills a phone, and can be drawn larger.
  if (matchMedia("(hover: none)").matches) {
    for (const link of document.querySelectorAll("a.figure-card-drawing")) {
      link.href = link.href.replace(/\.svg$/, ".png");
    }
  }
})();
