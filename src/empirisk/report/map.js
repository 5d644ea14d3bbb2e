"use strict";
document.documentElement.classList.add("js");

const points = JSON.parse(document.getElementById("points").textContent);
const unpacked = (text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true));
};
const NOWHERE = 65535, TOP = 65000, n = points.ids.length;
const group = unpacked(points.group), planes = points.planes.map((p) => ({ ...p, xy: unpacked(p.xy) }));
const shown = points.names.map(() => true);
const canvas = document.querySelector(".map canvas"), tip = document.querySelector(".tip"), pen = canvas.getContext("2d");
let plane = planes[0], view = { x: TOP / 2, y: TOP / 2, zoom: 0.94 }, side = 1, chosen = -1;

// Places in the window of the canvas, which is square.
const at = (i) => [((plane.xy[2 * i] - view.x) * view.zoom / TOP + 0.5) * side, (0.5 - (plane.xy[2 * i + 1] - view.y) * view.zoom / TOP) * side];
const seen = (i) => shown[group[i]] && plane.xy[2 * i] !== NOWHERE;

function draw() {
  const style = getComputedStyle(document.documentElement), scale = devicePixelRatio || 1;
  side = canvas.clientWidth;
  canvas.width = canvas.height = Math.round(side * scale);
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  const size = Math.min(6, Math.max(2, 160 / Math.sqrt(n)) * Math.sqrt(view.zoom));
  points.names.forEach((_, g) => {
    pen.fillStyle = style.getPropertyValue(`--s${g % 8}`);
    pen.globalAlpha = n > 5000 ? 0.6 : 0.85;
    for (let i = 0; i < n; i++) {
      if (group[i] !== g || !seen(i)) continue;
      const [u, v] = at(i);
      if (u > -size && v > -size && u < side + size && v < side + size) pen.fillRect(u - size / 2, v - size / 2, size, size);
    }
  });
  if (chosen < 0 || !seen(chosen)) return;
  const [u, v] = at(chosen);
  pen.globalAlpha = 1;
  pen.strokeStyle = style.getPropertyValue("--ink");
  pen.lineWidth = 2;
  pen.strokeRect(u - size / 2 - 3, v - size / 2 - 3, size + 6, size + 6);
}

function choose(i) {
  if (i === chosen) return;
  chosen = i;
  tip.hidden = i < 0 || !seen(i);
  if (!tip.hidden) {
    tip.replaceChildren();
    if (points.pictures[i]) {
      const image = new Image();
      image.src = points.pictures[i];
      image.alt = "";
      tip.append(image);
    }
    const words = document.createElement("p"), name = document.createElement("b");
    name.textContent = points.names[group[i]];
    words.append(name, document.createElement("br"), points.ids[i]);
    tip.append(words);
    const [u, v] = at(i);
    tip.style.left = `${Math.max(0, Math.min(u + 12, side - tip.offsetWidth))}px`;
    tip.style.top = `${Math.max(0, v + 12 + tip.offsetHeight > side ? v - 12 - tip.offsetHeight : v + 12)}px`;
    document.getElementById("said").textContent = `${points.ids[i]}, ${points.names[group[i]]}`;
  }
  draw();
}

function nearest(u, v) {
  let best = -1, least = 144;
  for (let i = 0; i < n; i++) {
    if (!seen(i)) continue;
    const [a, b] = at(i), d = (a - u) ** 2 + (b - v) ** 2;
    if (d < least) [best, least] = [i, d];
  }
  return best;
}

function buttons(place, names, press) {
  const bar = document.getElementById(place);
  names.forEach((name, k) => {
    const button = document.createElement("button");
    button.type = "button";
    if (place === "groups") {
      const dot = document.createElement("i");
      dot.className = `dot s${k % 8}`;
      button.append(dot);
    }
    button.append(name);
    button.setAttribute("aria-pressed", String(place === "groups" || k === 0));
    button.addEventListener("click", () => { press(k, button, bar); chosen = -1; tip.hidden = true; draw(); });
    bar.append(button);
  });
}

buttons("planes", planes.map((p) => p.name), (k, button, bar) => {
  plane = planes[k];
  view = { x: TOP / 2, y: TOP / 2, zoom: 0.94 };
  document.getElementById("words").textContent = plane.text;
  bar.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
});
if (points.names.length > 1) buttons("groups", points.names, (k, button) => {
  shown[k] = !shown[k];
  button.setAttribute("aria-pressed", String(shown[k]));
});

let held = null;
canvas.addEventListener("pointerdown", (e) => { held = [e.offsetX, e.offsetY, view.x, view.y]; canvas.setPointerCapture(e.pointerId); });
canvas.addEventListener("pointerup", (e) => { held = null; choose(nearest(e.offsetX, e.offsetY)); });
canvas.addEventListener("pointermove", (e) => {
  if (!held) return choose(nearest(e.offsetX, e.offsetY));
  view.x = held[2] - (e.offsetX - held[0]) * TOP / side / view.zoom;
  view.y = held[3] + (e.offsetY - held[1]) * TOP / side / view.zoom;
  choose(-1);
  draw();
});
canvas.addEventListener("pointerleave", () => choose(-1));
canvas.addEventListener("wheel", (e) => {
  e.preventDefault();
  const zoom = Math.min(200, Math.max(0.94, view.zoom * 2 ** (-e.deltaY / 300)));
  const [u, v] = [e.offsetX / side - 0.5, 0.5 - e.offsetY / side], more = TOP / view.zoom - TOP / zoom;
  view = { x: view.x + u * more, y: view.y + v * more, zoom };
  choose(-1);
  draw();
}, { passive: false });
canvas.addEventListener("keydown", (e) => {
  const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
  if (e.key === "Escape") { view = { x: TOP / 2, y: TOP / 2, zoom: 0.94 }; choose(-1); draw(); }
  if (!way) return;
  e.preventDefault();
  for (let k = 1, i = chosen < 0 && way < 0 ? 0 : chosen; k <= n; k++) {
    i = (i + way + n) % n;
    if (seen(i)) return choose(i);
  }
});
addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
