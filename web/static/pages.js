// What a script can add to the pages. They work without it; nothing here opens, sends or releases anything.
"use strict";
(function () {
  const words = document.getElementById("script-words").dataset; // translated by the server

  const leave = () => { // the session has ended: nothing that is still under way holds the page
    document.body.dataset.leaving = "1";
    location.replace(document.body.dataset.away);
  };

  // Times in the reader's own zone instead of UTC.
  const styles = {
    long: { weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", hour12: false },
    short: { weekday: "short", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit", hour12: false },
    day: { day: "numeric", month: "long", year: "numeric" },
    clock: { hour: "2-digit", minute: "2-digit", hour12: false },
    date: { day: "numeric", month: "short" },
  };
  const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;
  const localise = (part) => {
    for (const time of part.querySelectorAll("time[data-style]")) {
      const moment = new Date(time.dateTime);
      const format = styles[time.dataset.style];
      if (!isNaN(moment) && format) {
        time.textContent = new Intl.DateTimeFormat(language, format).format(moment).replace(" at ", ", ").replace(/^([^ ,]+), /, "$1 ");
      }
    }
  };
  localise(document);
  document.addEventListener("brought", (event) => localise(event.target)); // a part that another script has fetched

  // Parts of the page that say how something goes, asked for again while that is under way.
  for (const live of document.querySelectorAll("[data-live]")) {
    let left = 90, shown = "";
    const ask = async () => {
      if (!live.querySelector("[data-waits]") || !left--) return;
      const answer = await fetch(live.dataset.live, { redirect: "error" }).catch(() => null); // the next may get through
      const text = answer && answer.ok ? await answer.text() : shown;
      if (text !== shown) {
        shown = text;
        live.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
        localise(live);
      }
      setTimeout(ask, 2000);
    };
    setTimeout(ask, 1000);
  }

  // "Show what I type", one box after the last password field of each form.
  for (const form of document.querySelectorAll("form")) {
    const fields = form.querySelectorAll("input[data-show]");
    if (!fields.length) continue;
    const label = document.createElement("label");
    label.className = "choice";
    const box = document.createElement("input");
    box.type = "checkbox";
    const text = document.createElement("span");
    text.textContent = words.show;
    label.append(box, text);
    box.addEventListener("change", () => fields.forEach((field) => { field.type = box.checked ? "text" : "password"; }));
    form.addEventListener("submit", () => fields.forEach((field) => { field.type = "password"; }));
    fields[fields.length - 1].closest(".field").after(label);
  }

  // A button that copies a value.
  for (const value of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) break;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button second short";
    const unseen = document.createElement("span");
    unseen.className = "unseen";
    unseen.textContent = " " + value.dataset.copy;
    button.append(words.copies, unseen);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(value.textContent.trim());
      button.firstChild.data = words.copied;
      setTimeout(() => { button.firstChild.data = words.copies; }, 3000);
    });
    if (value.tagName === "DD") {
      const holder = document.createElement("dd");
      holder.className = "act";
      holder.append(button);
      value.after(holder);
    } else {
      value.after(button);
    }
  }

  // A form is sent once.
  for (const form of document.querySelectorAll("form[enctype]")) {
    form.addEventListener("submit", (event) => {
      const files = form.querySelector("input[type=file]");
      const limit = Number(form.dataset.limit || 0);
      const size = files ? Array.from(files.files).reduce((sum, file) => sum + file.size, 0) : 0;
      if (limit && size > limit) {
        event.preventDefault();
        files.setCustomValidity(words.large);
        files.reportValidity();
        files.addEventListener("change", () => files.setCustomValidity(""), { once: true });
        return;
      }
      const button = event.submitter || form.querySelector("button:not([type=button])");
      setTimeout(() => { button.disabled = true; if (!button.hasAttribute("formaction")) button.textContent = words.sending; });
    });
  }
  // What is being written is kept as a draft: a little after the last key, and when the page is left.
  let alive = () => {};
  for (const form of document.querySelectorAll("form[data-draft]")) {
    const told = form.querySelector(".saving");
    let waits = 0, changed = false, sent = false, goes = null;
    const save = async (leaving) => {
      clearTimeout(waits);
      if (!changed || sent) return;
      if (form.dataset.busy) { // a file is on its way, and what is typed goes along with it
        waits = setTimeout(save, 1000);
        return;
      }
      changed = false;
      form.dataset.saving = "1";
      const typed = new FormData(form);
      typed.delete("files"); // they go with the buttons
      const answer = await fetch(form.dataset.draft, {
        method: "POST", body: new URLSearchParams(typed), headers: { Accept: "text/plain" },
        redirect: "manual", keepalive: leaving,
      }).catch(() => null);
      if (!answer) changed = true; // no connection: with the next key
      else if (answer.type === "opaqueredirect") leave(); // signed out; it is kept
      else {
        // A new message hears which draft it is; from then on it is kept in that one.
        if (answer.status === 200 && form.elements.draft) {
          const detail = await answer.text();
          form.dispatchEvent(new CustomEvent("kept", { detail }));
        }
        told.textContent = answer.ok ? told.dataset.saved : told.dataset.gone;
        told.hidden = false;
        if (answer.ok) alive();
      }
      form.dataset.saving = "";
      if (goes) form.requestSubmit(goes);
    };
    form.addEventListener("kept", ({ detail }) => {
      form.elements.draft.value = detail;
      // Loaded anew, the page brings the draft, not an empty form.
      if (form.dataset.place) history.replaceState(null, "", form.dataset.place + detail);
    });
    form.addEventListener("input", () => {
      changed = true;
      clearTimeout(waits);
      waits = setTimeout(save, 3000);
    });
    form.addEventListener("submit", (event) => {
      clearTimeout(waits);
      if (form.dataset.saving) { // or there would be a draft that nobody knows of
        event.preventDefault();
        event.stopImmediatePropagation();
        goes = event.submitter;
        return;
      }
      sent = true;
    }, true);
    // Another form leads away, perhaps out of the session: what was typed is kept first.
    document.addEventListener("submit", async (event) => {
      const other = event.target, button = event.submitter;
      if (other === form || !changed || sent) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      await save(false);
      changed = false;
      other.requestSubmit(button);
    }, true);
    document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") save(true); });
  }

  // On a phone's home screen: how many are unread, and the worker that takes what other apps share.
  const { unread, worker } = document.body.dataset;
  if (unread !== undefined && navigator.setAppBadge) navigator.setAppBadge(Number(unread)).catch(() => {}); // no app, no badge
  if (worker && "serviceWorker" in navigator) {
    navigator.serviceWorker.register(worker).catch(() => {}); // not offered in private windows: the pages need none
  }
  const install = document.querySelector(".install");
  if (install) {
    window.addEventListener("beforeinstallprompt", (event) => {
      event.preventDefault();
      install.hidden = false;
      install.querySelector("button").onclick = () => event.prompt();
    });
  }

  // Back from the browser's memory of pages: what was disabled works again, and a page of somebody gone is loaded anew.
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // Two minutes before the end of an idle session: say so. The page goes away by itself when time is up.
  const idle = Number(document.body.dataset.idle || 0);
  if (idle) {
    let timers = [];
    const begin = () => {
      timers.forEach(clearTimeout);
      document.querySelectorAll(".toast").forEach((toast) => toast.remove());
      timers = [setTimeout(warn, (idle - 2) * 60000), setTimeout(leave, idle * 60000 + 2000)];
    };
    const warn = () => {
      const toast = document.createElement("div");
      toast.className = "toast";
      toast.setAttribute("role", "alert");
      const text = document.createElement("span");
      text.textContent = words.soon;
      const button = document.createElement("a");
      button.className = "button short";
      button.href = location.href;
      button.textContent = words.stay;
      toast.append(text, button);
      document.body.append(toast);
    };
    alive = begin;
    document.addEventListener("alive", begin); // a file that goes up keeps the session
    begin();
  }
})();
