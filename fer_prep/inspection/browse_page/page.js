"use strict";
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("samples").textContent);
const columns = data.columns;
const total = columns.id.length;
const perAtlas = data.atlas_side * data.atlas_side;

// ---- filters: every facet is a column with few values; "text" searches id and source file ----
const FACETS = [
  ["dataset", "dataset"], ["class", "class"], ["label_source", "label source"], ["subject", "subject"],
  ["intensity", "intensity"], ["gender", "gender"], ["clip", "clip"], ["view", "view"], ["fold", "validation fold"],
].filter(([name]) => columns[name] && new Set(columns[name]).size > 1);
const chosen = Object.fromEntries(FACETS.map(([name]) => [name, ""]));
let text = "";
let shown = [];
const haystack = columns.id.map((id, row) => `${id} ${columns.source_file[row]} ${columns.action_unit[row]}`.toLowerCase());

function fits(row, except) {
  if (text && !haystack[row].includes(text)) return false;
  return FACETS.every(([name]) => name === except || !chosen[name] || String(columns[name][row]) === chosen[name]);
}

function countsOf(name) {
  const counts = new Map();
  for (let row = 0; row < total; row++) {
    if (!fits(row, name)) continue;
    const value = String(columns[name][row]);
    counts.set(value, (counts.get(value) || 0) + 1);
  }
  return counts;
}

const selects = {};
function buildFilters() {
  const place = byId("filters");
  for (const [name, title] of FACETS) {
    const label = document.createElement("label");
    label.append(title);
    const select = document.createElement("select");
    select.id = `filter-${name}`;
    select.onchange = () => { chosen[name] = select.value; refilter(); };
    label.append(select);
    place.append(label);
    selects[name] = { select, values: [...new Set(columns[name].map(String))].sort(byNumberOrName) };
  }
  const search = document.createElement("input");
  search.type = "search"; search.id = "filter-text"; search.placeholder = "id, file, action unit";
  search.oninput = () => { text = search.value.trim().toLowerCase(); refilter(); };
  const clear = document.createElement("button");
  clear.textContent = "clear"; clear.id = "clear";
  clear.onclick = () => { for (const [name] of FACETS) chosen[name] = ""; text = search.value = ""; refilter(); };
  const both = document.createElement("select");
  both.id = "modality";
  both.append(new Option("RGB and depth", "both"), new Option("RGB", "rgb"), new Option("depth", "depth"));
  both.hidden = data.kinds.length < 2;
  both.onchange = layout;
  place.append(search, both, clear);
}

const byNumberOrName = (a, b) => a.localeCompare(b, "en", { numeric: true });

function refilter() {
  shown = [];
  for (let row = 0; row < total; row++) if (fits(row, null)) shown.push(row);
  for (const [name, { select, values }] of Object.entries(selects)) {
    const counts = countsOf(name);
    const all = [...counts.values()].reduce((a, b) => a + b, 0);
    select.replaceChildren(new Option(`all (${all})`, ""), ...values.filter((v) => v !== "")
      .map((value) => new Option(`${value} (${counts.get(value) || 0})`, value)));
    select.value = chosen[name];
  }
  drawClassCounts();
  const people = new Set(shown.map((row) => columns.subject[row])).size;
  byId("count").textContent = `${shown.length} of ${total} samples, ${people} subjects`
    + (data.protocol ? `, folds: ${data.protocol}` : "");
  byId("empty").hidden = shown.length > 0;
  byId("scroll").scrollTop = 0;
  layout();
}

function drawClassCounts() {
  const counts = countsOf("class");
  byId("classes").replaceChildren(...data.classes.map((name) => {
    const button = document.createElement("button");
    button.textContent = `${name} ${counts.get(name) || 0}`;
    button.dataset.name = name;
    button.setAttribute("aria-pressed", String(chosen.class === name));
    button.onclick = () => { chosen.class = chosen.class === name ? "" : name; refilter(); };
    return button;
  }));
}

// ---- pictures: atlases are decoded when needed, the least recently used ones are dropped ----
const KEPT_ATLASES = 64;
const atlases = new Map();

function atlas(kind, number) {
  const key = `${kind}-${number}`;
  let image = atlases.get(key);
  if (image) {
    atlases.delete(key);
  } else {
    image = new Image();
    image.onload = () => { image.ready = true; schedule(); };
    image.src = `data:image/jpeg;base64,${byId(key).textContent}`;
  }
  atlases.set(key, image);
  if (atlases.size > KEPT_ATLASES) atlases.delete(atlases.keys().next().value);
  return image;
}

function drawThumbnail(context, kind, row, x, y, side) {
  const image = atlas(kind, Math.floor(row / perAtlas));
  const place = row % perAtlas;
  const size = data.thumbnail;
  if (!image.ready) { context.fillStyle = "#8883"; context.fillRect(x, y, side, side); return false; }
  context.drawImage(image, (place % data.atlas_side) * size, Math.floor(place / data.atlas_side) * size, size, size,
    x, y, side, side);
  return true;
}

// ---- the grid: one canvas as large as the window, a spacer as tall as all rows ----
const GAP = 6, CAPTION = 16;
const scroll = byId("scroll"), canvas = byId("grid");
let grid = { across: 1, width: 1, height: 1, side: 64, kinds: data.kinds };

function layout() {
  const modality = byId("modality").value;
  const kinds = modality === "both" ? data.kinds : [modality];
  const smallest = Math.min(Math.max(data.thumbnail, 64), 112);
  const across = Math.max(1, Math.floor((scroll.clientWidth - GAP) / (kinds.length * smallest + GAP)));
  // a little larger than need be, so that they fill the line
  const side = Math.min(2 * smallest, Math.floor(((scroll.clientWidth - GAP) / across - GAP) / kinds.length));
  const width = kinds.length * side + GAP, height = side + CAPTION + GAP;
  grid = { across, width, height, side, kinds };
  const ratio = window.devicePixelRatio || 1;
  canvas.width = scroll.clientWidth * ratio;
  canvas.height = scroll.clientHeight * ratio;
  canvas.style.width = `${scroll.clientWidth}px`;
  canvas.style.height = `${scroll.clientHeight}px`;
  byId("spacer").style.height = `${Math.max(Math.ceil(shown.length / across) * height + GAP, scroll.clientHeight)}px`;
  schedule();
}

let waiting = false;
function schedule() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); if (byId("detail").open) drawDetail(); });
}

function draw() {
  const context = canvas.getContext("2d");
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.font = "11px system-ui, sans-serif";
  const ink = getComputedStyle(document.body).color;
  const first = Math.floor(scroll.scrollTop / grid.height);
  const last = Math.ceil((scroll.scrollTop + scroll.clientHeight) / grid.height);
  let complete = true;
  for (let line = first; line < last; line++) {
    for (let column = 0; column < grid.across; column++) {
      const row = shown[line * grid.across + column];
      if (row === undefined) continue;
      const x = GAP + column * grid.width, y = GAP + line * grid.height - scroll.scrollTop;
      grid.kinds.forEach((kind, n) => { complete = drawThumbnail(context, kind, row, x + n * grid.side, y, grid.side) && complete; });
      context.fillStyle = ink;
      context.fillText(caption(context, row), x, y + grid.side + 12);
    }
  }
  canvas.dataset.complete = String(complete);
}

function caption(context, row) {
  let words = `${columns.class[row]}  ${columns.id[row].split("/")[1]}`;
  const room = grid.kinds.length * grid.side;
  while (words.length > 4 && context.measureText(words).width > room) words = words.slice(0, -2) + "…";
  return words;
}

// ---- the detail view ----
let current = 0;

function open(place) {
  current = Math.max(0, Math.min(place, shown.length - 1));
  if (!byId("detail").open) byId("detail").showModal();
  drawDetail();
}

function drawDetail() {
  const row = shown[current];
  if (row === undefined) return;
  byId("name").textContent = `${columns.id[row]} · ${columns.class[row]}`;
  for (const kind of ["rgb", "depth"]) {
    const picture = byId(`big-${kind}`);
    picture.hidden = !data.kinds.includes(kind);
    if (picture.hidden) continue;
    picture.width = picture.height = 640;
    const context = picture.getContext("2d");
    drawThumbnail(context, kind, row, 0, 0, 640);
    if (byId("landmarks").checked) drawLandmarks(context, row);
  }
  drawRelief(row);
  byId("facts").replaceChildren(...Object.keys(columns).map((name) => {
    const line = document.createElement("tr");
    const value = columns[name][row];
    const shownValue = Array.isArray(value) ? value.map((v) => v ?? "unknown").join(", ") : value ?? "unknown";
    for (const cell of [name.replaceAll("_", " "), shownValue === "" ? "–" : shownValue]) {
      line.insertCell().textContent = cell;
    }
    return line;
  }));
}

const POINT_COLOURS = ["#0cf", "#f6f", "#fa0"];

// places as bytes, see _points_in_bytes: decoded once, when a scheme is first drawn
const places = {};
function placesOf(scheme) {
  places[scheme] ??= Uint8Array.from(atob(byId(`landmarks-${scheme}`).textContent.trim()), (c) => c.charCodeAt(0));
  return places[scheme];
}

function drawLandmarks(context, row) {
  const scale = 640 / data.size;
  Object.entries(data.landmarks).forEach(([scheme, count], number) => {
    const bytes = placesOf(scheme), radius = count > 100 ? 1.5 : 3;
    context.fillStyle = POINT_COLOURS[number % 3];
    for (let place = row * count * 2; place < (row + 1) * count * 2; place += 2) {
      if (!bytes[place]) continue;
      context.beginPath();
      context.arc((bytes[place] - 1) / 254 * 640, (bytes[place + 1] - 1) / 254 * 640, radius, 0, 2 * Math.PI);
      context.fill();
    }
  });
  for (const name of data.points) {
    const [x, y] = columns[name][row];
    if (x === null) continue;
    for (const [colour, width] of [["#000", 5], [name.includes("eye") ? "#4f4" : "#ff0", 2]]) {
      context.strokeStyle = colour; context.lineWidth = width;
      context.beginPath(); context.arc((x + 0.5) * scale, (y + 0.5) * scale, 9, 0, 2 * Math.PI); context.stroke();
    }
  }
}

// ---- the face in space: every pixel with depth is a small square; near ones hide those behind ----
const SURFACES = { rgb: "picture", depth: "depth", shaded: "shaded", normals: "normals" };
const turned = { yaw: 0, pitch: 0 };
const LIMIT = Math.PI / 2;
let relief = null;

// heights of a sample in widths of the picture, NaN where there is none; read back from the colours of its thumbnail
function reliefOf(row) {
  if (relief && relief.row === row) return relief;
  const n = data.thumbnail;
  const pixelsOf = (kind) => {
    const small = document.createElement("canvas");
    small.width = small.height = n;
    const context = small.getContext("2d", { willReadFrequently: true });
    return drawThumbnail(context, kind, row, 0, 0, n) ? context.getImageData(0, 0, n, n).data : null;
  };
  const depth = pixelsOf("depth"), rgb = data.kinds.includes("rgb") ? pixelsOf("rgb") : depth;
  if (!depth || !rgb) return null;
  const z = new Float32Array(n * n);
  for (let k = 0; k < n * n; k++) {
    const [r, g, b] = depth.subarray(4 * k, 4 * k + 3);
    const isGrey = Math.max(r, g, b) - Math.min(r, g, b) < 25;
    // the colours of depth are about evenly bright from far (31) to near (215)
    z[k] = isGrey ? NaN : ((0.299 * r + 0.587 * g + 0.114 * b - 31) / 184 - 0.5) * data.relief[row];
  }
  const normals = new Float32Array(3 * n * n);
  for (let k = 0; k < n * n; k++) {
    const step = (forward, back) => {
      const slope = (z[forward] - z[back]) * n / 2;
      return Number.isFinite(slope) ? slope : 0;
    };
    const x = -step(k + 1, k - 1), y = step(k + n, k - n), length = Math.hypot(x, y, 1);
    normals.set([x / length, y / length, 1 / length], 3 * k);
  }
  relief = { row, n, z, colours: { rgb, depth }, normals };
  return relief;
}

// x to the right, y up, z to the viewer, in widths of the picture: turned by yaw about y, then by pitch about x
function projected(x, y, z) {
  const { yaw, pitch } = turned;
  const right = x * Math.cos(yaw) + z * Math.sin(yaw), toward = z * Math.cos(yaw) - x * Math.sin(yaw);
  return [right, y * Math.cos(pitch) + toward * Math.sin(pitch), toward * Math.cos(pitch) - y * Math.sin(pitch)];
}

function colourOf({ colours, normals }, k, surface) {
  const [x, y, z] = normals.subarray(3 * k, 3 * k + 3);
  if (surface === "normals") return [128 + 127 * x, 128 + 127 * y, 128 + 127 * z];
  if (surface === "shaded") return Array(3).fill(40 + 200 * Math.max(0, 0.4 * y + 0.3 * x + 0.85 * z));
  return colours[surface].subarray(4 * k, 4 * k + 3);
}

function drawRelief(row) {
  const found = data.kinds.includes("depth") ? reliefOf(row) : null;
  byId("space").hidden = !data.kinds.includes("depth");
  if (!found) return;
  const { n, z } = found, canvas = byId("relief"), side = canvas.width, surface = byId("surface").value;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(side, side), nearest = new Float32Array(side * side).fill(-Infinity);
  // as large as the piece of surface that a pixel stands for looks when it is turned: steep ones have no gaps
  const extent = (angle, slope) =>
    Math.min(12, 1 + Math.ceil(side / n * (Math.cos(angle) + Math.abs(Math.sin(angle) * slope))));
  for (let k = 0; k < n * n; k++) {
    if (Number.isNaN(z[k])) continue;
    const [x, y, toward] = projected((k % n + 0.5) / n - 0.5, 0.5 - (Math.floor(k / n) + 0.5) / n, z[k]);
    const [across, up, ahead] = found.normals.subarray(3 * k, 3 * k + 3);
    const wide = extent(turned.yaw, across / ahead), high = extent(turned.pitch, up / ahead);
    const left = Math.round((x + 0.5) * side - wide / 2), top = Math.round((0.5 - y) * side - high / 2);
    const colour = colourOf(found, k, surface);
    for (let line = Math.max(top, 0); line < Math.min(top + high, side); line++) {
      for (let column = Math.max(left, 0); column < Math.min(left + wide, side); column++) {
        const place = line * side + column;
        if (nearest[place] >= toward) continue;
        nearest[place] = toward;
        picture.data.set(colour, 4 * place);
        picture.data[4 * place + 3] = 255;
      }
    }
  }
  context.putImageData(picture, 0, 0);
  if (!byId("landmarks").checked) return;
  Object.entries(data.landmarks).forEach(([scheme, count], number) => {
    const bytes = placesOf(scheme);
    context.fillStyle = POINT_COLOURS[number % 3];
    for (let place = row * count * 2; place < (row + 1) * count * 2; place += 2) {
      const u = (bytes[place] - 1) / 254, v = (bytes[place + 1] - 1) / 254;
      const k = Math.min(Math.floor(v * n), n - 1) * n + Math.min(Math.floor(u * n), n - 1);
      if (!bytes[place] || Number.isNaN(z[k])) continue;
      const [x, y, toward] = projected(u - 0.5, 0.5 - v, z[k]);
      const px = (x + 0.5) * side, py = (0.5 - y) * side;
      if (nearest[Math.floor(py) * side + Math.floor(px)] > toward + 0.04) continue;  // behind the face
      context.beginPath(); context.arc(px, py, count > 100 ? 1 : 2, 0, 2 * Math.PI); context.fill();
    }
  });
}

function turnBy(right, down) {
  turned.yaw = Math.max(-LIMIT, Math.min(LIMIT, turned.yaw + right));
  turned.pitch = Math.max(-LIMIT, Math.min(LIMIT, turned.pitch - down));
  drawRelief(shown[current]);
}

function lookFromTheFront() { turned.yaw = turned.pitch = 0; drawRelief(shown[current]); }

for (const [name, title] of Object.entries(SURFACES)) {
  if (name !== "rgb" || data.kinds.includes("rgb")) byId("surface").append(new Option(title, name));
}
byId("surface").onchange = () => drawRelief(shown[current]);
byId("frontal").onclick = byId("relief").ondblclick = lookFromTheFront;
byId("relief").onpointerdown = (event) => event.target.setPointerCapture(event.pointerId);
byId("relief").onpointermove = (event) => {
  if (event.buttons) turnBy(event.movementX / 100, event.movementY / 100);
};

function placeAt(event) {
  const box = canvas.getBoundingClientRect();
  const column = Math.floor((event.clientX - box.left - GAP) / grid.width);
  const line = Math.floor((event.clientY - box.top + scroll.scrollTop - GAP) / grid.height);
  return column >= 0 && column < grid.across ? line * grid.across + column : -1;
}

canvas.onclick = (event) => { const place = placeAt(event); if (place >= 0 && place < shown.length) open(place); };
scroll.onscroll = schedule;
window.onresize = () => { if (window.innerWidth > 600) byId("panel").open = true; layout(); };
byId("previous").onclick = () => open(current - 1);
byId("next").onclick = () => open(current + 1);
byId("close").onclick = () => byId("detail").close();
byId("landmarks").onchange = drawDetail;
window.addEventListener("keydown", (event) => {
  if (!byId("detail").open) return;
  if (event.key === "ArrowLeft") open(current - 1);
  if (event.key === "ArrowRight") open(current + 1);
});

// on a phone the pictures come first: filters are folded away until they are asked for
byId("panel").open = window.innerWidth > 600;
byId("panel").ontoggle = layout;
buildFilters();
refilter();
document.body.dataset.ready = "true";
