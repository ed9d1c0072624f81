// Starts a session. The session's id is made here and kept until the server has answered, so that a second tap, a second try
// after a lost answer and a reloaded page are all the same start.
"use strict";
const form = document.getElementById("start");
const state = document.getElementById("state");
const AGAIN_MS = 1500;

function freshId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is there only on secure pages
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function idFor(key) {
  const kept = sessionStorage.getItem(key) ?? freshId();
  sessionStorage.setItem(key, kept);
  return kept;
}

async function begin(asked, key) {
  for (;;) {
    try {
      const session = await ask(form.getAttribute("action"), { ...asked, session_id: idFor(key) });
      sessionStorage.removeItem(key);
      location.replace(`${form.dataset.sessions}${session.id}/`);
      return;
    } catch (error) {
      if (error instanceof Refused) {
        sessionStorage.removeItem(key);
        throw error;
      }
      text(state, words("trying_again"));
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

let busy = false;
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const trouble = form.querySelector(".trouble");
  const tag = form.animal_tag.value.trim();
  if (busy || !tag) return;
  busy = true;
  form.classList.add("busy");
  say(trouble, "");
  try {
    const asked = { scale: Number(form.dataset.scale), animal_tag: tag, species: form.species.value };
    await begin(asked, `start ${form.dataset.scale} ${tag}`);
  } catch (error) {
    text(state, "");
    say(trouble, error.message);
    trouble.scrollIntoView({ block: "center" });
    form.classList.remove("busy");
    busy = false;
  }
});

for (const chip of form?.querySelectorAll("button.chip") ?? []) {
  chip.addEventListener("click", () => {
    form.animal_tag.value = chip.dataset.tag;
    const species = [...form.querySelectorAll("[name=species]")].find((one) => one.value === chip.dataset.species);
    if (species) species.checked = true;
  });
}
