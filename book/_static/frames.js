// The slider of a figure card (book/_ext/figure_frames.py). Two pictures are laid in the place of the card's own,
// one for each theme, and shown from the first move on. The card's own pictures stay, for print.
"use strict";

(() => {
  function start(controls) {
    const { light, dark, labels } = JSON.parse(controls.dataset.frames);
    const [button, slider, label] = controls.children;
    const figure = controls.closest("figure");
    const called = slider.getAttribute("aria-label");
    const link = figure.querySelector(".figure-card-drawing");
    const loaded = new Map(); // address -> promise of a decoded picture
    const pictures = [...link.querySelectorAll("img")].map((still) => {
      const picture = still.cloneNode();
      still.classList.add("frame-still");
      picture.classList.add("frame-live");
      picture.removeAttribute("src");
      link.append(picture);
      return { picture, addresses: still.classList.contains("only-dark") ? dark : light };
    });
    let timer = null;

    const load = (address) => {
      if (!loaded.has(address)) {
        const image = new Image();
        image.src = address;
        loaded.set(address, image.decode().then(() => image));
      }
      return loaded.get(address);
    };
    // The themes hide one of the two; what is hidden is not loaded.
    const seen = () => {
      const theme = document.documentElement.dataset.theme;
      return pictures.filter(({ addresses }) => (theme === "dark") === (addresses === dark));
    };
    const prepare = () => seen().forEach(({ addresses }) => addresses.forEach((a) => load(a).catch(() => {})));

    async function show() {
      const frame = slider.valueAsNumber;
      label.textContent = labels[frame];
      slider.setAttribute("aria-valuetext", labels[frame]);
      for (const { picture, addresses } of seen()) {
        await load(addresses[frame]);
        if (frame !== slider.valueAsNumber) return; // the reader has moved on
        picture.src = addresses[frame];
      }
      link.href = light[frame];
      figure.classList.add("frames-moved");
    }

    function pause() {
      clearInterval(timer);
      timer = null;
      button.classList.remove("playing");
      button.setAttribute("aria-label", `Play: ${called}`);
    }

    function play() {
      // The still may be a frame in the middle: who has not moved the slider sees all from the first.
      if (slider.value === slider.max || !figure.classList.contains("frames-moved")) slider.value = 0;
      const milliseconds = Math.min(600, Math.max(120, 5000 / labels.length));
      timer = setInterval(() => {
        slider.stepUp();
        show();
        if (slider.value === slider.max) pause(); // once through, never round and round
      }, milliseconds);
      button.classList.add("playing");
      button.setAttribute("aria-label", `Pause: ${called}`);
      show();
    }

    slider.addEventListener("input", () => {
      if (timer) pause();
      show();
    });
    button.addEventListener("click", () => (timer ? pause() : play()));
    for (const event of ["pointerenter", "focusin", "touchstart"]) {
      controls.addEventListener(event, prepare, { once: true, passive: true });
    }
    new MutationObserver(() => figure.classList.contains("frames-moved") && show()).observe(
      document.documentElement,
      { attributeFilter: ["data-theme"] },
    );
    figure.classList.add("frames-ready");
  }

  document.querySelectorAll(".figure-frames-slider").forEach(start);
})();
