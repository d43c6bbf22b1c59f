// Files for a form that keeps drafts: chosen, dropped on the form or pasted, each goes up in pieces (tus 1.0) and into the
// sealed draft when it is whole. A connection that breaks costs nothing: the server says how much is there, and it goes
// on from that place. Without this script the file field of the form does the same in one go.
"use strict";
(function () {
  const PIECE = 8 * 1024 * 1024; // octets of one request
  const STILL = 30000; // milliseconds without an octet after which a connection is taken for dead
  const LONGEST = 30000; // milliseconds between two tries

  for (const form of document.querySelectorAll("form[data-attach]")) {
    const field = form.querySelector("input[type=file]");
    const words = form.querySelector(".attach-words").dataset; // translated by the server
    const list = form.querySelector(".attached");
    form.querySelector(".attach-words").hidden = false;
    field.closest(".drop").classList.add("listed");
    const limit = Number(form.dataset.limit || 0);
    const open = new Set(); // files that are neither in the draft nor given up
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

    // Nothing is sent while a file is on its way: it would stay behind.
    const lock = () => {
      for (const button of form.querySelectorAll(".actions button")) button.disabled = open.size > 0;
    };

    // ---- one file: waits → goes ⇄ paused → in the draft, or failed, or stopped ------------------------------------
    class Arriving {
      constructor(file) {
        this.file = file;
        this.state = "waits";
        this.url = ""; // where it goes, once the server knows of it
        this.at = 0; // octets that are there
        this.restarts = 0;
        this.bar = element("progress", { max: "100", value: "0", "aria-label": file.name });
        this.told = element("span", { role: "status" }, words.waits);
        const button = (act) => {
          const made = element("button", { type: "button", class: "button second short" }, "", element("span", { class: "unseen" }, ` ${file.name}`));
          made.addEventListener("click", act);
          return made;
        };
        this.first = button(() => this.press());
        this.second = button(() => this.stop());
        const name = element("span", { class: "file-name" }, `${file.name} `, element("span", { class: "hint" }, shown(file.size)));
        this.made = element("div", { class: "progress attaching" }, name, this.bar, element("span", { class: "rate" }, this.told, element("span", { class: "acts" }, this.first, this.second)));
        list.before(this.made);
        this.name(words.pause, words.stop);
        open.add(this);
      }

      name(first, second) {
        this.first.firstChild.data = first;
        this.second.firstChild.data = second;
        this.first.hidden = !first;
      }

      press() {
        if (this.state === "waits" || this.state === "goes") { // pause
          this.state = "paused";
          this.quiet();
          this.name(words.goes, words.stop);
          this.say(words.paused);
        } else { // go on, or try again
          this.state = "waits";
          this.restarts = 0;
          this.name(words.pause, words.stop);
          this.bar.hidden = false;
          this.say(words.waits);
          open.add(this);
          waiting.unshift(this);
        }
        lock();
        next();
      }

      stop() {
        this.state = "stopped";
        this.quiet();
        if (this.url) this.ask("DELETE", this.url, {}); // what is left otherwise ends by itself
        this.made.remove();
        open.delete(this);
        lock();
        next();
      }

      fail(why) {
        this.state = "failed";
        this.bar.hidden = true;
        this.name(words.again, words.away);
        this.say(why || words.broke, "error");
        open.delete(this);
      }

      quiet() {
        const place = waiting.indexOf(this);
        if (place >= 0) waiting.splice(place, 1);
        if (this.request) this.request.abort();
        if (this.wake) this.wake();
      }

      say(text, kind) {
        this.told.textContent = text;
        this.told.className = kind || "";
      }

      progress(octets) {
        const part = this.file.size ? Math.floor((100 * octets) / this.file.size) : 100;
        this.bar.value = part;
        this.say(part < 100 ? [`${part} %`, ...this.pace(octets)].join(" · ") : words.seals);
      }

      // How fast it goes, by the last ten seconds, and how long it will take; nothing while nobody can tell.
      pace(octets) {
        const now = performance.now();
        this.seen = (this.seen || []).filter((each) => now - each.at < 10000 && each.octets <= octets);
        this.seen.push({ at: now, octets });
        const first = this.seen[0];
        if (now - first.at < 1000 || octets <= first.octets) return [];
        const rate = (1000 * (octets - first.octets)) / (now - first.at); // octets a second
        const seconds = Math.ceil((this.file.size - octets) / rate);
        const two = (number) => String(number).padStart(2, "0");
        const hours = Math.floor(seconds / 3600);
        const time = (hours ? [hours, two(Math.floor(seconds / 60) % 60)] : [Math.floor(seconds / 60)]).concat(two(seconds % 60)).join(":");
        return [`${shown(rate)}/s`, words.left.replace("TIME", time)];
      }

      // Ask the server something; a broken connection is an answer with status 0.
      ask(method, url, headers, body) {
        return new Promise((done) => {
          const request = new XMLHttpRequest();
          let still = 0;
          const moved = () => {
            clearTimeout(still);
            still = setTimeout(() => request.abort(), STILL);
          };
          this.request = request;
          request.open(method, url);
          const all = { "Tus-Resumable": "1.0.0", "X-CSRFToken": form.elements.csrf_token.value, ...headers };
          for (const [name, value] of Object.entries(all)) request.setRequestHeader(name, value);
          if (method === "PATCH") {
            request.upload.addEventListener("progress", (event) => {
              moved();
              if (this.state === "goes") this.progress(this.at + event.loaded);
            });
          }
          request.addEventListener("loadend", () => {
            clearTimeout(still);
            this.request = null;
            if (request.responseURL && new URL(request.responseURL).pathname !== new URL(url, location.href).pathname) {
              document.body.dataset.leaving = "1";
              location.replace(document.body.dataset.away); // signed out meanwhile
              return;
            }
            if (request.status) document.dispatchEvent(new Event("alive"));
            done(request);
          });
          moved();
          request.send(body === undefined ? null : body);
        });
      }

      async begin() {
        const { name, size, type, lastModified } = this.file;
        const octets = (text) => new TextEncoder().encode(text);
        // The same file for the same form is the same upload, also when the page was loaded anew meanwhile.
        const mark = [name, size, type, lastModified, form.dataset.attach].join("\n");
        const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", octets(mark)));
        const nonce = Array.from(digest.slice(0, 16), (each) => each.toString(16).padStart(2, "0")).join("");
        const said = { filename: name, filetype: type, nonce, parent: form.dataset.parent || "" };
        const pairs = Object.entries(said).filter(([, value]) => value);
        const metadata = pairs.map(([key, value]) => `${key} ${btoa(String.fromCharCode(...octets(value)))}`).join(",");
        const answer = await this.ask("POST", words.uploads, { "Upload-Length": String(size), "Upload-Metadata": metadata });
        if (answer.status === 201) this.url = new URL(answer.getResponseHeader("Location"), location.href).pathname;
        return answer;
      }

      push() {
        const piece = this.file.slice(this.at, this.at + PIECE);
        return this.ask("PATCH", this.url, { "Upload-Offset": String(this.at), "Content-Type": "application/offset+octet-stream" }, piece);
      }

      async look() {
        const answer = await this.ask("HEAD", this.url, {});
        if (answer.status === 200) this.at = Number(answer.getResponseHeader("Upload-Offset"));
        if (answer.status === 404) this.url = "";
        return answer;
      }

      // Into the draft, with what is typed; both say which files stay, so one goes after the other.
      async settle() {
        while (form.dataset.saving) await new Promise((done) => setTimeout(done, 100));
        if (this.state !== "goes") return null;
        this.first.hidden = this.second.hidden = true; // it could be in the draft already when it is stopped
        form.dataset.busy = "1";
        const typed = new FormData(form);
        typed.delete("files");
        typed.append("arrived", this.url.split("/").pop());
        const answer = await this.ask("POST", form.dataset.attach, { Accept: "application/json" }, new URLSearchParams(typed));
        form.dataset.busy = "";
        this.first.hidden = this.second.hidden = false;
        return answer;
      }

      // Until the connection may be back, or somebody presses something.
      rest(milliseconds) {
        this.say(words.lost);
        return new Promise((done) => {
          const timer = setTimeout(() => this.wake(), milliseconds);
          this.wake = () => {
            clearTimeout(timer);
            window.removeEventListener("online", this.wake);
            this.wake = null;
            done();
          };
          window.addEventListener("online", this.wake);
        });
      }

      async go() {
        this.state = "goes";
        let wait = 1000;
        if (this.url) await this.look(); // it was paused
        while (this.state === "goes") {
          const whole = this.url && this.at >= this.file.size;
          const answer = whole ? await this.settle() : this.url ? await this.push() : await this.begin();
          if (this.state !== "goes") return;
          const { status } = answer;
          if (whole && status === 200) {
            const said = JSON.parse(answer.responseText);
            this.made.remove();
            open.delete(this);
            this.state = "kept";
            keep(said.files);
            if (said.draft) form.dispatchEvent(new CustomEvent("kept", { detail: said.draft }));
          } else if (!whole && status >= 200 && status < 300) {
            this.at = Number(answer.getResponseHeader("Upload-Offset"));
            this.progress(this.at);
            wait = 1000;
          } else if (status === 0 || status >= 500) {
            await this.rest(wait);
            wait = Math.min(2 * wait, LONGEST);
            if (this.url && !whole && this.state === "goes") await this.look();
          } else if (!whole && this.url && (status === 404 || status === 409) && this.restarts < 3) {
            this.restarts += 1; // its time was over, or another page goes on with it
            await this.look();
          } else {
            let why = answer.responseText;
            if (whole) {
              try { why = JSON.parse(why).error; } catch { why = ""; }
              if (this.url) this.ask("DELETE", this.url, {});
              this.url = "";
              this.at = 0;
            }
            this.fail(answer.getResponseHeader("Content-Type")?.startsWith("text/html") ? "" : why);
          }
        }
      }
    }

    const next = async () => {
      if (busy || !waiting.length) return;
      busy = waiting.shift();
      await busy.go();
      busy = null;
      lock();
      next();
    };

    const add = (files) => {
      for (const file of files) {
        const entry = new Arriving(file);
        if (limit && file.size > limit) {
          entry.fail(words.large);
          entry.first.hidden = true;
        } else {
          waiting.push(entry);
        }
      }
      lock();
      next();
    };

    field.addEventListener("change", () => {
      add(Array.from(field.files));
      field.value = "";
    });
    // Whoever leaves in the middle would send the message later without the file, and not know. The end of a session
    // asks nobody: what is on the page must not stay there.
    window.addEventListener("beforeunload", (event) => { if (open.size && !document.body.dataset.leaving) event.preventDefault(); });
    form.addEventListener("share", (event) => add(event.detail)); // what another app of the phone sent here
    if (window.matchMedia("(pointer: coarse)").matches) {
      // The camera alone: the picture goes up from the page and is not kept among the phone's own.
      const camera = element("input", { type: "file", accept: "image/*", capture: "environment", class: "unseen" });
      camera.addEventListener("change", () => {
        add(Array.from(camera.files));
        camera.value = "";
      });
      field.closest(".field").after(element("label", { class: "button second short fits photo" }, words.photo, camera));
    }
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
