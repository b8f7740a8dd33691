// Derivations and code that are folded: opened where a link leads into one, and for print.
"use strict";

(() => {
  const folded = "details.mf-derivation, details.sd-dropdown";

  // The arrows in the list of pages, which the theme leaves without a name.
  for (const arrow of document.querySelectorAll("nav.bd-links summary")) {
    const page = arrow.closest("li")?.querySelector("a")?.textContent.trim();
    arrow.setAttribute("aria-label", `Pages below ${page ?? "this one"}`);
  }

  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    let opened = false;
    for (let box = target?.closest("details"); box; box = box.parentElement.closest("details")) {
      opened ||= !box.open;
      box.open = true;
    }
    // A link to a cell is one to its code.
    const source = target?.matches("div.cell") ? target.querySelector("details.hide") : null;
    if (source) source.open = true;
    if (opened) target.scrollIntoView();
  }

  // A click on a link to the place where the page already is changes no address.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href*='#']");
    if (link && link.href === location.href) setTimeout(reveal);
  });
  addEventListener("hashchange", reveal);
  reveal();

  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll(folded)].filter((box) => !box.open);
    for (const box of unfolded) box.open = true;
  });
  addEventListener("afterprint", () => {
    for (const box of unfolded) box.open = false;
  });
})();
