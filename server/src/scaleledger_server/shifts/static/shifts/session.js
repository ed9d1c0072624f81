// One session: its cuts as they are stored, and the buttons. What is shown is keyed by the cut's id, so that what is told
// twice is shown once; after a lost connection the stream goes on from the id that was seen last.
"use strict";
const section = document.getElementById("session");
const state = document.getElementById("state");
const trouble = section.querySelector(".trouble");
const list = document.getElementById("cuts");
const blank = document.getElementById("cut");
const dialog = document.getElementById("confirm");
const SHOWN_MAX = 200;
const SILENT_MS = 25000;
const WAIT_MS = [500, 1000, 2000, 4000, 8000];
const cuts = new Map();
let totals = { count: 0, grams: 0 };
let source = null;
let seen = "";
let tries = 0;
let silence = 0;
let lostAt = null;

function showSession(session) {
  section.dataset.status = session.status;
  const how = session.status === "ended" ? [clock(session.ended_at), session.end_reason && words(session.end_reason)] : [];
  text(section.querySelector(".status strong"), [`${words(session.status)} ${how[0] ?? ""}`.trim(), how[1]].filter(Boolean).join(", "));
  text(section.querySelector(".since time"), clock(session.started_at));
  if (session.status === "ended" && dialog.open) dialog.close();
}

function lineOf(cut) {
  const line = blank.content.cloneNode(true).firstElementChild;
  line.dataset.cut = cut.id;
    text(line.querySelector(".product"), cut.product || words("no_product"));
  text(line.querySelector(".net"), `${kilograms(cut.grams)} kg`);
  const time = line.querySelector("time");
  time.dateTime = cut.at;
  text(time, clock(cut.at, true) + (cut.offline ? ` · ${words("offline")}` : ""));
  return line;
}

function take(told) {
  if (told.whole) {
    cuts.clear();
    list.replaceChildren();
  }
  for (const id of told.gone) {
    cuts.get(id)?.line.remove();
    cuts.delete(id);
  }
  for (const cut of [...told.cuts].reverse()) {
    const before = cuts.get(cut.id);
    if (before && before.cut.revision >= cut.revision) continue;
    before?.line.remove();
    const shown = { cut, line: lineOf(cut) };
    cuts.set(cut.id, shown);
    const next = [...list.children].find((line) => cuts.get(line.dataset.cut).cut.at <= cut.at);
    list.insertBefore(shown.line, next ?? null);
    if (!told.whole) shown.line.classList.add("new");
  }
  while (list.children.length > SHOWN_MAX) {
    cuts.delete(list.lastElementChild.dataset.cut);
    list.lastElementChild.remove();
  }
  totals = { count: told.count, grams: told.grams };
  text(document.getElementById("count"), String(told.count));
  text(document.getElementById("grams"), kilograms(told.grams));
  document.getElementById("none").hidden = told.count > 0;
  document.getElementById("more").hidden = told.count <= list.children.length;
  showSession(told.session);
}

function heard() {
  clearTimeout(silence);
  silence = setTimeout(lost, SILENT_MS);
  tries = 0;
  lostAt = null;
  document.body.dataset.connection = "open";
  text(state, words("live"));
}

function lost() {
  source?.close();
  clearTimeout(silence);
  lostAt ??= new Date();
  document.body.dataset.connection = "lost";
  text(state, words("no_connection_since", { time: clock(lostAt, true) }));
  const wait = WAIT_MS[Math.min(tries, WAIT_MS.length - 1)];
  tries += 1;
  setTimeout(follow, wait * (0.5 + Math.random() / 2));
}

async function follow() {
  if (document.body.dataset.connection === "lost") {
    try {
      showSession(await ask(section.dataset.source)); // also finds out that the login is over
    } catch (error) {
      if (error instanceof Refused) say(trouble, error.message);
      lost();
      return;
    }
  }
  const own = new EventSource(`${section.dataset.stream}${seen ? `?last=${encodeURIComponent(seen)}` : ""}`);
  source = own;
  own.addEventListener("cuts", (event) => {
    if (own !== source) return;
    heard();
    seen = event.lastEventId;
    take(JSON.parse(event.data));
  });
  own.addEventListener("beat", () => { if (own === source) heard(); });
  own.onerror = () => { if (own === source) lost(); };
}

let busy = false;
async function step(name, body) {
  if (busy) return;
  busy = true;
  section.classList.add("busy");
  say(trouble, "");
  try {
    showSession(await ask(`${section.dataset.source}${name}/`, body));
  } catch (error) {
    const refused = error instanceof Refused;
    say(trouble, refused ? error.message : words("press_again"));
  }
  section.classList.remove("busy");
  busy = false;
}

for (const button of section.querySelectorAll("[data-step]")) {
  button.addEventListener("click", () => step(button.dataset.step, {}));
}
document.getElementById("end").addEventListener("click", () => {
  text(dialog.querySelector(".summary"), words(totals.count === 1 ? "one_cut" : "cuts", { count: totals.count, kilograms: kilograms(totals.grams) }));
  if (!dialog.open) dialog.showModal();
});
for (const button of dialog.querySelectorAll("button")) {
  button.addEventListener("click", () => {
    dialog.close();
    if (button.dataset.reason) step("end", { reason: button.dataset.reason });
  });
}
window.addEventListener("offline", () => { if (document.body.dataset.connection === "open") lost(); });
text(state, words("connecting"));
follow();
