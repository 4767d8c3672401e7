// Keeps a page up to date. Without this script, the page reloads itself at intervals.
"use strict";

const POLL_SECONDS = 5;
let version = document.body.dataset.version;
let stream = null;
let timer = null;
let due = 0;
let loading = null;
let isOutdated = false;

// A selector for the element that has the focus, which finds it again in the new content.
function place() {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  if (element.id) return `#${CSS.escape(element.id)}`;
  for (const name of ["href", "data-copy", "aria-label", "aria-labelledby"]) {
    const value = element.getAttribute(name);
    if (value) return `${element.localName}[${name}="${CSS.escape(value)}"]`;
  }
  return null;
}

function replace(page) {
  const main = document.querySelector("main");
  const next = page.querySelector("main");
  const status = document.getElementById("status");
  const said = page.getElementById("status");
  if (!next || !said) return;
  const scrolled = [...main.querySelectorAll(".scroll")].map((each) => [each.scrollLeft, each.scrollTop]);
  const typed = main.querySelector("input");
  if (typed && document.activeElement === typed) return;
  if (main.innerHTML !== next.innerHTML) {
    const focused = main.contains(document.activeElement) ? place() : null;
    main.replaceChildren(...next.childNodes);
    [...main.querySelectorAll(".scroll")].forEach((each, index) => {
      [each.scrollLeft, each.scrollTop] = scrolled[index] || [0, each.scrollHeight];
    });
    prepare();
    if (focused) (main.querySelector(focused) || main).focus({ preventScroll: true });
  }
  if (status.textContent !== said.textContent) status.textContent = said.textContent;
  document.title = page.title;
  version = page.body.dataset.version;
  document.body.dataset.refresh = page.body.dataset.refresh;
}

async function load() {
  clearTimeout(timer);
  timer = null;
  // A page that is being loaded may be older than the change that asks for it.
  isOutdated = Boolean(loading);
  if (loading || document.hidden) return;
  loading = new AbortController();
  const limit = setTimeout(() => loading.abort(), 60000);
  try {
    const answer = await fetch(location.href, { signal: loading.signal, credentials: "same-origin" });
    if (!(answer.headers.get("Content-Type") || "").startsWith("text/html")) throw new Error("ended");
    replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    const status = document.getElementById("status");
    const said = "kubectl shop ui does not respond. Is it still running?";
    if (status.textContent !== said) status.textContent = said;
  } finally {
    clearTimeout(limit);
    loading = null;
    if (isOutdated) load();
    else plan();
  }
}

// Load the page again later: at its own interval, or more often while there is no stream.
function plan() {
  const own = Number(document.body.dataset.refresh);
  const isOpen = stream && stream.readyState === EventSource.OPEN;
  const seconds = isOpen || !own ? own : Math.min(own, POLL_SECONDS);
  const then = Date.now() + seconds * 1000;
  // A stream that keeps failing must not postpone the next load.
  if (!seconds || (timer && due <= then)) return;
  clearTimeout(timer);
  due = then;
  timer = setTimeout(load, seconds * 1000);
}

function connect() {
  if (stream) stream.close();
  stream = new EventSource(`/live?seen=${encodeURIComponent(version)}`);
  stream.addEventListener("changed", load);
  stream.addEventListener("error", plan);
  stream.addEventListener("open", plan);
}

function prepare() {
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = !navigator.clipboard;
    button.onclick = async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      document.getElementById("status").textContent = `Copied: ${button.dataset.copy}`;
    };
  }
}

prepare();
const log = document.getElementById("log");
if (log) log.scrollTop = log.scrollHeight;
if (Number(document.body.dataset.refresh)) {
  // A browser opens few connections to one server, so a hidden page needs none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stream.close();
    else {
      connect();
      load();
    }
  });
  connect();
  plan();
}
