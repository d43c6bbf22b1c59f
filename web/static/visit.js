// The small sum that keeps robots out (ALTCHA): find the number whose SHA-256 behind the salt is the challenge. It begins
// when the page is there, and is done before somebody has typed an address. Without it the form goes all the same.
"use strict";
(function () {
  const AT_ONCE = 64; // digests under way together
  const LONGEST = 30000; // milliseconds after which a form that waits is sent without

  const hex = (octets) => Array.from(new Uint8Array(octets), (each) => each.toString(16).padStart(2, "0")).join("");

  async function solve({ algorithm, challenge, salt, signature, maxNumber, maxnumber }) {
    const most = maxNumber ?? maxnumber;
    const encoder = new TextEncoder();
    for (let start = 0; start <= most; start += AT_ONCE) {
      const tries = Array.from({ length: Math.min(AT_ONCE, most + 1 - start) }, (_, at) =>
        crypto.subtle.digest(algorithm, encoder.encode(salt + (start + at))));
      const at = (await Promise.all(tries)).findIndex((each) => hex(each) === challenge);
      if (at >= 0) return btoa(JSON.stringify({ algorithm, challenge, number: start + at, salt, signature }));
    }
    return "";
  }

  let done = null; // one sum for the page: only one of its forms is sent
  for (const form of document.querySelectorAll("form[data-challenge]")) {
    done = done || Promise.race([
      solve(JSON.parse(form.dataset.challenge)).catch(() => ""),
      new Promise((over) => setTimeout(() => over(""), LONGEST)),
    ]);
    done.then((solution) => {
      form.elements.sum.value = solution;
      form.dataset.done = "1";
    });
    form.addEventListener("submit", (event) => {
      if (form.dataset.done) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (form.dataset.waits) return;
      form.dataset.waits = "1";
      done.then(() => form.requestSubmit(event.submitter));
    }, true);
  }
})();
