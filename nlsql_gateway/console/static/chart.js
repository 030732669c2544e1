// A chart by Vega-Lite. Its expressions go through an interpreter, so that the page needs no eval.
(() => {
  "use strict";
  const place = document.querySelector("[data-chart]");
  if (!place) return;
  const about = document.querySelector("[data-about]");
  const form = document.querySelector("[data-chart-form]");
  let view = null;

  const loaded = (url, type) =>
    new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = url;
      script.onload = done;
      script.onerror = () => failed(new Error(url));
      if (type) script.type = type;
      document.head.append(script);
    });

  const ready = (async () => {
    await loaded(place.dataset.vega);
    await loaded(place.dataset.vegaLite);
    return (await import(place.dataset.interpreter)).expressionInterpreter;
  })();

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function config() {
    const text = colour("--text"), line = colour("--line");
    return {
      background: "transparent",
      mark: { color: colour("--accent") },
      axis: { labelColor: text, titleColor: text, gridColor: line, domainColor: line, tickColor: line, labelLimit: 160 },
      legend: { labelColor: text, titleColor: text },
      view: { stroke: "transparent" },
    };
  }

  async function draw(url) {
    const interpreter = await ready;
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(String(answer.status));
    const { spec, about: words } = await answer.json();
    if (view) view.finalize();
    const compiled = window.vegaLite.compile({ ...spec, config: config() }).spec;
    view = new window.vega.View(window.vega.parse(compiled, null, { ast: true }), {
      expr: interpreter,
      renderer: "canvas",
      container: place,
      hover: true,
    });
    await view.runAsync();
    place.setAttribute("aria-label", words);
    place.dataset.drawn = spec.mark.type;
    about.textContent = words;
  }

  const attempt = (url) =>
    draw(url).catch(() => {
      about.textContent = "The chart cannot be drawn; the rows stand below.";
    });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const url = new URL(place.dataset.chart, location.href);
    url.search = new URLSearchParams(new FormData(form)).toString();
    attempt(url.href);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => form.requestSubmit());
  attempt(place.dataset.chart);
})();
