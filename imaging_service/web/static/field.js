"use strict";
// Pixels of a field: the service's own tiles, channels as light, outlines as layers over them.
document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("viewer");
  if (!box || !window.OpenSeadragon) return;
  const { base, frame, version } = box.dataset;
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
});
