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
    context.fillStyle = ["#0cf", "#f6f", "#fa0"][number % 3];
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
