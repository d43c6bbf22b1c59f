// Passkeys: what the browser asks one for, and what goes into the form that its owner sends with a button. What needs
// passkeys is shown where the browser has them, and nothing else of a page needs this script.
"use strict";
(function () {
  const root = document.documentElement;
  if (!window.PublicKeyCredential || !navigator.credentials || root.dataset.passkeys) return;
  root.dataset.passkeys = "1";
  document.querySelectorAll("[data-needs-passkeys]").forEach((each) => { each.hidden = false; });
  document.querySelectorAll("[data-without-passkeys]").forEach((each) => { each.hidden = true; });

  const octets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // The server's JSON as the browser wants it, and the other way round. Older browsers cannot do this themselves.
  const known = (listed) => listed.map((each) => ({ ...each, id: octets(each.id) }));
  const wanted = (json) => {
    const options = { ...json, challenge: octets(json.challenge) };
    if (json.allowCredentials) options.allowCredentials = known(json.allowCredentials);
    if (json.excludeCredentials) options.excludeCredentials = known(json.excludeCredentials);
    if (json.user) options.user = { ...json.user, id: octets(json.user.id) };
    options.extensions = { prf: { eval: { first: octets(json.extensions.prf.eval.first) } } };
    return options;
  };
  const said = (found) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature"]) {
      if (found.response[name]) response[name] = text(found.response[name]);
    }
    return JSON.stringify({ id: found.id, rawId: text(found.rawId), type: found.type, response });
  };
  const output = (found) => {
    const given = (found.getClientExtensionResults().prf || {}).results;
    return given && given.first ? text(given.first) : "";
  };

  // Where a challenge does not stand in the page, it is asked for when the button is pressed: it is good for minutes.
  async function options(form, url, purpose) {
    const asked = new URLSearchParams({ csrf_token: form.elements.csrf_token.value });
    if (purpose) asked.set("purpose", purpose);
    const answer = await fetch(url, { method: "POST", body: asked, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    return wanted(await answer.json());
  }

  let waiting = null; // the sign-in page's offer, which a button takes the place of
  async function shown(publicKey) {
    if (waiting) waiting.abort();
    waiting = null;
    return navigator.credentials.get({ publicKey });
  }
  const tell = (place, on) => {
    const refused = place.querySelector("[data-refused]");
    if (refused) refused.hidden = !on;
  };

  // A form that a passkey fills: signing in, after the password, opening messages.
  for (const form of document.querySelectorAll("form[data-passkey=get]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      tell(form, false);
      try {
        const given = form.dataset.options;
        const found = await shown(given ? wanted(JSON.parse(given)) : await options(form, form.dataset.ask, form.dataset.purpose));
        form.elements.answer.value = said(found);
        form.elements.output.value = output(found);
        form.submit();
      } catch {
        tell(form, true); // its owner said no, or there is none: the page says what else there is
      }
    });
  }

  // A new one. Some give what opens messages at once, others when they are shown for the first time.
  for (const form of document.querySelectorAll("form[data-passkey=make]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      tell(form, false);
      try {
        const made = await navigator.credentials.create({ publicKey: wanted(JSON.parse(form.dataset.options)) });
        form.elements.answer.value = said(made);
        form.elements.output.value = output(made);
        const extension = made.getClientExtensionResults().prf || {};
        if (extension.enabled && !form.elements.output.value) {
          const again = wanted(JSON.parse(form.dataset.seal));
          again.allowCredentials = [{ type: "public-key", id: made.rawId }];
          const found = await shown(again).catch(() => null); // then it is one that signs in only
          if (found) {
            form.elements.sealed.value = said(found);
            form.elements.output.value = output(found);
          }
        }
        form.submit();
      } catch {
        tell(form, true);
      }
    });
  }

  // In the place of what a form asks to be typed. A password was the last thing, so the form goes; a number was not.
  for (const place of document.querySelectorAll("[data-passkey-for]")) {
    const button = place.querySelector("button"), name = place.dataset.passkeyFor, form = button.form;
    button.addEventListener("click", async () => {
      tell(place, false);
      try {
        const found = await shown(await options(form, place.dataset.ask, place.dataset.purpose));
        form.elements[`shown-${name}`].value = said(found);
        const field = form.elements[name];
        field.required = false;
        if (place.dataset.purpose === "password") {
          form.requestSubmit(form.querySelector("button:not([type=button])"));
        } else {
          field.disabled = true;
          button.textContent = button.dataset.done;
          button.disabled = true;
        }
      } catch {
        tell(place, true);
      }
    });
  }

  // On the sign-in page the browser may offer passkeys where the address is typed.
  const offered = document.querySelector("form[data-passkey-offer]");
  if (offered && PublicKeyCredential.isConditionalMediationAvailable) {
    (async () => {
      if (!(await PublicKeyCredential.isConditionalMediationAvailable())) return;
      for (;;) {
        const publicKey = await options(offered, offered.dataset.ask);
        const mine = new AbortController();
        waiting = mine;
        const old = setTimeout(() => mine.abort("old"), publicKey.timeout - 60000); // before its challenge is over
        try {
          const found = await navigator.credentials.get({ publicKey, mediation: "conditional", signal: mine.signal });
          offered.elements.answer.value = said(found);
          offered.elements.output.value = output(found);
          offered.submit();
          return;
        } catch {
          if (mine.signal.reason !== "old") return;
        } finally {
          clearTimeout(old);
        }
      }
    })().catch(() => {}); // no connection: the button asks again
  }
})();
