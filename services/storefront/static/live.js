// Follows an order by server-sent events, or by loading its page if no events arrive. Without this script, the page has a link that
// loads the current state.
"use strict";
const part = document.getElementById("progress");
const said = document.getElementById("said");
const EVERY = 2000; // milliseconds between two pages

function show(content) {
  const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  part.innerHTML = content; // rendered and escaped by the server, as the rest of the page
  said.textContent = part.querySelector("p").innerText;
  if (focused !== null) {
    const same = [...part.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
    (same || document.getElementById("main")).focus();
  }
}

function ended() {
  return !part.querySelector(`a[href="${part.dataset.page}"]`);
}

function follow() {
  const events = new EventSource(`${part.dataset.page}/live?seen=${encodeURIComponent(part.dataset.version)}`);
  let failures = 0;
  events.onopen = () => { failures = 0; };
  events.onmessage = (event) => {
    show(JSON.parse(event.data));
    if (ended()) events.close();
  };
  events.onerror = () => {
    // Each response ends at once, and the browser asks again by itself, except after one that is no stream of events.
    failures += 1;
    if (events.readyState === EventSource.CLOSED || failures > 2) {
      events.close();
      poll();
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
    if (response.ok) {
      const found = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("progress");
      if (found.dataset.version !== part.dataset.version) {
        part.dataset.version = found.dataset.version;
        show(found.innerHTML);
      }
      if (ended()) return;
    }
  } catch {
    // The network is away: the next request may succeed.
  }
  setTimeout(poll, EVERY);
}

if ("EventSource" in window) follow(); else poll();
