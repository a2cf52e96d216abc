// What pages do in the browser without asking the server: keyboard, palette, times, copying, uploads.
"use strict";
const madang = (() => {
  const cookie = (name, value) => {
    document.cookie = `${name}=${encodeURIComponent(value)};path=/;max-age=31536000;samesite=lax`;
  };
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // Times in the visitor's zone and language, kept fresh.
  const language = document.querySelector("meta[name=madang-language]")?.content;
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  function showTimes() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const when = new Date(time.dateTime);
      const seconds = (when - Date.now()) / 1000;
      const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) || units[3];
      const text = relative.format(Math.trunc(seconds / size), unit);
      if (time.textContent !== text) time.textContent = text;
      time.title = when.toLocaleString(language);
    }
  }

  function toggleTheme() { madangTheme.toggle(); }

  const reloadWithout = (name) => {
    const url = new URL(location.href);
    url.searchParams.delete(name);
    location.assign(url);
  };
  function setProject(name) { cookie("madang_project", name); reloadWithout("project"); }
  function setLanguage(code) { cookie("madang_language", code); location.reload(); }
  async function logout() {
    const csrf = document.getElementById("logout").dataset.csrf;
    await fetch("/api/v1/auth/logout", { method: "POST", headers: { "X-Madang-CSRF": csrf } });
    location.assign("/login");
  }

  async function copy(button) {
    const text = button.parentElement.querySelector("span").textContent;
    await navigator.clipboard.writeText(text);
    const label = button.textContent;
    button.textContent = "✓";
    setTimeout(() => { button.textContent = label; }, 1200);
  }

  // Tables: j and k move, Enter opens, x chooses, / searches.
  const rows = () => [...document.querySelectorAll("tbody tr[data-key], tbody tr[data-href]")];
  function move(step) {
    const all = rows();
    if (!all.length) return;
    const here = all.findIndex((row) => row.classList.contains("at"));
    all[here]?.classList.remove("at");
    const next = all[Math.min(all.length - 1, Math.max(0, here + step))];
    next.classList.add("at");
    at = next.dataset.key ?? null;
    next.scrollIntoView({ block: "nearest" });
  }
  const current = () => document.querySelector("tr.at");

  // A table is drawn anew when something changed: what was chosen and where one was stay.
  const chosen = new Set();
  let at = null;
  const picked = () => [...chosen];
  function remember(box) {
    if (box.checked) chosen.add(box.value);
    else chosen.delete(box.value);
  }
  function pickAll(box) {
    for (const one of document.querySelectorAll("td input.pick")) {
      one.checked = box.checked;
      remember(one);
    }
  }
  function pickNone() {
    chosen.clear();
    restore();
  }
  function restore() {
    for (const box of document.querySelectorAll("td input.pick")) {
      box.checked = chosen.has(box.value);
    }
    if (at !== null && !current()) {
      rows().find((row) => row.dataset.key === at)?.classList.add("at");
    }
  }
  addEventListener("change", (event) => {
    if (event.target.matches?.("td input.pick")) remember(event.target);
  });

  // Command palette: go to any page or row that this page knows, start anything.
  function palette() {
    if (document.getElementById("palette-dialog")) return;
    const labels = document.getElementById("palette").dataset;
    const known = [
      ...[...document.querySelectorAll("a.m-nav, .m-tabs a, td a[href]:not(.file)")]
        .map((link) => [link.textContent.trim(), link.getAttribute("href")]),
      [labels.job, "/new-job"], [labels.folder, "/data?new=folder"],
      [labels.endpoint, "/endpoints?new=1"],
    ];
    const input = element("input", { className: "m-input", placeholder: labels.goto, type: "search" });
    input.setAttribute("aria-label", labels.goto);
    input.style.width = "100%";
    const list = element("div", { className: "m-tabs" });
    list.style.cssText = "flex-direction:column;max-height:50vh;overflow:auto;border:0";
    const dialog = element("dialog", { id: "palette-dialog", className: "m-card" }, input, list);
    dialog.style.cssText = "width:min(560px,92vw);margin-top:12vh;color:inherit";
    const show = () => {
      const words = input.value.toLowerCase();
      const found = known.filter(([name]) => name.toLowerCase().includes(words)).slice(0, 30);
      list.replaceChildren(...(found.length
        ? found.map(([name, href]) => element("a", { href, textContent: name }))
        : [element("span", { textContent: labels.none })]));
    };
    input.addEventListener("input", show);
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === input) list.querySelector("a")?.click();
    });
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    show();
    dialog.showModal();
    input.focus();
  }

  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      palette();
      return;
    }
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x" && current()) {
      const box = current().querySelector("input.pick");
      box?.click();
    } else if (event.key === "Enter" && current()?.dataset.href && !event.target.closest("a, button")) {
      location.assign(current().dataset.href);
    } else if (event.key === "/") {
      event.preventDefault();
      document.querySelector("[data-search]")?.focus();
    }
  });
  addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-href]");
    if (row && !event.target.closest("a, button, input, select")) location.assign(row.dataset.href);
  });

  // Logs: streamed from the API. The view follows unless the reader has scrolled up; a line that
  // a progress bar writes again and again is shown once.
  const LOG_CHARACTERS = 4e6;
  const ENDED = new Set(["succeeded", "failed", "cancelled"]);
  const ESCAPES = /\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-_])/g;
  function followLog(box) {
    box.dataset.on = "";
    const offsets = new Map();
    const line = document.createTextNode("");
    box.append(line);
    let waiting = "";
    let length = 0;
    let pause = 500;
    function draw() {
      const text = line.data + waiting.replace(ESCAPES, "");
      waiting = "";
      const following = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
      const lines = text.split("\n").map((one) => one.replace(/\r+$/, "").replace(/^[^]*\r/, ""));
      line.data = lines.pop() ?? "";
      if (lines.length) {
        const whole = document.createTextNode(`${lines.join("\n")}\n`);
        length += whole.length;
        line.before(whole);
      }
      while (length > LOG_CHARACTERS && box.firstChild !== line) {
        length -= box.firstChild.length;
        box.firstChild.remove();
      }
      if (following) box.scrollTop = box.scrollHeight;
    }
    function open() {
      if (!box.isConnected) return;
      const where = offsets.size
        ? `&offsets=${[...offsets].map(([task, byte]) => `${task}:${byte}`).join(",")}`
        : `&tail_bytes=${box.dataset.tail}`;
      const source = new EventSource(box.dataset.log + where);
      source.addEventListener("log", (event) => {
        const said = JSON.parse(event.data);
        offsets.set(said.task_id, said.next_offset);
        pause = 500;
        if (!waiting) setTimeout(draw, 50);
        waiting += said.text;
      });
      source.addEventListener("state", (event) => {
        if (ENDED.has(JSON.parse(event.data).state)) source.close();
      });
      source.addEventListener("error", () => {
        source.close();
        setTimeout(open, pause);
        pause = Math.min(pause * 2, 15000);
      });
    }
    open();
  }
  async function saveLog(button) {
    const parts = [];
    let offset = 0;
    button.disabled = true;
    try {
      for (;;) {
        const answer = await fetch(`${button.dataset.save}&offset=${offset}&limit=8388608`);
        if (!answer.ok) return;
        const part = await answer.json();
        if (!part.text) break;
        parts.push(part.text);
        offset = part.next_offset;
      }
    } finally {
      button.disabled = false;
    }
    const link = element("a", {
      href: URL.createObjectURL(new Blob(parts, { type: "text/plain" })),
      download: button.dataset.name,
    });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  document.addEventListener("DOMContentLoaded", () => {
    showTimes();
    setInterval(showTimes, 15000);
    const findLogs = () => document.querySelectorAll("[data-log]:not([data-on])").forEach(followLog);
    // Changes come in bursts: look once after each.
    let due = false;
    new MutationObserver(() => {
      restore();
      if (due) return;
      due = true;
      requestAnimationFrame(() => { due = false; showTimes(); findLogs(); madangTry.prepare(); });
    }).observe(document.body, { childList: true, subtree: true });
  });
  // A link that names a project chooses it for the pages after it too.
  const linked = new URLSearchParams(location.search).get("project");
  if (linked) cookie("madang_project", linked);
  document.addEventListener("visibilitychange", () => {
    window.emitEvent?.("visible", !document.hidden);
  });
  // The person's menu closes when one looks elsewhere.
  addEventListener("pointerdown", (event) => {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  return {
    toggleTheme, setProject, setLanguage, logout, copy, palette, picked, pickAll, pickNone, saveLog,
  };
})();
