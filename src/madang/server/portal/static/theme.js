// Before anything is drawn: the chosen theme, else the system's; the language of the page; and the
// zone that the visitor's times are told in.
"use strict";
const madangTheme = (() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("madang-theme");
  function apply() {
    const theme = chosen() || (system.matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme;
    // Pieces of NiceGUI look at the body.
    document.body?.classList.toggle("body--dark", theme === "dark");
    document.body?.classList.toggle("body--light", theme === "light");
    return theme;
  }
  function toggle() {
    localStorage.setItem("madang-theme", apply() === "dark" ? "light" : "dark");
    apply();
  }
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    const language = document.querySelector("meta[name=madang-language]")?.content;
    if (language) document.documentElement.lang = language;
  });
  apply();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  document.cookie = `madang_zone=${encodeURIComponent(zone)};path=/;max-age=31536000;samesite=lax`;
  return { toggle };
})();
