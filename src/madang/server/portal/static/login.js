// Logs in by name and password, or by the one-time link `/login?link=…`, then goes on.
"use strict";
const form = document.getElementById("login");
const problem = document.getElementById("problem");
const query = new URLSearchParams(location.search);

function goOn() {
  // Only ever to a page of this portal, whatever the address says and however browsers read it.
  const base = location.origin;
  const next = query.get("next") || "/";
  const url = URL.canParse(next, base) ? new URL(next, base) : new URL(base);
  location.assign(url.origin === base ? url.href : "/");
}

async function logIn(path, body) {
  problem.hidden = true;
  const answer = await fetch(`/api/v1/auth/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }).catch(() => null);
  if (answer?.ok) return goOn();
  const said = answer ? await answer.json().catch(() => ({})) : {};
  const words = [said.title || form.dataset.failed, said.detail].filter(Boolean).join(". ");
  problem.textContent = words.charAt(0).toUpperCase() + words.slice(1);
  problem.hidden = false;
  showFields(true);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const link = query.get("link");
  if (link && form.elements.name.disabled) logIn("link", { link });
  else logIn("login", { name: form.elements.name.value, password: form.elements.password.value });
});

function showFields(shown) {
  for (const input of [form.elements.name, form.elements.password]) {
    input.disabled = !shown;
    input.closest("label").hidden = !shown;
  }
}

if (query.has("link")) {
  // A click is asked for, so that a program that follows links does not use it up.
  showFields(false);
  form.querySelector(".hint").textContent = form.dataset.link;
  form.querySelector("button").focus();
}
