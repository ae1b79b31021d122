"use strict";
// Drawn plates: one stop of the tabulator, arrows from well to well.
function steer(plate) {
  const wells = [...plate.querySelectorAll("a[data-row]")];
  if (!wells.length) return;
  const at = new Map(wells.map((a) => [`${a.dataset.row}.${a.dataset.column}`, a]));
  wells.forEach((a, i) => a.setAttribute("tabindex", i ? "-1" : "0"));
  plate.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const here = event.target.closest("a[data-row]");
    if (!step || !here) return;
    event.preventDefault();
    let [row, column] = [Number(here.dataset.row), Number(here.dataset.column)];
    for (let i = 0; i < 48; i++) {
      row += step[0]; column += step[1];
      const next = at.get(`${row}.${column}`);
      if (next) {
        here.setAttribute("tabindex", "-1"); next.setAttribute("tabindex", "0"); next.focus();
        return;
      }
    }
  });
}
// Charts: Vega without eval, its colours those of the page.
const dark = () => matchMedia("(prefers-color-scheme: dark)").matches && !matchMedia("print").matches;
function theme() {
  if (!dark()) return { background: null };
  const ink = "#dfe5ea", soft = "#aab4bf", line = "#38424d";
  return {
    background: null, title: { color: ink, subtitleColor: soft },
    axis: { labelColor: soft, titleColor: ink, gridColor: line, domainColor: soft, tickColor: soft },
    legend: { labelColor: ink, titleColor: ink, symbolBaseFillColor: soft, symbolBaseStrokeColor: soft }, header: { labelColor: ink, titleColor: ink }, view: { stroke: line },
  };
}
const INKS = { "#222": "#e4e9ee", "#111": "#f2f5f7", "#000000": "#ffffff", "#7A4A00": "#E69F00", "#798CEF": "#56B4E9", "#777": "#aab4bf", "#f4f4f4": "#272f38", "#ddd": "#3a434d", white: "#1b2128",
  "#eff0f1": "#333c46", "#7f3b08": "#ffc27a", "#e08214": "#e08a2e", "#4393c3": "#4a98c8", "#134b85": "#9cd0ff" };
function inked(part) {
  if (Array.isArray(part)) return part.map(inked);
  if (part && typeof part === "object") {
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, key === "values" ? value : inked(value)]));
  }
  return INKS[part] ?? part;
}
function tip() {
  let box = document.getElementById("vg-tip");
  if (!box) {
    box = document.body.appendChild(document.createElement("div"));
    box.id = "vg-tip"; box.hidden = true; box.setAttribute("aria-hidden", "true");
  }
  return box;
}
function hint(_, event, __, value) {
  const box = tip();
  box.hidden = value == null || value === "";
  if (box.hidden) return;
  box.textContent = typeof value === "object" ? Object.entries(value).filter(([, v]) => v !== "").map(([k, v]) => `${k}: ${v}`).join("\n") : String(value);
  box.style.left = `${Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.min(event.clientY + 14, innerHeight - box.offsetHeight - 8)}px`;
}
function notice(text) {
  const line = document.createElement("p");
  line.className = "notice bad amiss"; line.textContent = text;
  return line;
}
// A part of a page that was asked for and did not come. What follows by itself is asked for again,
// and replaces the notice once it comes.
function amiss({ detail }) {
  const status = detail.xhr.status;
  const why = status ? `the service answered ${status}` : "the service does not answer";
  const part = detail.target;
  if (part.id !== "progress") {
    part.replaceChildren(notice(`This part could not be loaded: ${why}. Try again in a minute.`));
    return;
  }
  const then = { 401: "You are signed out: load the page again to sign in.", 404: "It may have been removed: load the page again." }[status] ?? "This page asks again every few seconds, and goes on by itself.";
  part.dataset.since ??= new Date().toLocaleTimeString();
  part.querySelector(".amiss")?.remove();
  const line = notice(`What you see is of ${part.dataset.since}: ${why}. ${then}`);
  line.setAttribute("role", "status");
  part.prepend(line);
}
async function draw(figure) {
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const shown = figure.querySelector(".drawing");
  const mixed = dark() ? inked(spec) : spec;
  mixed.config = vega.mergeConfig(spec.config ?? {}, theme());
  const compiled = vegaLite.compile(mixed).spec;
  const view = new vega.View(vega.parse(compiled, null, { ast: true }), {
    expr: vega.expressionInterpreter, renderer: "svg", container: shown, hover: true, tooltip: hint, logLevel: vega.Error,
  });
  await view.runAsync();
  const svg = shown.querySelector("svg");
  if (svg) { svg.setAttribute("role", "img"); svg.setAttribute("aria-label", figure.dataset.name); }
  // A layer without a mark is a picture without a name.
  shown.querySelectorAll('g[role="graphics-symbol"]:empty').forEach((layer) => layer.removeAttribute("role"));
  figure.dataset.drawn = "yes";
}
// A chart that no address gives, as a file: as on paper, whatever the light of the screen.
async function save(button) {
  const figure = button.closest("figure.chart"), kind = button.dataset.save;
  const spec = JSON.parse(figure.querySelector("script").textContent);
  const view = new vega.View(vega.parse(vegaLite.compile(spec).spec, { background: "white" }, { ast: true }), { expr: vega.expressionInterpreter, renderer: "none" });
  const link = document.createElement("a");
  link.href = await view.toImageURL(kind, 2);
  link.download = `${figure.dataset.name.replace(/[^\w-]+/g, "_")}.${kind}`;
  link.click();
}
// On a phone the entries of a wide table stand below each other: each says which column it is of.
function label(table) {
  const names = [...table.tHead.rows[0].cells].map((head) => head.innerText);
  // Column ► rows in which an entry from above still stands there.
  let taken = names.map(() => 0);
  for (const row of table.tBodies[0].rows) {
    const free = [...taken.keys()].filter((column) => !taken[column]);
    taken = taken.map((rows) => Math.max(0, rows - 1));
    for (const entry of row.cells) {
      entry.dataset.column = names[free[0]];
      for (const column of free.splice(0, entry.colSpan)) taken[column] = entry.rowSpan - 1;
    }
  }
}
function start(part) {
  part.querySelectorAll(".plate").forEach(steer);
  part.querySelectorAll("table.wide").forEach(label);
  if (!window.vega) return;
  part.querySelectorAll("figure.chart").forEach((figure) => draw(figure).catch((error) => {
    figure.querySelector(".drawing").replaceChildren(notice(`This chart could not be drawn (${error.message}); its numbers are in the table.`));
  }));
}
document.addEventListener("DOMContentLoaded", () => start(document));
document.addEventListener("htmx:load", (event) => { if (event.target !== document.body) start(event.target); });
document.addEventListener("htmx:responseError", amiss);
document.addEventListener("htmx:sendError", amiss);
document.addEventListener("htmx:timeout", amiss);
document.addEventListener("click", (event) => { const button = event.target.closest("[data-save]"); if (button) save(button); });
// A choice shows at once, so that what is downloaded is what was chosen. By keyboard a choice is
// passed through on the way to another: there the button beside it shows it.
let keyed = false;
document.addEventListener("keydown", () => { keyed = true; }, true);
document.addEventListener("pointerdown", () => { keyed = false; }, true);
document.addEventListener("change", (event) => { if (!keyed && event.target.matches("select[data-go]")) event.target.form.requestSubmit(); });
