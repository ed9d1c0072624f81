// Asks for the lists again every 2 s while somebody looks; says since when there was no answer.
"use strict";
const lists = document.getElementById("lists");
const state = document.getElementById("state");
const PERIOD_MS = 2000;
let lostAt = null;

async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(lists.dataset.source, {
        cache: "no-store",
        headers: { "X-Refresh": "1" },
        redirect: "error",
        signal: AbortSignal.timeout(5000),
      });
      if (answer.status === 401) {
        location.reload(); // the session ended: the page itself leads to the login
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      lists.innerHTML = await answer.text();
      lostAt = null;
      state.textContent = "";
    } catch {
      lostAt ??= new Date();
      state.textContent = `No answer from the server since ${lostAt.toLocaleTimeString()}`;
    }
  }
  setTimeout(refresh, PERIOD_MS);
}
setTimeout(refresh, PERIOD_MS);
