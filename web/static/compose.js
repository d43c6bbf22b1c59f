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

  // ---- letters with a little form ------------------------------------------------------------------------------
  const text = form.elements.text;
  const names = JSON.parse(text.dataset.rich);
  const html = element("input", { type: "hidden", name: "html" });
  const editor = element("div", { class: "input editor words", contenteditable: "true", role: "textbox", "aria-multiline": "true", "aria-labelledby": "text-label", id: "editor" });
  if (text.dataset.html) {
    const kept = new DOMParser().parseFromString(text.dataset.html, "text/html"); // cleaned by the server
    editor.append(...Array.from(kept.body.childNodes, (each) => document.importNode(each, true)));
  } else {
    text.value.split("\n").forEach((line, number) => editor.append(...(number ? [document.createElement("br"), line] : [line])));
  }
  const written = () => {
    text.value = editor.innerText;
    const formed = editor.querySelector("b, strong, i, em, u, ul, ol, blockquote");
    html.value = formed ? Array.from(editor.childNodes, (each) => new XMLSerializer().serializeToString(each)).join("") : "";
  };
  const tools = element("div", { class: "tools", role: "toolbar", "aria-label": names.tools, "aria-controls": "editor" });
  const buttons = {};
  for (const command of ["bold", "italic", "insertUnorderedList", "insertOrderedList", "formatBlock", "removeFormat"]) {
    const button = element("button", { type: "button", class: `button second short tool ${command}`, "aria-pressed": "false", tabindex: command === "bold" ? "0" : "-1" }, names[command]);
    if (command === "removeFormat") button.removeAttribute("aria-pressed");
    button.addEventListener("mousedown", (event) => event.preventDefault()); // what is marked stays marked
    button.addEventListener("click", () => {
      editor.focus();
      if (command === "formatBlock") document.execCommand(command, false, editor.contains(inside("blockquote")) ? "p" : "blockquote");
      else document.execCommand(command);
      press();
      editor.dispatchEvent(new Event("input", { bubbles: true }));
    });
    buttons[command] = button;
    tools.append(button);
  }
  const inside = (name) => {
    const node = document.getSelection().anchorNode;
    return node && (node.nodeType === 1 ? node : node.parentElement).closest(name);
  };
  const press = () => {
    for (const command of ["bold", "italic", "insertUnorderedList", "insertOrderedList"]) buttons[command].setAttribute("aria-pressed", String(document.queryCommandState(command)));
    buttons.formatBlock.setAttribute("aria-pressed", String(editor.contains(inside("blockquote"))));
  };
  tools.addEventListener("keydown", (event) => { // one stop for the tab key, arrows from there
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const all = Array.from(tools.children);
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    all.forEach((each) => { each.tabIndex = each === next ? 0 : -1; });
    next.focus();
    event.preventDefault();
  });
  editor.addEventListener("input", written);
  editor.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) return; // a picture becomes a file of the message
    event.preventDefault();
    document.execCommand("insertText", false, event.clipboardData.getData("text/plain"));
  });
  document.addEventListener("selectionchange", () => { if (document.activeElement === editor) press(); });
  document.getElementById("text-label").addEventListener("click", () => editor.focus());
  document.execCommand("defaultParagraphSeparator", false, "p");
  text.hidden = true;
  text.after(tools, editor, html);
  if (text.dataset.html) written();

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
