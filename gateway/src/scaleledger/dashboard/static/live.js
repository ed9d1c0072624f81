"use strict";
// Draws what the scales show: the newest value at once, and a curve of the last minute.
const SPAN_MS = 60000;
const SILENT_MS = 5000;
const list = document.getElementById("scales");
const link = document.getElementById("live-link");
const scales = new Map();
let heard = 0;

function scale(name) {
  let found = scales.get(name);
  if (found) return found;
  let card = [...list.children].find((one) => one.dataset.station === name);
  if (!card) {
    card = document.getElementById("scale").content.cloneNode(true).firstElementChild;
    card.dataset.station = name;
    card.querySelector("h2").textContent = name;
    list.append(card);
  }
  found = {
    card, points: [], value: card.querySelector(".value"), unit: card.querySelector(".unit"),
    standing: card.querySelector(".standing"), canvas: card.querySelector("canvas"),
  };
  scales.set(name, found);
  return found;
}

function show(live, now) {
  const at = scale(live.station);
  const known = live.weight !== null;
  at.value.textContent = known ? live.weight : "–";
  at.unit.textContent = live.unit;
  at.card.classList.toggle("stable", known && live.stable === true);
  at.card.classList.toggle("dark", !known || live.link !== "up");
  const rest = live.stable === true ? "at rest" : live.stable === false ? "moving" : "";
  at.standing.textContent = live.link === "up" ? [rest, live.state].filter(Boolean).join(", ") : `link ${live.link}`;
  at.points.push([now, known ? Number(live.weight) : null]);
}

function draw(at, now) {
  const { canvas, points } = at;
  while (points.length > 1 && points[1][0] < now - SPAN_MS) points.shift();
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const known = points.filter((point) => point[1] !== null);
  if (!known.length) return;
  const values = known.map((point) => point[1]);
  const low = Math.min(0, ...values), high = Math.max(...values, low + 1e-9);
  const x = (t) => width - ((now - t) / SPAN_MS) * width;
  const y = (v) => height - 4 - ((v - low) / (high - low)) * (height - 8);
  pen.strokeStyle = getComputedStyle(canvas).color;
  pen.globalAlpha = 0.25;
  pen.beginPath(); pen.moveTo(0, y(0)); pen.lineTo(width, y(0)); pen.stroke();
  pen.globalAlpha = 1;
  pen.lineWidth = 2;
  pen.lineJoin = "round";
  pen.beginPath();
  let drawing = false;
  for (const [t, v] of points) {
    if (v === null) { drawing = false; continue; }
    if (drawing) pen.lineTo(x(t), y(v)); else pen.moveTo(x(t), y(v));
    drawing = true;
  }
  const last = points[points.length - 1];
  if (last[1] !== null) pen.lineTo(width, y(last[1]));
  pen.stroke();
}

const source = new EventSource("/live/stream");
source.addEventListener("message", (message) => {
  const now = performance.now();
  heard = now;
  link.textContent = "live";
  for (const live of JSON.parse(message.data)) show(live, now);
});
source.addEventListener("full", () => { source.close(); link.textContent = "too many people are watching; load this page again later"; });
source.addEventListener("error", () => {
  const over = source.readyState === EventSource.CLOSED;
  link.textContent = over ? "ended; load this page again" : "no connection to the gateway; trying again";
});

setInterval(() => {
  const now = performance.now();
  if (heard && now - heard > SILENT_MS && link.textContent === "live") link.textContent = "no news";
  if (!document.hidden) for (const at of scales.values()) draw(at, now);
}, 100);
