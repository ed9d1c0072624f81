// Keeps the list of scales as the server knows them; says since when there was no answer.
"use strict";
const list = document.getElementById("scales");
const blank = document.getElementById("scale");
const state = document.getElementById("state");
const PERIOD_MS = 2000;
const STANDING = {
  online: "Online", idle: "Idle", stale: "Not heard lately", disconnected: "Disconnected", unknown: "Not seen yet",
  silent: "Gateway not heard",
};
const WORK = { active: "at work", paused: "paused", pending: "begins" };
let lostAt = null;

function show(card, scale) {
  const session = scale.session;
  card.dataset.scale = scale.id;
  card.dataset.standing = scale.standing;
  card.dataset.work = session ? session.status : "";
  card.querySelector("a").href = session ? `/shifts/sessions/${session.id}/` : `/shifts/scales/${scale.id}/`;
  text(card.querySelector(".name"), scale.name);
  text(card.querySelector(".site"), scale.site);
  text(card.querySelector(".standing"), STANDING[scale.standing] ?? scale.standing);
  text(card.querySelector(".animal"), session ? session.animal_tag : "Free");
  const words = session ? [`${WORK[session.status]} since ${clock(session.started_at)}`, session.operator] : [];
  text(card.querySelector(".since"), words.filter(Boolean).join(", "));
}

async function refresh() {
  if (!document.hidden) {
    try {
      const told = await ask(list.dataset.source);
      const cards = new Map([...list.children].map((card) => [card.dataset.scale, card]));
      for (const scale of told.scales) {
        const card = cards.get(String(scale.id)) ?? blank.content.cloneNode(true).firstElementChild;
        cards.delete(String(scale.id));
        show(card, scale);
        if (!card.isConnected) list.append(card);
      }
      for (const card of cards.values()) card.remove();
      document.getElementById("none").hidden = told.scales.length > 0;
      lostAt = null;
      text(state, "");
    } catch (error) {
      lostAt ??= new Date();
      text(state, error instanceof Refused ? error.message : `No answer from the server since ${clock(lostAt, true)}`);
    }
  }
  setTimeout(refresh, PERIOD_MS);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) state.textContent = ""; });
refresh();
