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
  const relative = new Intl.RelativeTimeFormat(document.documentElement.lang || undefined,
    { numeric: "auto" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  function showTimes() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const when = new Date(time.dateTime);
      const seconds = (when - Date.now()) / 1000;
      const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) || units[3];
      const text = relative.format(Math.round(seconds / size), unit);
      if (time.textContent !== text) time.textContent = text;
      time.title = when.toLocaleString();
    }
  }

  // Theme: the system's unless chosen.
  function applyTheme() {
    const chosen = localStorage.getItem("madang-theme");
    const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.body.classList.toggle("body--dark", dark);
    document.body.classList.toggle("body--light", !dark);
  }
  function toggleTheme() {
    const dark = document.body.classList.contains("body--dark");
    localStorage.setItem("madang-theme", dark ? "light" : "dark");
    applyTheme();
  }

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
  const rows = () => [...document.querySelectorAll("tr[data-href]")];
  function move(step) {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.classList.contains("at"));
    all[at]?.classList.remove("at");
    const next = all[Math.min(all.length - 1, Math.max(0, at + step))];
    next.classList.add("at");
    next.scrollIntoView({ block: "nearest" });
  }
  const current = () => document.querySelector("tr.at");
  const picked = () =>
    [...document.querySelectorAll("input.pick:checked")].map((box) => box.value);
  function pickAll(box) {
    for (const one of document.querySelectorAll("input.pick")) one.checked = box.checked;
  }

  // Command palette: go to any page or row that this page knows, start anything.
  function palette() {
    if (document.getElementById("palette-dialog")) return;
    const labels = document.getElementById("palette").dataset;
    const known = [
      ...[...document.querySelectorAll("a.m-nav, .m-head a.m-button, .m-tabs a, td a[href]")]
        .map((link) => [link.textContent.trim(), link.getAttribute("href")]),
      ["＋ job", "/jobs/new"], ["＋ folder", "/data?new=folder"], ["＋ endpoint", "/endpoints?new=1"],
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
      if (box) box.checked = !box.checked;
    } else if (event.key === "Enter" && current() && event.target === document.body) {
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

  // Logs: new text at the end; the view follows unless the reader has scrolled up.
  function appendLog(id, text) {
    const box = document.getElementById(id);
    if (!box) return;
    const following = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    box.append(text);
    if (following) box.scrollTop = box.scrollHeight;
  }

  document.addEventListener("DOMContentLoaded", () => {
    applyTheme();
    showTimes();
    setInterval(showTimes, 15000);
    new MutationObserver(showTimes).observe(document.body, { childList: true, subtree: true });
  });
  return { toggleTheme, setProject, setLanguage, logout, copy, palette, picked, pickAll, appendLog };
})();
