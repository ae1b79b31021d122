"use strict";
// Pixels of a field: the service's own tiles, channels as light, outlines as layers over them.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("viewer");
  if (!box || !window.OpenSeadragon) return;
  const { base, version } = box.dataset;
  let frame = Number(box.dataset.frame);
  const frames = Number(box.dataset.frames), hours = box.dataset.hours.split(" ").filter(Boolean).map(Number);
  const [height, width, levels, tile] = ["height", "width", "levels", "tile"].map((key) => Number(box.dataset[key]));
  const channels = () => [...document.querySelectorAll("[data-channel]:checked")].map((c) => c.dataset.channel).join(",");
  const source = (layer, more) => ({
    width, height, tileSize: tile, tileOverlap: 0, minLevel: 0, maxLevel: levels - 1,
    getTileUrl: (level, x, y) => `${base}/${layer}/${levels - 1 - level}/${y}/${x}.png?frame=${frame}&version=${version}${more}`,
  });
  const viewer = OpenSeadragon({
    element: box, drawer: "canvas", showNavigationControl: false, visibilityRatio: 0.5, maxZoomPixelRatio: 8, imageSmoothingEnabled: false,
    animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.4, gestureSettingsMouse: { clickToZoom: false }, immediateRender: true,
    tileSources: [{ tileSource: source("pixels", `&channels=${channels()}`) }],
  });
  viewer.addHandler("tile-load-failed", () => { document.getElementById("viewer-fault").hidden = false; });
  // A wheel alone scrolls the page: taken here, before the viewer, which would also hold back each
  // second turn of a fast wheel. With Ctrl or ⌘, and two fingers on a touchpad, it zooms.
  const hint = document.getElementById("wheel-hint");
  let hinted = false;
  const unhint = () => { hint.hidden = true; };
  box.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) { unhint(); return; }
    event.stopPropagation();
    hint.hidden = hinted && hint.hidden;
    hinted = true;
  }, { capture: true, passive: true });
  box.addEventListener("pointerleave", unhint);
  box.addEventListener("pointerdown", unhint, true);
  const layers = {};
  const outline = (input) => {
    const name = input.dataset.outline;
    if (layers[name]) { layers[name].setOpacity(input.checked ? 1 : 0); return; }
    if (!input.checked) return;
    viewer.addTiledImage({ tileSource: source(name, ""), success: ({ item }) => { layers[name] = item; item.setOpacity(input.checked ? 1 : 0); } });
  };
  document.querySelectorAll("[data-outline]").forEach((input) => {
    input.addEventListener("change", () => outline(input));
  });
  viewer.addOnceHandler("open", () => document.querySelectorAll("[data-outline]").forEach(outline));
  viewer.addHandler("tile-drawn", () => {
    box.dataset.drawn = "yes";
    box.querySelector(":scope > img")?.remove();
  });
  document.querySelectorAll("[data-channel]").forEach((input) => input.addEventListener("change", () => {
    if (!channels()) { input.checked = true; return; }
    viewer.addTiledImage({ tileSource: source("pixels", `&channels=${channels()}`), index: 0, replace: true });
  }));
  if (frames > 1) film();
  const zooms = { in: () => viewer.viewport.zoomBy(1.6), out: () => viewer.viewport.zoomBy(1 / 1.6), home: () => viewer.viewport.goHome() };
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => { zooms[button.dataset.zoom](); viewer.viewport.applyConstraints(); }));
  viewer.addHandler("canvas-click", (event) => {
    if (!event.quick) return;
    const point = viewer.world.getItemAt(0).viewerElementToImageCoordinates(event.position);
    const [y, x] = [Math.floor(point.y), Math.floor(point.x)];
    if (y < 0 || x < 0 || y >= height || x >= width) return;
    htmx.ajax("GET", `${base}/cell?y=${y}&x=${x}&frame=${frame}`, { target: "#cell", swap: "innerHTML" });
  });
  window.fieldViewer = viewer;
  // A film: time points are stepped through in place, so that a neuron is followed where it is.
  function film() {
    const form = document.getElementById("frames"), input = form.elements.frame;
    const ended = JSON.parse(document.getElementById("ended")?.textContent ?? "[]"), marks = document.getElementById("marks");
    let track = Number(box.dataset.track), rings = [];
    const words = (f) => `time point ${f} of ${frames}${hours.length ? `, ${Number(hours[f - 1].toPrecision(3))} h` : ""}`;
    const place = (neuron) => {
      const at = neuron.places[frame];
      return at && viewer.world.getItemAt(0)?.imageToViewportCoordinates(new OpenSeadragon.Point(at[1], at[0]));
    };
    const ring = () => {
      rings.forEach((r) => viewer.removeOverlay(r));
      rings = [];
      if (!marks?.checked) return;
      for (const neuron of ended) {
        // Before its end only the neuron that is followed is ringed.
        const at = place(neuron);
        if (!at || (frame < neuron.frame && neuron.track !== track)) continue;
        const element = document.createElement("div");
        element.className = `mark ring ${neuron.died ? "died" : "lost"}${frame === neuron.frame ? " now" : ""}${neuron.track === track ? " followed" : ""}`;
        element.setAttribute("aria-hidden", "true");
        if (frame === neuron.frame || neuron.track === track) element.textContent = neuron.track;
        viewer.addOverlay({ element, location: at, placement: OpenSeadragon.Placement.CENTER });
        rings.push(element);
      }
    };
    const show = (wanted) => {
      const next = Math.min(Math.max(Number(wanted) || 1, 1), frames);
      input.value = next;
      if (next === frame) return;
      frame = next;
      document.getElementById("when").textContent = words(frame);
      viewer.addTiledImage({ tileSource: source("pixels", `&channels=${channels()}`), index: 0, replace: true, success: ring });
      document.querySelectorAll("[data-outline]").forEach((box) => {
        const name = box.dataset.outline;
        if (layers[name]) { viewer.world.removeItem(layers[name]); delete layers[name]; }
        outline(box);
      });
      const address = new URL(location.href);
      address.searchParams.set("field", form.elements.field.value);
      address.searchParams.set("frame", frame);
      if (track) address.searchParams.set("track", track); else address.searchParams.delete("track");
      history.replaceState(null, "", address);
      form.querySelectorAll("[data-step]").forEach((a) => { a.search = `?field=${form.elements.field.value}&frame=${Math.min(Math.max(frame + Number(a.dataset.step), 1), frames)}`; });
      document.querySelectorAll("[data-keeps-frame]").forEach((a) => { const to = new URL(a.href); to.searchParams.set("frame", frame); a.href = to; });
    };
    const follow = (number) => {
      track = number;
      const neuron = ended.find((n) => n.track === track), at = neuron && place(neuron);
      ring();
      if (!at) return;
      viewer.viewport.panTo(at);
      if (viewer.viewport.getZoom() < 2 * viewer.viewport.getHomeZoom()) viewer.viewport.zoomTo(3 * viewer.viewport.getHomeZoom(), at);
    };
    form.addEventListener("submit", (event) => { event.preventDefault(); show(input.value); });
    input.addEventListener("change", () => show(input.value));
    form.querySelectorAll("[data-step]").forEach((a) => a.addEventListener("click", (event) => { event.preventDefault(); show(frame + Number(a.dataset.step)); }));
    box.addEventListener("keydown", (event) => {
      const step = { ",": -1, ".": 1 }[event.key];
      if (step) { event.preventDefault(); show(frame + step); }
    });
    document.querySelectorAll("a[data-track]").forEach((a) => a.addEventListener("click", (event) => {
      event.preventDefault();
      track = Number(a.dataset.track);
      show(a.dataset.frame);
      follow(track);
      box.scrollIntoView({ block: "nearest" });
    }));
    marks?.addEventListener("change", ring);
    viewer.addOnceHandler("open", () => (track ? follow(track) : ring()));
  }
});
