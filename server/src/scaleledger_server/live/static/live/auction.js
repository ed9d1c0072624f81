// Shows each scale's live weight and its last weighing. Everything shown comes from the server's snapshot and what follows it;
// after every reconnect a new snapshot replaces all. A value that is older than 2 s is not shown as a weight.
"use strict";
const FRESH_MS = 2000;
const SILENT_MS = 45000;
const WAIT_MS = [500, 1000, 2000, 4000, 8000, 15000];
const STATES = {
  boot: "Starting", unregistered: "Not in use yet", disconnected: "Scale does not answer", idle: "Ready",
  measuring: "Weighing", saving: "Saving", saved: "Saved, take the load off", "": "",
};
const main = document.getElementById("stations");
const state = document.getElementById("state");
const news = document.getElementById("news");
const blank = document.getElementById("station");
const shown = new Map();
const online = new Map();
let tries = 0;
let delay = Infinity; // the least time by which a message seemed late: the clocks' difference

function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

function part(card, selector) {
  return card.element.querySelector(selector);
}

function keyOf(station) {
  return JSON.stringify([station.gateway, station.station]);
}

function cardOf(station) {
  const key = keyOf(station);
  let card = shown.get(key);
  if (!card) {
    card = { gateway: station.gateway, name: station.station || "Scale", live: null, until: 0, last: null,
      element: blank.content.cloneNode(true).firstElementChild };
    text(part(card, "h2"), card.name);
    shown.set(key, card);
    const after = [...shown.keys()].sort().indexOf(key);
    main.insertBefore(card.element, main.querySelectorAll("article.station")[after] ?? null);
    arrange();
    showLast(card);
  }
  return card;
}

function arrange() {
  document.body.dataset.count = String(Math.min(shown.size, 10));
  document.getElementById("plain")?.toggleAttribute("hidden", shown.size > 0);
}

function words(live) {
  if (live.link === "down") return "Scale does not answer";
  if (live.link === "opening") return "Connecting to the scale";
  const known = STATES[live.state] ?? live.state.replaceAll("_", " ");
  const motion = live.stable === true ? "stable" : live.stable === false ? "moving" : "";
  return [known, motion].filter(Boolean).join(" · ");
}

function showLive(card) {
  const there = online.get(card.gateway) === true && socket?.readyState === WebSocket.OPEN;
  const fresh = there && card.live !== null && performance.now() < card.until;
  const reading = fresh && card.live.weight !== null && card.live.link === "up";
  text(part(card, ".now .weight"), reading ? card.live.weight : "–");
  text(part(card, ".now .unit"), reading ? card.live.unit : "");
  part(card, ".now .weight").style.setProperty("--digits", String(Math.max(6, reading ? card.live.weight.length : 0)));
  text(part(card, ".words"), fresh ? words(card.live) : there ? "No signal" : "Offline");
  text(part(card, ".card"), fresh ? whose(card.live) : "");
  const look = !there ? "offline" : !fresh ? "silent" : card.live.link !== "up" ? "fault"
    : card.live.stable ? "stable" : "moving";
  if (card.element.dataset.look !== look) card.element.dataset.look = look;
  text(part(card, ".link"), there ? "" : "Gateway offline");
}

function showLast(card) {
  const last = card.last;
  card.element.classList.toggle("none", !last);
  card.element.classList.toggle("void", last?.void === true);
  text(part(card, ".seq"), last ? [last.seq ? `No. ${last.seq}` : "", last.void ? "void" : ""].filter(Boolean).join(", ") : "");
  text(part(card, ".sold .weight"), last ? last.weight : "none yet");
  text(part(card, ".sold .unit"), last ? last.unit : "");
  const tick = part(card, ".tick");
  text(tick, last?.covered ? "✓" : "");
  tick.title = last?.covered ? "Held at the centre, every record before it too" : "";
  const names = last ? [last.producer, last.species].filter(Boolean) : [];
  text(part(card, ".whose .first"), last ? names[0] ?? whose(last) : "");
  text(part(card, ".whose .second"), names[1] ?? "");
  const when = last ? new Date(last.measured_at) : null;
  text(part(card, ".when"), when ? when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }) : "");
}

function whose(of) {
  return [of.producer, of.species].filter(Boolean).join(" · ") || (of.card ? `Card ${of.card}` : "");
}

function announce(card) {
  const last = card.last;
  text(news, `${card.name}: ${last.weight} ${last.unit}${last.producer ? `, ${last.producer}` : ""}, number ${last.seq ?? ""}`);
}

function take(station, age) {
  const card = cardOf(station);
  card.live = station;
  card.until = performance.now() + FRESH_MS - age;
  showLive(card);
}

function lateBy(at) {
  const late = Date.now() - at;
  delay = Math.min(delay, late);
  return late - delay;
}

const take_ = {
  snapshot(message) {
    delay = Infinity;
    lateBy(message.at);
    online.clear();
    for (const gateway of message.gateways) online.set(gateway.gateway, gateway.online);
    const present = new Set(message.stations.map(keyOf));
    for (const [key, card] of shown) {
      if (!present.has(key)) {
        card.element.remove();
        shown.delete(key);
      }
    }
    for (const station of message.stations) {
      const card = cardOf(station);
      text(part(card, ".where"), station.description || (station.gateway_name === card.name ? "" : station.gateway_name));
      const changed = card.last && station.last && card.last.seq !== station.last.seq;
      card.last = station.last;
      card.live = null;
      showLast(card);
      if (changed) announce(card);
      if (station.live) take(station.live, station.live.age_ms);
      showLive(card);
    }
    arrange();
  },
  live(message) {
    const late = lateBy(message.at);
    if (late < FRESH_MS) for (const station of message.stations) take(station, late);
  },
  weighing(message) {
    for (const last of message.stations) {
      const card = cardOf(last);
      const changed = JSON.stringify(card.last) !== JSON.stringify(last);
      const fresh = card.last?.seq !== last.seq || card.last?.measured_at !== last.measured_at;
      card.last = last;
      if (changed) showLast(card);
      showLive(card);
      if (!fresh) continue;
      announce(card);
      card.element.classList.remove("new");
      void card.element.offsetWidth; // lets the highlight begin anew
      card.element.classList.add("new");
    }
  },
  online: (message) => setOnline(message.gateway, true),
  offline: (message) => setOnline(message.gateway, false),
};

function setOnline(gateway, there) {
  online.set(gateway, there);
  for (const card of shown.values()) {
    if (card.gateway !== gateway) continue;
    if (!there) card.live = null;
    showLive(card);
  }
}

let socket = null;
let silence = 0;

function heard() {
  clearTimeout(silence);
  silence = setTimeout(() => socket?.close(), SILENT_MS);
}

function connect() {
  const own = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/live/`);
  socket = own;
  own.onopen = () => {
    const only = main.dataset.gateway;
    own.send(JSON.stringify(only ? { type: "watch", stations: [{ gateway: Number(only) }] } : { type: "watch", all: true }));
    heard();
  };
  own.onmessage = (event) => {
    if (own !== socket) return;
    heard();
    const message = JSON.parse(event.data);
    if (message.type === "snapshot") {
      tries = 0;
      document.body.dataset.connection = "open";
      text(state, "Connected");
    }
    take_[message.type]?.(message);
  };
  own.onclose = (event) => {
    if (own !== socket) return;
    clearTimeout(silence);
    document.body.dataset.connection = "lost";
    if (event.code === 4401) {
      text(state, "Please log in again");
      location.reload();
      return;
    }
    text(state, "No connection to the server. Trying again …");
    for (const card of shown.values()) showLive(card);
    const wait = WAIT_MS[Math.min(tries, WAIT_MS.length - 1)];
    tries += 1;
    setTimeout(connect, wait * (0.5 + Math.random() / 2));
  };
}

setInterval(() => {
  for (const card of shown.values()) showLive(card);
}, 250);
if (main.dataset.gateway !== "0") {
  text(state, "Connecting …");
  connect();
}
