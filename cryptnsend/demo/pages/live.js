// Says when something arrived: lists show it at once, an open mail is left in peace.
"use strict";
const shown = document.body.dataset.version;
const timer = setInterval(async () => {
  let now;
  try {
    now = String(await (await fetch("/version")).json());
  } catch {
    return; // the demo was stopped
  }
  if (now === shown) return;
  clearInterval(timer);
  if ("live" in document.body.dataset) location.reload();
  else document.querySelector(".arrived").hidden = false;
}, 1500);
