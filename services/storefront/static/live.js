// Follows an order by server-sent events, or by loading its page if no events arrive. Without this script, the page has a link that
// loads the current state.
"use strict";
const part = document.getElementById("progress");
const said = document.getElementById("said");
const stale = document.getElementById("stale");
const EVERY = 2000; // milliseconds between two pages
let currentAt = new Date();
let hasStreamed = false;

function show(content, version) {
  const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  part.dataset.version = version;
  part.innerHTML = content; // rendered and escaped by the server, as the rest of the page
  said.textContent = part.querySelector("p").innerText;
  if (focused !== null) {
    const same = [...part.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
    (same || document.getElementById("main")).focus();
  }
}

function isCurrent() {
  currentAt = new Date();
  stale.hidden = true;
}

function isFrom(at) {
  const time = stale.querySelector("time");
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleTimeString(document.documentElement.lang);
  stale.hidden = false;
}

function ended() {
  return !part.querySelector(`a[href="${part.dataset.page}"]`);
}

function follow() {
  const events = new EventSource(`${part.dataset.page}/live?seen=${encodeURIComponent(part.dataset.version)}`);
  let failures = 0;
  const instead = () => {
    events.close();
    poll();
  };
  const patience = setTimeout(instead, part.dataset.patience * 1000); // a proxy may hold events back
  events.onopen = () => {
    failures = 0;
    hasStreamed = true;
    clearTimeout(patience);
  };
  events.onmessage = (event) => {
    isCurrent();
    show(JSON.parse(event.data), event.lastEventId);
    if (ended()) events.close();
  };
  events.addEventListener("current", isCurrent);
  events.addEventListener("stale", (event) => isFrom(event.data ? new Date(event.data) : currentAt));
  events.onerror = () => {
    // After the end of a stream, the browser connects again by itself, except after a response that is no stream.
    failures += 1;
    if (events.readyState === EventSource.CLOSED || failures > 2) {
      clearTimeout(patience);
      instead();
    }
  };
}

async function poll() {
  try {
    const response = await fetch(part.dataset.page);
    if (response.status >= 400 && response.status < 500) {
      location.assign(part.dataset.page); // the sign-in has ended: the page says so
      return;
    }
    if (!response.ok) throw new Error(response.statusText);
    const found = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("progress");
    isCurrent();
    if (found.dataset.version !== part.dataset.version) show(found.innerHTML, found.dataset.version);
    if (ended()) return;
    if (hasStreamed) { // the storefront was away, for example during an update
      hasStreamed = false;
      follow();
      return;
    }
  } catch {
    isFrom(currentAt); // the next request may succeed
  }
  setTimeout(poll, EVERY);
}

if ("EventSource" in window) follow(); else poll();
