"use strict";
// Brings the marked part of the page up to date while somebody looks at it.
const part = document.querySelector("[data-refresh]");
const pause = Number(part.dataset.refresh) * 1000;

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") { location.reload(); return; }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-refresh]");
    if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceChildren(...document.adoptNode(fresh).childNodes);
  } catch { /* the gateway is being restarted: the next try finds it */ }
}

(async () => {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    await refresh();
  }
})();
