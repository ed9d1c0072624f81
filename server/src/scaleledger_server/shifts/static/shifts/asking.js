// Asking the server, for all of these pages: JSON in and out, with the page's CSRF token; a refusal's words are for people.
"use strict";
const ANSWER_WITHIN_MS = 5000;
const WORDS = JSON.parse(document.getElementById("words").textContent); // what is said here, in the language of the page

class Refused extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

// The answer's JSON. Throws Refused for what the server turned away, and anything else when there was no answer of it.
async function ask(path, body) {
  const asked = { cache: "no-store", redirect: "error", signal: AbortSignal.timeout(ANSWER_WITHIN_MS), headers: {} };
  if (body === undefined) asked.headers["X-Refresh"] = "1"; // a page that only looks keeps no idle login alive
  else {
    asked.method = "POST";
    asked.body = JSON.stringify(body);
    asked.headers["Content-Type"] = "application/json";
    asked.headers["X-CSRFToken"] = document.querySelector("[name=csrfmiddlewaretoken]").value;
  }
  const answer = await fetch(path, asked);
  if (answer.ok) return answer.json();
  const told = await answer.json().catch(() => ({}));
  if (answer.status >= 500 || !told.code || told.code === "rate_limited") throw new Error(`status ${answer.status}`);
  if (answer.status === 401) location.reload(); // the page itself leads to the login
  throw new Refused(answer.status, told.code, told.detail);
}

function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

// The words of that name with the values in their places: "{count} cuts" → "2 cuts".
function words(name, values = {}) {
  return WORDS[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

function clock(moment, seconds) {
  const shown = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Date(moment).toLocaleTimeString([], seconds ? { ...shown, second: "2-digit" } : shown);
}

// Exact, in digits: 12345 → "12.345", or "12,345" where people write it so.
function kilograms(grams) {
  const digits = String(Math.abs(grams)).padStart(4, "0");
  return `${grams < 0 ? "−" : ""}${digits.slice(0, -3)}${WORDS.decimal_mark}${digits.slice(-3)}`;
}

function say(element, words) {
  text(element, words);
  element.hidden = !words;
}
