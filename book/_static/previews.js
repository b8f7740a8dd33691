// Points at a reference: shows what it leads to. The HTML comes from _static/previews/<page>.js (book/_ext/previews.py),
// which is loaded when it is first wanted. Pointer and keyboard alike; a touch goes straight to the place.
"use strict";

(() => {
  const LINKS = "article a.internal[href*='#']";
  const WAIT = 150; // milliseconds, so that nothing flickers up in passing, or goes on the way to it
  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href);
  const scripts = new Map(); // address -> promise
  let box = null;
  let current = null; // the link whose target is shown or on its way
  let title = null; // of that link: the browser's own box would lie over ours
  let timer = null;

  const load = (address) => {
    if (!scripts.has(address)) {
      const script = document.createElement("script");
      const done = new Promise((resolve, reject) => {
        script.addEventListener("load", resolve);
        script.addEventListener("error", reject);
      });
      script.src = address;
      document.head.append(script);
      scripts.set(address, done);
    }
    return scripts.get(address);
  };

  async function content(link) {
    const url = new URL(link.href);
    if (!url.pathname.startsWith(root.pathname)) return null;
    const path = decodeURIComponent(url.pathname.slice(root.pathname.length));
    const page = (path.endsWith("/") || !path ? `${path}index` : path).replace(/\.html$/, "");
    if (!window.mfPreviews?.[page]) await load(new URL(`_static/previews/${page}.js`, root).href);
    return window.mfPreviews[page][decodeURIComponent(url.hash.slice(1))];
  }

  async function typeset() {
    if (!box.querySelector(".math")) return;
    if (!window.MathJax?.startup?.promise) {
      const coming = document.querySelector("script[src*='mathjax']");
      if (!coming) window.MathJax = { startup: { typeset: false } };
      await (coming
        ? new Promise((resolve) => coming.addEventListener("load", resolve))
        : load(new URL("_static/mathjax/tex-chtml.js", root).href));
    }
    await window.MathJax.startup.promise;
    await window.MathJax.typesetPromise([box]);
  }

  function make() {
    box = document.createElement("div");
    box.id = "mf-preview";
    box.className = "mf-preview";
    box.setAttribute("role", "tooltip");
    box.addEventListener("pointerenter", () => clearTimeout(timer));
    box.addEventListener("pointerleave", () => closeSoon());
    document.body.append(box);
  }

  // A formula that is wider than the box gets smaller letters, down to a half.
  function fit() {
    for (const formula of box.querySelectorAll("div.math > mjx-container")) {
      const { width } = formula.firstElementChild.getBoundingClientRect();
      const size = parseFloat(formula.style.fontSize) || 100;
      if (width > formula.clientWidth) {
        formula.style.fontSize = `${Math.max(50, (0.98 * size * formula.clientWidth) / width)}%`;
      }
    }
  }

  function place(link, y) {
    const lines = [...link.getClientRects()]; // a link may be broken over two lines
    const line = lines.find(({ top, bottom }) => top <= y && y <= bottom) ?? lines[0];
    const { offsetWidth: width, offsetHeight: height } = box;
    const across = document.documentElement.clientWidth;
    const below = line.bottom + height + 12 < innerHeight || line.top < height + 12;
    box.style.left = `${Math.max(8, Math.min(line.left, across - width - 8)) + scrollX}px`;
    box.style.top = `${(below ? line.bottom + 6 : line.top - height - 6) + scrollY}px`;
  }

  async function open(link, y) {
    close();
    current = link;
    title = link.getAttribute("title");
    link.removeAttribute("title");
    const html = await content(link).catch(() => null);
    if (current !== link) return;
    if (!html) return close();
    if (!box) make();
    box.innerHTML = html;
    for (const picture of box.querySelectorAll("img")) {
      picture.src = new URL(picture.getAttribute("src"), root).href;
    }
    await Promise.race([typeset().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 2000))]);
    if (current !== link) return;
    fit();
    place(link, y);
    link.setAttribute("aria-describedby", box.id);
    box.classList.add("mf-shown");
  }

  function close() {
    clearTimeout(timer);
    current?.removeAttribute("aria-describedby");
    if (title) current?.setAttribute("title", title);
    current = null;
    box?.classList.remove("mf-shown");
  }

  function openSoon(link, y) {
    clearTimeout(timer);
    if (link !== current) timer = setTimeout(() => open(link, y), WAIT);
  }

  function closeSoon() {
    clearTimeout(timer);
    timer = setTimeout(close, WAIT);
  }

  const linkAt = (event) => event.target.closest?.(LINKS);
  document.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "touch" && linkAt(event)) openSoon(linkAt(event), event.clientY);
  });
  document.addEventListener("pointerout", (event) => {
    const link = linkAt(event);
    if (link && !link.contains(event.relatedTarget)) closeSoon();
  });
  document.addEventListener("focusin", (event) => {
    if (linkAt(event)?.matches(":focus-visible")) openSoon(linkAt(event));
  });
  document.addEventListener("focusout", (event) => linkAt(event) && close());
  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
  document.addEventListener("click", close);
})();
