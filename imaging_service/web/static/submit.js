"use strict";
const part = (id) => document.getElementById(id);
const of = () => `?project=${encodeURIComponent(part("project").value)}`;
function refusal(box, text) {
  const line = document.createElement("p");
  line.className = "notice bad"; line.textContent = text; box.replaceChildren(line);
}
// A request that reached no service fails with a browser's own words.
const words = (error) => (error instanceof TypeError ? "The service does not answer: check the connection, then try again." : error.message);
async function reason(answer) {
  try { return (await answer.json()).detail; } catch { return `the service answered ${answer.status}; try again`; }
}
const send = (address, body) => fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
function encoded(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
async function submission() {
  const file = part("plate-map").files[0];
  if (!file) throw new Error("Choose the plate map's file first.");
  return {
    scan: part("submission").dataset.scan, plate_map_name: file.name, plate_map_base64: file.size ? await encoded(file) : "",
    plate: part("plate").value, protocol: part("protocol").value,
  };
}
async function check() {
  part("submit").disabled = true;
  part("map").textContent = "Checking …";
  try {
    const answer = await send(`/submit/map${of()}`, await submission());
    if (!answer.ok) { refusal(part("map"), await reason(answer)); return; }
    part("map").innerHTML = await answer.text();
    part("submit").disabled = part("map-checked").dataset.ok !== "yes";
  } catch (error) { refusal(part("map"), words(error)); }
}
async function run(event) {
  event.preventDefault();
  part("submit").disabled = true;
  part("sent").textContent = "The scan is read and hashed; a full plate takes minutes …";
  try {
    const answer = await send(`/submit/run${of()}`, await submission());
    if (answer.ok) { location.assign((await answer.json()).page); return; }
    refusal(part("sent"), await reason(answer));
  } catch (error) { refusal(part("sent"), words(error)); }
  part("submit").disabled = false;
}
// A folder from this computer: the files that the service lacks, each by its content.
async function entries(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [[entry.fullPath.replace(/^\//, ""), file]];
  }
  const reader = entry.createReader(), all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    all.push(...some);
  }
  return (await Promise.all(all.map(entries))).flat();
}
const JUNK = /(^|\/)(\._[^/]*|\.ds_store|thumbs\.db|desktop\.ini)$/i;
async function digest(file) {
  const sum = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(sum)].map((b) => b.toString(16).padStart(2, "0")).join("");
}
async function upload(found) {
  const files = found.filter(([path]) => !JUNK.test(path)), state = part("upload-state"), bar = part("upload-bar");
  try {
    if (!files.length) throw new Error("The folder has no files.");
    bar.hidden = false;
    const name = files[0][0].split("/")[0], listed = [], by = new Map();
    for (const [i, [path, file]] of files.entries()) {
      state.textContent = `Reading ${i + 1} of ${files.length} files`; bar.value = i / files.length / 2;
      const sha256 = await digest(file);
      listed.push({ path: path.split("/").slice(1).join("/"), size: file.size, sha256 }); by.set(sha256, file);
    }
    const begun = await send(`/uploads${of()}`, { name, files: listed });
    if (!begun.ok) throw new Error(await reason(begun));
    const { id, missing } = await begun.json();
    for (const [i, sha256] of missing.entries()) {
      state.textContent = `Sending ${i + 1} of ${missing.length} files`; bar.value = 0.5 + i / missing.length / 2;
      const put = await fetch(`/blobs/${sha256}${of()}`, { method: "PUT", body: by.get(sha256) });
      if (!put.ok) throw new Error(await reason(put));
    }
    const kept = await fetch(`/uploads/${id}/commit${of()}`, { method: "POST" });
    if (!kept.ok) throw new Error(await reason(kept));
    location.assign(`/submit/scan${of()}&scan=${encodeURIComponent((await kept.json()).scan)}`);
  } catch (error) { refusal(state, words(error)); }
}
// What the scan leaves open ► keys of a protocol that state it.
const ANSWERS = {
  channels: ["channels.dna", "channels.neurite"],
  "acquisition.pixel_size_um": ["acquisition.pixel_size_um"],
  "acquisition.time_point": ["acquisition.time_point", "survival"],
};
// Sections, and keys with their section, of the protocol as it stands in its box; comments state nothing.
function stated() {
  const keys = new Set();
  let section = "";
  for (const line of part("protocol").value.split("\n")) {
    const head = line.match(/^\s*\[\s*([\w.-]+)\s*\]/), key = line.match(/^\s*([\w.-]+)\s*=/);
    if (head) { keys.add(head[1]); section = `${head[1]}.`; }
    if (key) keys.add(section + key[1]);
  }
  return keys;
}
// What the protocol states by now is not asked for any more.
function ask() {
  const keys = stated(), needs = [...document.querySelectorAll("[data-need]")];
  for (const need of needs) need.hidden = (ANSWERS[need.dataset.need] ?? []).some((key) => keys.has(key));
  if (needs.length) part("needs").hidden = needs.every((need) => need.hidden);
}
document.addEventListener("DOMContentLoaded", () => {
  const drop = part("drop");
  part("folder").addEventListener("change", (event) => upload([...event.target.files].map((f) => [f.webkitRelativePath, f])));
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault(); drop.classList.remove("over");
    const roots = [...event.dataTransfer.items].map((i) => i.webkitGetAsEntry()).filter(Boolean);
    upload((await Promise.all(roots.map(entries))).flat());
  });
  if (!part("submission")) return;
  part("check").addEventListener("click", check);
  part("submission").addEventListener("submit", run);
  part("protocol-file").addEventListener("change", async (event) => { part("protocol").value = await event.target.files[0].text(); ask(); });
  const begun = part("protocol").value, earlier = part("protocol-earlier");
  if (earlier) earlier.addEventListener("change", async () => {
    const answer = earlier.value ? await fetch(earlier.value) : null;
    part("protocol").value = answer === null ? begun : answer.ok ? await answer.text() : begun;
    ask();
    part("submit").disabled = true;
  });
  part("protocol").addEventListener("input", ask);
  ask();
  for (const id of ["plate-map", "plate", "protocol"]) part(id).addEventListener("input", () => { part("submit").disabled = true; });
});
