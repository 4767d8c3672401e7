// Follows an order. Without this script, the page has a link that loads the current state.
"use strict";
const part = document.getElementById("progress");
let seen = part.dataset.version;

function show(content) {
  const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  part.innerHTML = content; // rendered and escaped by the server, as the rest of the page
  if (focused !== null) {
    const same = [...part.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
    (same || document.getElementById("main")).focus();
  }
}

function follow() {
  const events = new EventSource(`${part.dataset.live}?seen=${encodeURIComponent(seen)}`);
  let ended = false;
  events.onmessage = (event) => {
    seen = event.lastEventId;
    show(JSON.parse(event.data));
    ended = !part.querySelector(`a[href="${location.pathname}"]`);
    if (ended) events.close();
  };
  events.onerror = () => {
    // The browser asks again by itself, except after a response that is no stream of events: then the page does.
    if (!ended && events.readyState === EventSource.CLOSED) setTimeout(poll, 5000);
  };
}

// One request without EventSource: it tells whether there is something to follow.
async function poll() {
  try {
    const response = await fetch(`${part.dataset.live}?seen=${encodeURIComponent(seen)}`);
    if (response.status === 204) return;
    if (response.status === 401) { location.reload(); return; }
    if (response.ok) { follow(); return; }
  } catch {
    // The network is away: the next request may succeed.
  }
  setTimeout(poll, 5000);
}

follow();
