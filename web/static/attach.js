// Files for a form that keeps drafts: chosen, dropped on the form or pasted, each is sealed into the draft at once, with
// progress and a way to stop. Without this script the file field of the form does the same in one go.
"use strict";
(function () {
  for (const form of document.querySelectorAll("form[data-attach]")) {
    const field = form.querySelector("input[type=file]");
    const words = form.querySelector(".attach-words").dataset; // translated by the server
    const list = form.querySelector(".attached");
    form.querySelector(".attach-words").hidden = false;
    const limit = Number(form.dataset.limit || 0);
    const waiting = [];
    let busy = null;

    const shown = (size) => (size < 1e6 ? `${Math.ceil(size / 1e3)} KB` : `${(size / 1e6).toFixed(1)} MB`);
    const element = (name, attributes, ...inside) => {
      const made = document.createElement(name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      made.append(...inside);
      return made;
    };

    // What the server keeps, as check boxes that go along with the form.
    const keep = (files) => {
      list.querySelectorAll(".kept-file").forEach((each) => each.remove());
      for (const file of files) {
        const box = element("input", { type: "checkbox", name: "kept", value: file.id });
        box.checked = true;
        const size = element("span", { class: "hint" }, file.said);
        list.append(element("label", { class: "choice kept-file" }, box, element("span", { class: "file-name" }, `${file.name} `, size)));
      }
      list.hidden = list.disabled = !files.length;
    };

    const line = (file) => {
      const bar = element("progress", { max: "100", value: "0", "aria-label": file.name });
      const told = element("span", { role: "status" }, words.waits);
      const button = element("button", { type: "button", class: "button second short" }, words.stop, element("span", { class: "unseen" }, ` ${file.name}`));
      const made = element("div", { class: "progress attaching" }, element("span", { class: "file-name" }, `${file.name} `, element("span", { class: "hint" }, shown(file.size))), bar, element("span", { class: "rate" }, told, button));
      list.before(made);
      return { made, bar, told, button };
    };

    const next = () => {
      if (busy || !waiting.length) return;
      if (form.dataset.saving) { // what is typed goes first: both say which files stay
        setTimeout(next, 200);
        return;
      }
      busy = waiting.shift();
      const { file, shows } = busy;
      const typed = new FormData(form);
      typed.delete("files");
      typed.append("files", file, file.name);
      const request = new XMLHttpRequest();
      busy.request = request;
      request.open("POST", form.dataset.attach);
      request.setRequestHeader("Accept", "application/json");
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => {
        const part = event.total ? Math.round((100 * event.loaded) / event.total) : 0;
        shows.bar.value = part;
        shows.told.textContent = part < 100 ? `${part} %` : words.seals;
      });
      request.addEventListener("loadend", () => {
        const ended = busy;
        busy = null;
        if (request.responseURL && new URL(request.responseURL).pathname !== form.dataset.attach) {
          location.replace(document.body.dataset.away); // signed out meanwhile; it is kept
          return;
        }
        if (request.status === 200 && request.response) {
          shows.made.remove();
          keep(request.response.files);
          if (request.response.draft) form.elements.draft.value = request.response.draft;
        } else if (!ended.stopped) {
          shows.bar.remove();
          shows.told.textContent = (request.response && request.response.error) || words.broke;
          shows.told.className = "error";
          shows.button.firstChild.data = words.away;
          if (request.status === 0) { // no connection: once more with the same button
            shows.button.firstChild.data = words.again;
            ended.again = true;
          }
        }
        lock();
        next();
      });
      lock();
      request.send(typed);
    };

    // Nothing is sent while a file is on its way: it would stay behind.
    const lock = () => {
      form.dataset.busy = busy ? "1" : "";
      for (const button of form.querySelectorAll(".actions button")) button.disabled = Boolean(busy);
    };

    const add = (files) => {
      for (const file of files) {
        const shows = line(file);
        const entry = { file, shows, stopped: false, again: false, request: null };
        shows.button.addEventListener("click", () => {
          if (entry.again) {
            shows.made.remove();
            add([file]);
            return;
          }
          entry.stopped = true;
          const place = waiting.indexOf(entry);
          if (place >= 0) waiting.splice(place, 1);
          if (entry === busy) entry.request.abort();
          shows.made.remove();
        });
        if (limit && file.size > limit) {
          shows.bar.remove();
          shows.told.textContent = words.large;
          shows.told.className = "error";
          shows.button.firstChild.data = words.away;
        } else {
          waiting.push(entry);
        }
      }
      next();
    };

    field.addEventListener("change", () => {
      add(Array.from(field.files));
      field.value = "";
    });
    form.addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      form.classList.add("dropping");
    });
    for (const name of ["dragleave", "dragend", "drop"]) form.addEventListener(name, () => form.classList.remove("dropping"));
    form.addEventListener("drop", (event) => {
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      add(Array.from(event.dataTransfer.files));
    });
    form.addEventListener("paste", (event) => {
      const files = Array.from(event.clipboardData.files);
      if (!files.length) return;
      event.preventDefault();
      add(files);
    });
  }
})();
