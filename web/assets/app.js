// What the pages do beyond forms and links: keys, saving while one writes, and lists
// that stay fresh. Each works on elements that say so by data-*; without this script
// everything can be done by the same links and forms.

const typing = (e) => e.target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");

// data-key="c": the element is followed, pressed or focused by this key, when nobody
// types; "mod+Enter" also while they do (mod is Ctrl, or Command). A letter is pressed with
// Alt, or does nothing, where somebody has chosen so (preferences, data-keys).
const letters = document.documentElement.dataset.keys;
document.addEventListener("keydown", (e) => {
  const mod = e.ctrlKey || e.metaKey;
  const letter = !mod && (e.key.length === 1 || e.altKey);
  if (e.altKey !== (letter && letters === "alt") || (letter && letters === "off") || (!mod && typing(e))) return;
  const pressed = e.altKey && e.code.startsWith("Key") ? e.code.slice(3).toLowerCase() : e.key; // Alt types other letters on some keyboards
  const key = (mod ? "mod+" : "") + pressed;
  const scope = document.querySelector("dialog[open]") || document;
  const row = scope.querySelector("[data-row].on");
  const all = [...scope.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)];
  const found = all.find((a) => row?.contains(a)) || all.find((a) => !a.closest("[data-row]")); // of rows, only the chosen one's
  if (!found) return moveRow(e, pressed, scope);
  e.preventDefault();
  found.focus();
  if (!found.matches("input:not([type=radio], [type=checkbox]), textarea, select")) found.click();
});

// j and k, or the arrows, go through the rows of a list (data-row); Enter opens one.
function moveRow(e, pressed, scope) {
  if (e.ctrlKey || e.metaKey) return;
  const rows = [...scope.querySelectorAll("[data-row]")];
  if (!rows.length) return;
  const at = rows.findIndex((r) => r.classList.contains("on"));
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[pressed];
  if (step) {
    e.preventDefault();
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
    rows.forEach((r) => r.classList.toggle("on", r === next));
    next.scrollIntoView({ block: "nearest" });
    next.querySelector("a, button")?.focus({ preventScroll: true });
  }
}

// data-pick: the first row of a list is chosen when the page comes.
const pick = (list) => { if (!list.querySelector("[data-row].on")) list.querySelector("[data-row]")?.classList.add("on"); };
document.querySelectorAll("[data-pick]").forEach(pick);

// data-focus: one can write there at once, and still sees the head of the page.
document.querySelector("[data-focus]")?.focus({ preventScroll: true });

// data-save="URL" on a form: what is written is sent a moment after it was typed, and
// before the page is left. The answer's draftNo goes into the field "follows".
for (const form of document.querySelectorAll("form[data-save]")) {
  const status = form.querySelector("[data-status]");
  const say = (name, detail = "") => { if (status) status.textContent = (status.dataset[name] || "") + detail; };
  let timer, running = false, again = false, pressed;
  const save = async () => {
    clearTimeout(timer);
    if (running) { again = true; return; }
    running = true;
    say("saving");
    try {
      const answer = await fetch(form.dataset.save, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" }, keepalive: true });
      const body = await answer.json();
      if (!answer.ok) say(...(answer.status === 409 && status?.dataset.conflict ? ["conflict"] : ["failed", " " + body.error]));
      else {
        document.dispatchEvent(new Event("overread-used"));
        if (form.elements.follows && body.draftNo) form.elements.follows.value = body.draftNo;
        say("saved", " " + new Date().toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }));
      }
    } catch { say("offline"); timer = setTimeout(save, 5000); }
    running = false;
    if (pressed) form.requestSubmit(pressed);
    else if (again) { again = false; save(); }
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(save, 1200); say("unsaved"); });
  form.addEventListener("submit", (e) => { // what is being saved comes first: the form has to follow it
    clearTimeout(timer);
    if (running) { e.preventDefault(); pressed = e.submitter; }
  });
  addEventListener("pagehide", () => { if (timer && status?.textContent === status?.dataset.unsaved) save(); });
}

// data-fresh="15" on an element with an id: every so many seconds the page is asked
// for again and the element takes its new content, unless somebody is at work in it.
for (const part of document.querySelectorAll("[data-fresh][id]")) {
  setInterval(async () => {
    const now = document.getElementById(part.id);
    if (document.hidden || !now || now.contains(document.activeElement) && typing({ target: document.activeElement })) return;
    try {
      const answer = await fetch(location.href, { headers: { "Overread-Refresh": "1" } });
      if (!answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
      if (!fresh || fresh.innerHTML === now.innerHTML) return;
      const on = now.querySelector("[data-row].on")?.dataset.row;
      const focus = now.contains(document.activeElement) && on;
      now.replaceChildren(...fresh.childNodes);
      const row = on && now.querySelector(`[data-row="${CSS.escape(on)}"]`);
      row?.classList.add("on");
      if (now.matches("[data-pick]")) pick(now);
      if (focus) row?.querySelector("a, button")?.focus({ preventScroll: true });
    } catch { /* the next time */ }
  }, 1000 * part.dataset.fresh);
}

// data-dialog="id": opens the dialog; data-close within one closes it.
document.addEventListener("click", (e) => {
  const opener = e.target.closest("[data-dialog]");
  if (opener) { e.preventDefault(); document.getElementById(opener.dataset.dialog)?.showModal(); }
  if (e.target.closest("[data-close]")) { e.preventDefault(); e.target.closest("dialog")?.close(); }
});

// A form that was refused stands in its dialog again.
for (const refused of document.querySelectorAll("dialog.again")) {
  refused.classList.remove("again");
  refused.showModal();
}

// A page of a session asks a minute before its end whether somebody is there, and then
// leaves (WCAG 2.2.1). What is saved or sent meanwhile begins its time anew.
if (document.body.dataset.idle) {
  const { idle, signin, session } = document.body.dataset;
  const dialog = document.getElementById("still-there");
  let since = Date.now();
  const used = () => { since = Date.now(); };
  document.addEventListener("overread-used", used);
  dialog.querySelector("[data-stay]").addEventListener("click", async () => {
    const answer = await fetch(session, { headers: { Accept: "application/json" } });
    if (!answer.ok) { location.assign(signin); return; }
    used();
    dialog.close();
  });
  setInterval(() => {
    const left = idle * 1000 - (Date.now() - since);
    if (left <= 0) location.assign(signin);
    else if (left < 65000 && !dialog.open) dialog.showModal();
  }, 5000);
}

// data-next="name" on a button that is hidden without this script: of the details of this
// name the next one is opened, after the last one none.
for (const button of document.querySelectorAll("[data-next]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const all = [...document.querySelectorAll(`details[name="${button.dataset.next}"]`)];
    const at = all.findIndex((d) => d.open);
    if (at >= 0) all[at].open = false;
    if (all[at + 1]) all[at + 1].open = true;
  });
}

// data-print on a button that is hidden without this script: the page is printed.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
