// Keeps a page up to date: when stox says that there is news, the page is fetched again and
// what has the id "live" is put in the place of the old one. Without this file the page is
// the same, and stays as it is.
"use strict";
(() => {
  const control = document.getElementById("live-control");
  if (!control || !window.EventSource || !window.fetch) {
    return;
  }
  const every = 2000; // milliseconds between two updates, at least
  let source = null;
  let wanted = true; // by the reader
  let due = 0; // a timer
  let last = 0;
  let busy = false;

  const button = document.createElement("button");
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  control.append(button, " ", said);
  control.hidden = false;

  const say = (text) => {
    if (said.textContent !== text) {
      said.textContent = text;
    }
  };

  // Whoever is reading inside is not disturbed: neither focus nor a selection is taken away.
  const inUse = (live) => {
    const chosen = document.getSelection();
    return live.contains(document.activeElement) ||
      (chosen && !chosen.isCollapsed && live.contains(chosen.anchorNode));
  };

  const update = async () => {
    due = 0;
    const live = document.getElementById("live");
    if (busy || !wanted || !live) {
      return;
    }
    if (inUse(live)) {
      plan();
      return;
    }
    busy = true;
    last = Date.now();
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("live");
      if (fresh && !inUse(live)) {
        for (const open of live.querySelectorAll("details[open][id]")) {
          const same = fresh.querySelector("#" + CSS.escape(open.id));
          if (same) {
            same.open = true;
          }
        }
        live.replaceWith(document.adoptNode(fresh));
        document.title = page.title;
        document.dispatchEvent(new Event("updated"));
      }
    } catch (error) {
      say("This page cannot be kept up to date at the moment.");
    }
    busy = false;
  };

  const plan = () => {
    if (!due) {
      due = setTimeout(update, Math.max(200, last + every - Date.now()));
    }
  };

  const listen = () => {
    if (source || !wanted || document.hidden) {
      return;
    }
    source = new EventSource("/events");
    source.addEventListener("open", () => { say("This page keeps itself up to date."); plan(); });
    source.addEventListener("change", plan);
    source.addEventListener("error", () => {
      say("The connection to stox is lost; it is tried again.");
      if (source && source.readyState === EventSource.CLOSED) {
        source = null;
        setTimeout(listen, 10000);
      }
    });
  };

  const stop = () => {
    if (source) {
      source.close();
      source = null;
    }
    clearTimeout(due);
    due = 0;
  };

  const show = () => {
    button.textContent = wanted ? "Stop updating" : "Keep up to date";
  };

  button.addEventListener("click", () => {
    wanted = !wanted;
    show();
    if (wanted) {
      listen();
    } else {
      stop();
      say("This page stays as it is.");
    }
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", listen);
  show();
  listen();
})();
