
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const slider = document.getElementById("slider");
  const film = document.querySelector(".film");
  const images = [...document.querySelectorAll("img.frame")];
  const plots = [...document.querySelectorAll(".plot")];
  const last = slider ? Number(slider.max) : 0;
  let timer = null, ready = [];

  const smooth = (image) => {
    if (!image.naturalWidth) return;
    image.classList.toggle("fine", Math.min(image.naturalWidth, image.naturalHeight) <= 128);
    image.closest("figure").classList.toggle("wide", image.naturalWidth > 2.5 * image.naturalHeight);
  };
  images.forEach((image) => { image.addEventListener("load", () => smooth(image)); smooth(image); });

  function mark(plot, number, k) {
    const dots = [...plot.querySelectorAll(".dot")], values = [...plot.querySelectorAll(".value")];
    let across = null;
    data.dots[number].forEach((trace, j) => {
      const at = trace.length ? trace[Math.min(k, trace.length - 1)] : null;
      dots[j].classList.toggle("on", at !== null);
      values[j].textContent = at === null ? "" : at[2];
      if (at === null) return;
      dots[j].setAttribute("d", `M${at[0]} ${at[1]}h0`);
      across = across === null ? [at[0], at[0]] : [Math.min(across[0], at[0]), Math.max(across[1], at[0])];
    });
    const now = plot.querySelector(".now");
    const alone = across !== null && across[1] - across[0] < 12;
    now.classList.toggle("on", alone);
    if (alone) now.setAttribute("d", `M${across[0]} 0V1000`);
  }

  function show(k) {
    images.forEach((image, number) => {
      const frames = data.frames[number], at = Math.min(k, frames.length - 1);
      image.src = frames[at];
      image.alt = `${image.dataset.name}: ${data.captions[k]}`;
    });
    if (slider) {
      slider.value = k;
      slider.setAttribute("aria-valuetext", data.captions[k]);
    }
    const caption = document.getElementById("caption");
    if (caption) caption.textContent = data.captions[k];
    if (film) film.classList.toggle("is-doubtful", data.doubtful.includes(k));
    plots.forEach((plot, number) => mark(plot, number, k));
  }

  function warm() {
    ready = ready.length ? ready : data.frames.flat().map((uri) => { const one = new Image(); one.src = uri; return one; });
  }

  function play(wanted) {
    const speed = document.getElementById("speed");
    clearInterval(timer);
    timer = wanted ? setInterval(() => show((Number(slider.value) + 1) % (last + 1)), 1000 / Number(speed.value)) : null;
    const button = document.getElementById("play"), caption = document.getElementById("caption");
    button.setAttribute("aria-pressed", String(wanted));
    caption.setAttribute("aria-live", wanted ? "off" : "polite");
    document.getElementById("word").textContent = wanted ? "Pause" : "Play";
    document.getElementById("sign").setAttribute("d", wanted ? "M3 2h4v12H3zM9 2h4v12H9z" : "M4 2l10 6-10 6z");
  }

  if (data.captions.length) show(0);
  else plots.forEach((plot, number) => mark(plot, number, 0));

  if (slider) {
    const step = (to) => { play(false); show(Math.max(0, Math.min(last, to))); };
    slider.addEventListener("input", () => step(Number(slider.value)));
    document.getElementById("play").addEventListener("click", () => { warm(); play(timer === null); });
    document.getElementById("speed").addEventListener("change", () => { if (timer !== null) play(true); });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const inside = event.target.closest ? event.target.closest("select, summary, pre, .scroll, button:not(#play)") : null;
      if (inside) return;
      const now = Number(slider.value);
      const to = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: last }[event.key];
      if (event.key === " ") { warm(); play(timer === null); }
      else if (to === undefined || (event.target !== slider && !event.key.startsWith("ArrowL") && !event.key.startsWith("ArrowR"))) return;
      else step(to);
      event.preventDefault();
    });
  }

  document.getElementById("copy").addEventListener("click", async (event) => {
    const code = document.getElementById("command"), range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    let done = false;
    try { await navigator.clipboard.writeText(code.textContent); done = true; } catch { done = document.execCommand("copy"); }
    event.target.textContent = done ? "Copied" : "Selected";
  });
})();
