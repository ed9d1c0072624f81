// Keeps the list of scales as the server knows them; says since when there was no answer.
"use strict";
const list = document.getElementById("scales");
const blank = document.getElementById("scale");
const state = document.getElementById("state");
const PERIOD_MS = 2000;
let lostAt = null;

function show(card, scale) {
  const session = scale.session;
  card.dataset.scale = scale.id;
  card.dataset.standing = scale.standing;
  card.dataset.work = session ? session.status : "";
  card.querySelector("a").href = session ? `/shifts/sessions/${session.id}/` : `/shifts/scales/${scale.id}/`;
  text(card.querySelector(".name"), scale.name);
  text(card.querySelector(".site"), scale.site);
  text(card.querySelector(".standing"), words(scale.standing));
  text(card.querySelector(".animal"), session ? session.animal_tag : words("free"));
  const since = session ? [words(`${session.status}_since`, { time: clock(session.started_at) }), session.operator] : [];
  text(card.querySelector(".since"), since.filter(Boolean).join(", "));
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
      text(state, error instanceof Refused ? error.message : words("no_answer_since", { time: clock(lostAt, true) }));
    }
  }
  setTimeout(refresh, PERIOD_MS);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) state.textContent = ""; });
refresh();
