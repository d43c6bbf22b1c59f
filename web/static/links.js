// Links by which anybody may have files. What stands behind the # of an address never reaches a server by itself: here it
// goes into the form that its reader sends with a button. And times in the author's own zone.
"use strict";
(function () {
  const opening = document.querySelector("form[data-fragment]");
  if (opening) {
    const read = () => {
      const secret = location.hash.slice(1);
      opening.elements.secret.value = secret;
      const missing = document.getElementById("secret-missing");
      missing.hidden = secret !== "" || document.getElementById("secret-error") !== null;
      opening.querySelector("button").disabled = secret === "";
    };
    addEventListener("hashchange", read);
    read();
  }

  const until = document.querySelector("input[data-at]");
  if (until) {
    const zone = document.createElement("input"), hint = document.getElementById("until-hint");
    zone.type = "hidden";
    zone.name = "zone";
    const two = (number) => String(number).padStart(2, "0");
    const moment = new Date(Number(until.dataset.at));
    until.value = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
    const zoned = () => { zone.value = String((until.value ? new Date(until.value) : new Date()).getTimezoneOffset()); };
    until.addEventListener("change", zoned);
    until.after(zone);
    hint.textContent = until.dataset.local;
    zoned();
  }
})();
