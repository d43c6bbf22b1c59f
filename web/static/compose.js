// What a script adds to the page for new messages: names while typing, a look at them, letters with a little form, and
// times in the writer's own zone. Without it the buttons of the page do the same.
"use strict";
(function () {
  const form = document.querySelector("form.compose");
  const element = (name, attributes, ...inside) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };
  const plain = (more) => {
    const typed = new FormData(form);
    typed.delete("files");
    for (const [key, value] of Object.entries(more)) typed.set(key, value);
    return new URLSearchParams(typed);
  };

  // ---- a look at the people, whenever a field of theirs is left ------------------------------------------------
  const people = document.getElementById("people");
  let looked = "";
  const look = async (more = {}) => {
    const who = ["to", "cc", "bcc", "way"].map((name) => new FormData(form).get(name)).join("\n");
    if (who === looked && !more.right) return;
    looked = who;
    const answer = await fetch(form.dataset.look, {
      method: "POST", body: plain(more), headers: { Accept: "text/html;fragment=people" }, redirect: "manual",
    }).catch(() => null);
    if (!answer || !answer.ok || who !== looked) return; // the button says it again
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    people.replaceChildren(...Array.from(found.body.childNodes, (each) => document.importNode(each, true)));
    people.dispatchEvent(new Event("brought", { bubbles: true }));
  };
  form.addEventListener("change", (event) => {
    if (event.target.dataset.people !== undefined || event.target.name === "way") look();
  });
  people.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    event.preventDefault();
    if (button.name === "fix") {
      const [wrong, meant] = button.value.split(" ");
      const escaped = wrong.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"); // the whole address only: it may stand inside another
      const whole = new RegExp(`(^|[\\s,;:<("'])${escaped}(?=$|[\\s,;>)"'])`, "gi");
      for (const field of form.querySelectorAll("[data-people]")) field.value = field.value.replace(whole, (_, before) => before + meant);
      form.elements.to.dispatchEvent(new Event("input", { bubbles: true }));
      look();
    } else {
      look({ right: button.value });
    }
    form.elements.to.focus();
  });

  // ---- names while typing: the combobox pattern of WAI-ARIA ----------------------------------------------------
  for (const field of form.querySelectorAll("[data-people]")) {
    const list = element("ul", { class: "suggested", role: "listbox", id: `${field.id}-list`, "aria-label": field.labels[0].textContent });
    list.hidden = true;
    field.after(list);
    for (const [key, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) field.setAttribute(key, value);
    let waits = 0, at = -1;
    const close = () => {
      list.hidden = true;
      at = -1;
      field.setAttribute("aria-expanded", "false");
      field.removeAttribute("aria-activedescendant");
    };
    const last = () => field.value.slice(field.value.lastIndexOf(",") + 1).trim();
    const take = (option) => {
      const before = field.value.slice(0, field.value.lastIndexOf(",") + 1);
      field.value = `${before}${before ? " " : ""}${option.dataset.value}, `;
      close();
      field.dispatchEvent(new Event("input", { bubbles: true }));
      look();
    };
    const mark = (place) => {
      at = (place + list.children.length) % list.children.length;
      Array.from(list.children).forEach((each, number) => each.setAttribute("aria-selected", String(number === at)));
      field.setAttribute("aria-activedescendant", list.children[at].id);
    };
    const ask = async () => {
      const typed = last();
      if (!typed) return close();
      const answer = await fetch(form.dataset.known, {
        method: "POST", body: new URLSearchParams({ csrf_token: form.elements.csrf_token.value, typed }), redirect: "manual",
      }).catch(() => null);
      if (!answer || !answer.ok || typed !== last() || document.activeElement !== field) return close();
      const found = (await answer.json()).filter((each) => each.address !== typed);
      if (!found.length) return close();
      list.replaceChildren(...found.map((each, number) => {
        const option = element("li", { role: "option", id: `${list.id}-${number}`, "aria-selected": "false" }, each.name || each.address);
        if (each.name) option.append(element("small", {}, each.address));
        option.dataset.value = each.name ? `${each.name} <${each.address}>` : each.address;
        option.addEventListener("mousedown", (event) => { event.preventDefault(); take(option); });
        return option;
      }));
      at = -1;
      list.hidden = false;
      field.setAttribute("aria-expanded", "true");
    };
    field.addEventListener("input", () => { clearTimeout(waits); waits = setTimeout(ask, 150); });
    field.addEventListener("blur", close);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (list.hidden || at < 0)) event.preventDefault(); // a message is not sent from here
      if (list.hidden) return;
      if (event.key === "ArrowDown") mark(at + 1);
      else if (event.key === "ArrowUp") mark(at - 1);
      else if (event.key === "Escape") close();
      else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) take(list.children[at]);
      else return;
      event.preventDefault();
    });
  }

  // ---- letters with a little form: Squire, if it was brought along; else the plain field stays ------------------
  const text = form.elements.text;
  let squire = null;
  if (window.Squire) {
    const names = JSON.parse(text.dataset.rich);
    const html = element("input", { type: "hidden", name: "html" });
    const editor = element("div", { class: "input editor words", role: "textbox", "aria-multiline": "true", "aria-labelledby": "text-label", id: "editor" });
    const tools = element("div", { class: "tools", role: "toolbar", "aria-label": names.tools, "aria-controls": "editor" });
    text.hidden = true;
    text.after(tools, editor, html);
    // What is pasted or dropped is words alone, or a file of the message: before Squire hears of it.
    let ours = false; // something of the letter itself is dragged
    editor.addEventListener("dragstart", () => { ours = true; }, true);
    document.addEventListener("dragend", () => { ours = false; });
    for (const [name, held] of [["paste", "clipboardData"], ["drop", "dataTransfer"]]) {
      editor.addEventListener(name, (event) => {
        if (name === "drop" && ours) return;
        event.preventDefault();
        if (event[held].files.length) return; // goes on to the form
        event.stopImmediatePropagation();
        squire.insertPlainText(event[held].getData("text/plain"), true);
      }, true);
    }
    // Of the markup of a draft, only what a letter has.
    const kept = new Set("A B BLOCKQUOTE BR CODE DIV EM H1 H2 H3 H4 I LI OL P PRE S SPAN STRONG SUB SUP TABLE TBODY TD TH THEAD TR U UL".split(" "));
    const clean = (markup) => {
      const found = new DOMParser().parseFromString(markup, "text/html").body; // runs nothing, loads nothing
      for (const each of found.querySelectorAll("script, style, template, noscript, iframe, object, svg, math")) each.remove();
      for (const each of Array.from(found.querySelectorAll("*"))) {
        if (!kept.has(each.tagName) && !/^squire-selection-/.test(each.id)) {
          each.replaceWith(...each.childNodes);
          continue;
        }
        for (const { name, value } of Array.from(each.attributes)) {
          const stays = name === "href" ? /^(https?|mailto):/i.test(value) : ["id", "type", "start", "colspan", "rowspan", "dir", "lang"].includes(name);
          if (!stays) each.removeAttribute(name);
        }
      }
      const fragment = document.createDocumentFragment();
      fragment.append(...Array.from(found.childNodes, (each) => document.importNode(each, true)));
      return fragment;
    };
    squire = new window.Squire(editor, { addLinks: false, sanitizeToDOMFragment: clean });
    const escaped = (line) => line.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/ {2}/g, " \u00a0") || "<br>";
    squire.setHTML(text.dataset.html || text.value.split("\n").map((line) => `<div>${escaped(line)}</div>`).join(""));
    const written = () => {
      text.value = editor.innerText;
      html.value = editor.querySelector("b, strong, i, em, u, ul, ol, blockquote, a, table, h1, h2, h3, h4") ? squire.getHTML() : "";
    };
    const commands = {
      bold: ["B", "bold", "removeBold"],
      italic: ["I", "italic", "removeItalic"],
      insertUnorderedList: ["UL", "makeUnorderedList", "removeList"],
      insertOrderedList: ["OL", "makeOrderedList", "removeList"],
      formatBlock: ["BLOCKQUOTE", "increaseQuoteLevel", "decreaseQuoteLevel"],
      removeFormat: ["", "removeAllFormatting", "removeAllFormatting"],
    };
    const within = (tag) => {
      const node = squire.getSelection().startContainer;
      const found = (node.nodeType === 1 ? node : node.parentElement).closest(tag);
      return Boolean(found) && editor.contains(found);
    };
    const holds = (tag) => Boolean(tag) && (["B", "I"].includes(tag) ? squire.hasFormat(tag) : within(tag));
    const buttons = {};
    const press = () => {
      for (const [command, [tag]] of Object.entries(commands)) if (tag) buttons[command].setAttribute("aria-pressed", String(holds(tag)));
    };
    for (const [command, [tag, on, off]] of Object.entries(commands)) {
      const button = element("button", { type: "button", class: `button second short tool ${command}`, "aria-pressed": "false", tabindex: command === "bold" ? "0" : "-1" }, names[command]);
      if (!tag) button.removeAttribute("aria-pressed");
      button.addEventListener("mousedown", (event) => event.preventDefault()); // what is marked stays marked
      button.addEventListener("click", () => {
        squire.focus();
        squire[holds(tag) ? off : on]();
        press();
      });
      buttons[command] = button;
      tools.append(button);
    }
    tools.addEventListener("keydown", (event) => { // one stop for the tab key, arrows from there
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const all = Array.from(tools.children);
      const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
      all.forEach((each) => { each.tabIndex = each === next ? 0 : -1; });
      next.focus();
      event.preventDefault();
    });
    squire.addEventListener("input", () => {
      written();
      text.dispatchEvent(new Event("input", { bubbles: true })); // the draft is kept a little later
    });
    for (const name of ["pathChange", "select"]) squire.addEventListener(name, press);
    for (const key of ["Tab", "Shift-Tab"]) squire.setKeyHandler(key, null); // leads on, as everywhere
    document.getElementById("text-label").addEventListener("click", () => squire.focus());
    if (text.dataset.html) written();
  }

  // ---- what another app shared: the worker has it in its memory, and gives it once ------------------------------
  const lost = document.getElementById("share");
  const take = (shared) => {
    const { subject } = form.elements;
    if (!subject.value) subject.value = shared.title.slice(0, subject.maxLength);
    if (shared.words && squire) squire.insertPlainText(shared.words, false);
    else if (shared.words) text.value += shared.words;
    text.dispatchEvent(new Event("input", { bubbles: true }));
    if (shared.files.length) form.dispatchEvent(new CustomEvent("share", { detail: shared.files }));
  };
  // Any page of the Web can post what looks like a share: nothing is taken that its owner did not say yes to.
  const offer = (shared) => {
    if (!shared) {
      lost.hidden = false;
      return;
    }
    const box = document.getElementById("shared");
    const named = [shared.title, shared.words.slice(0, 80), ...shared.files.map((each) => each.name)];
    box.querySelector(".shared-names").textContent = named.filter(Boolean).join(" · ");
    box.hidden = false;
    box.querySelector("button").addEventListener("click", () => {
      box.remove();
      take(shared);
    }, { once: true });
  };
  if (lost && lost.hidden) {
    history.replaceState(null, "", "/write"); // once, also when the page is loaded anew
    const worker = navigator.serviceWorker && navigator.serviceWorker.controller;
    if (worker) {
      const ear = new MessageChannel();
      ear.port1.onmessage = (event) => offer(event.data);
      worker.postMessage("shared?", [ear.port2]);
    } else {
      offer(null);
    }
  }

  // ---- when it leaves, in the writer's own zone ------------------------------------------------------------------
  const at = form.elements.at, zone = element("input", { type: "hidden", name: "zone" }), hint = document.getElementById("at-hint");
  const two = (number) => String(number).padStart(2, "0");
  if (at.dataset.at) {
    const moment = new Date(Number(at.dataset.at));
    at.value = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
  }
  const zoned = () => { zone.value = String((at.value ? new Date(at.value) : new Date()).getTimezoneOffset()); };
  at.addEventListener("change", zoned);
  at.after(zone);
  hint.textContent = hint.dataset.local;
  zoned();
})();
