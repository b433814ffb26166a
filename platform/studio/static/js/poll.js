// Live fragments without websockets.
//
//   <div data-poll="URL" data-poll-seconds="2">…</div>              replaced by what URL returns
//   <div data-poll="URL" data-poll-mode="append" data-poll-cursor="17">…</div>
//
// "append" asks for URL?after=CURSOR and adds what comes; the answer's X-Next-Cursor header is the
// next cursor. 204 and 304 mean nothing new. X-Poll-Done: 1 ends the polling, X-Poll-Reload: 1
// loads the page again (a run ended: other parts of the page changed too). The row in the database
// is the truth and the page is right after a plain reload; this only saves the reader the key.
const HIDDEN_FACTOR = 5;
const MAX_SECONDS = 60;
const seen = new WeakSet();

const address = (element) => {
  const url = new URL(element.dataset.poll, window.location.href);
  if (element.dataset.pollCursor !== undefined) url.searchParams.set("after", element.dataset.pollCursor);
  return url;
};

const show = (element, html) => {
  if (element.dataset.pollMode === "append") {
    const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    element.insertAdjacentHTML("beforeend", html);
    if (isAtEnd) element.scrollTop = element.scrollHeight;
  } else {
    element.innerHTML = html;
  }
  window.htmx?.process(element);
  element.dispatchEvent(new CustomEvent("poll:updated", { bubbles: true }));
};

const poll = async (element) => {
  const seconds = Number(element.dataset.pollSeconds ?? 2);
  let failures = 0;
  let etag = "";
  while (element.isConnected) {
    const slowdown = (document.hidden ? HIDDEN_FACTOR : 1) * 2 ** failures;
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(seconds * slowdown, MAX_SECONDS)));
    if (!element.isConnected) return;
    try {
      const headers = { "X-Requested-With": "poll" };
      if (etag) headers["If-None-Match"] = etag;
      const answer = await fetch(address(element), { headers, redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect") { window.location.reload(); return; } // signed out
      if (answer.status === 403 || answer.status === 404) return;
      if (!answer.ok && answer.status !== 304) throw new Error(`status ${answer.status}`);
      failures = 0;
      element.removeAttribute("data-poll-stale");
      if (answer.status === 200) {
        etag = answer.headers.get("ETag") ?? "";
        show(element, await answer.text());
      }
      const cursor = answer.headers.get("X-Next-Cursor");
      if (cursor !== null) element.dataset.pollCursor = cursor;
      if (answer.headers.get("X-Poll-Reload") === "1") { window.location.reload(); return; }
      if (answer.headers.get("X-Poll-Done") === "1") return;
    } catch {
      failures = Math.min(failures + 1, 5);
      element.setAttribute("data-poll-stale", ""); // the style sheet says so beside the fragment
    }
  }
};

const start = (root) => {
  for (const element of root.querySelectorAll("[data-poll]")) {
    if (seen.has(element)) continue;
    seen.add(element);
    poll(element);
  }
};

start(document);
document.addEventListener("htmx:load", (event) => start(event.target));
document.addEventListener("poll:updated", (event) => start(event.target));
