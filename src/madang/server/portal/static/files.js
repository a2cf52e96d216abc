// Files between the browser and the gateway: several at once, large ones in parts that can be
// resumed, what is there already only after asking.
"use strict";
const madangFiles = (() => {
  const PART_BYTES = 8 * 2 ** 20;
  const WHOLE_BYTES = 2 * PART_BYTES;
  const AT_ONCE = 3;
  const TRIES = 4;
  const TICKET_MS = 240_000; // the API's tickets last for five minutes
  const RETRY_STATUS = new Set([0, 408, 429, 500, 502, 503, 504]);

  const tickets = new Map();
  async function ticket(resource, name, permission) {
    const key = `${name} ${permission}`;
    const known = tickets.get(key);
    if (known && known.until > Date.now()) return known.word;
    const answer = await fetch("/api/v1/tickets", {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "X-Madang-CSRF": document.getElementById("logout").dataset.csrf,
      },
      body: JSON.stringify({ resource, name, permission, ttl_s: 300 }),
    });
    if (!answer.ok) throw await problemOf(answer);
    const word = (await answer.json()).ticket;
    tickets.set(key, { word, until: Date.now() + TICKET_MS });
    return word;
  }

  function problem(status, text) {
    let said = {};
    try { said = JSON.parse(text); } catch { /* not one of ours */ }
    const words = [said.title, said.detail].filter(Boolean).join(". ");
    return Object.assign(new Error(words || `HTTP ${status}`), { status });
  }
  const problemOf = async (answer) => problem(answer.status, await answer.text());

  // fetch() does not tell how much of a body has been sent; XMLHttpRequest does.
  function send(method, url, { body, headers = {}, word, sent = () => {} }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open(method, url);
      request.setRequestHeader("X-Madang-Ticket", word);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => sent(event.loaded);
      request.onerror = () => reject(problem(0, ""));
      request.onload = () => {
        if (request.status < 400) resolve(request.responseText ? JSON.parse(request.responseText) : null);
        else reject(problem(request.status, request.responseText));
      };
      request.send(body ?? null);
    });
  }
  async function sendAgain(target, method, url, options) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await send(method, url, { ...options, word: await ticket("folder", target.folder, "folders:write") });
      } catch (error) {
        if (!RETRY_STATUS.has(error.status) || attempt === TRIES) throw error;
        options.sent?.(0);
        await new Promise((done) => setTimeout(done, 2 ** attempt * 250));
      }
    }
  }

  const digest = async (blob) => {
    if (!crypto.subtle) return {}; // only where the page came by HTTPS or from this machine
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
    const text = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return { "X-Checksum-SHA256": text };
  };
  const address = (target, path) =>
    `${target.url}/${path.split("/").map(encodeURIComponent).join("/")}`;

  async function exists(target, path) {
    const word = await ticket("folder", target.folder, "folders:read");
    const answer = await fetch(address(target, path), {
      method: "HEAD", headers: { "X-Madang-Ticket": word },
    }).catch(() => null);
    return answer?.ok ?? false;
  }

  async function upload(target, item, sent) {
    const { file } = item;
    const url = address(target, item.path);
    const modified = String(BigInt(file.lastModified) * 1_000_000n);
    if (file.size <= WHOLE_BYTES) {
      const headers = { ...(await digest(file)), "X-Modified-Ns": modified };
      await sendAgain(target, "PUT", url, { body: file, headers, sent });
      return;
    }
    const key = `${file.name} ${file.size} ${file.lastModified}`;
    const begun = await sendAgain(target, "POST", `${url}?upload`, {
      body: JSON.stringify({ size: file.size, key, modified_ns: Number(modified) }),
    });
    const there = new Set(begun.received.map((part) => `${part.start}-${part.end}`));
    const parts = [];
    for (let start = 0; start < file.size; start += PART_BYTES) {
      parts.push([start, Math.min(file.size, start + PART_BYTES)]);
    }
    const progress = new Map(parts.map(([start, end]) =>
      [start, there.has(`${start}-${end}`) ? end - start : 0]));
    const tell = () => sent([...progress.values()].reduce((sum, bytes) => sum + bytes, 0));
    const missing = parts.filter(([start, end]) => !there.has(`${start}-${end}`));
    tell();
    await many(missing, AT_ONCE, async ([start, end]) => {
      const body = file.slice(start, end);
      await sendAgain(target, "PUT", `${url}?upload=${begun.id}&offset=${start}`, {
        body, headers: await digest(body),
        sent: (bytes) => { progress.set(start, bytes); tell(); },
      });
    });
    await sendAgain(target, "POST", `${url}?upload=${begun.id}&complete`, { body: "{}" });
  }

  async function many(items, atOnce, work) {
    const waiting = [...items];
    await Promise.all(Array.from({ length: Math.min(atOnce, waiting.length) }, async () => {
      while (waiting.length) await work(waiting.shift());
    }));
  }

  // What was dropped or chosen, with the paths of files in dropped directories.
  async function itemsOf(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
    const found = [];
    const walk = async (entry) => {
      if (entry.isFile) {
        const file = await new Promise((done, failed) => entry.file(done, failed));
        found.push({ file, path: entry.fullPath.slice(1) });
        return;
      }
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((done, failed) => reader.readEntries(done, failed));
        if (!some.length) return;
        for (const one of some) await walk(one);
      }
    };
    for (const entry of entries) await walk(entry);
    return found;
  }

  const element = (tag, className, text = "") =>
    Object.assign(document.createElement(tag), { className, textContent: text });
  const bytes = (number) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    while (number >= 1024 && at < units.length - 1) { number /= 1024; at += 1; }
    return `${number.toFixed(at && number < 100 ? 1 : 0)} ${units[at]}`;
  };
  const fill = (text, facts) => text.replace(/\{(\w+)\}/g, (_, name) => facts[name]);

  async function uploadAll(zone, items) {
    const words = JSON.parse(zone.dataset.words);
    const target = { url: zone.dataset.upload, folder: zone.dataset.folder };
    const status = zone.querySelector("[role=status]");
    const list = zone.querySelector(".m-uploads");
    const total = items.reduce((sum, item) => sum + item.file.size, 0);
    const sentOf = new Map();
    let done = 0;
    let left = 0;
    const tell = () => {
      const sent = [...sentOf.values()].reduce((sum, size) => sum + size, 0);
      status.textContent = fill(words.under_way, {
        done, all: items.length, sent: bytes(sent), total: bytes(total),
      });
    };
    const one = async (item, replace) => {
      const row = element("div", "m-upload");
      const bar = element("progress", "");
      bar.max = Math.max(1, item.file.size);
      bar.value = 0;
      bar.setAttribute("aria-label", item.path);
      const said = element("span", "m-muted");
      row.append(element("span", "name", item.path), bar, said);
      list.append(row);
      const offer = (text, label, again) => {
        left += 1;
        bar.remove();
        said.textContent = text;
        const button = element("button", "m-button", label);
        button.type = "button";
        button.onclick = () => { row.remove(); left -= 1; run([[item, again]]); };
        const close = element("button", "m-button quiet", words.skip);
        close.type = "button";
        close.onclick = () => row.remove();
        row.append(button, close);
      };
      try {
        if (!replace && await exists(target, item.path)) {
          offer(words.exists, words.replace, true);
          return;
        }
        await upload(target, item, (size) => {
          bar.value = size;
          sentOf.set(item, size);
          tell();
        });
        sentOf.set(item, item.file.size);
        done += 1;
        row.remove();
        tell();
      } catch (error) {
        row.classList.add("bad");
        offer(error.message === "HTTP 0" ? words.unreachable : error.message, words.again, replace);
      }
    };
    const run = async (work) => {
      tell();
      await many(work, AT_ONCE, ([item, replace]) => one(item, replace));
      status.textContent = fill(left ? words.some : words.all, { done, left });
      zone.dispatchEvent(new CustomEvent("uploaded"));
    };
    await run(items.map((item) => [item, false]));
  }

  const zoneOf = (event) => event.target.closest?.("[data-upload]");
  addEventListener("dragover", (event) => {
    event.preventDefault(); // a file dropped beside the zone does not replace the page
    zoneOf(event)?.classList.add("over");
  });
  addEventListener("dragleave", (event) => zoneOf(event)?.classList.remove("over"));
  addEventListener("drop", async (event) => {
    event.preventDefault();
    const zone = zoneOf(event);
    if (!zone) return;
    zone.classList.remove("over");
    uploadAll(zone, await itemsOf(event.dataTransfer));
  });
  addEventListener("change", (event) => {
    const zone = zoneOf(event);
    if (!zone || event.target.type !== "file") return;
    const items = [...event.target.files].map((file) => ({ file, path: file.name }));
    event.target.value = "";
    uploadAll(zone, items);
  });
  addEventListener("beforeunload", (event) => {
    if (document.querySelector(".m-upload progress")) event.preventDefault();
  });

  // A link can't carry a header: it carries a ticket.
  async function download(url, folder, asTar) {
    try {
      const word = await ticket("folder", folder, "folders:read");
      const address = `${url}?${asTar ? "archive=tar" : "download"}&ticket=${encodeURIComponent(word)}`;
      const link = Object.assign(document.createElement("a"), { href: address, download: "" });
      document.body.append(link);
      link.click();
      link.remove();
    } catch (error) {
      window.emitEvent?.("problem", error.message);
    }
  }
  return { download, ticket };
})();

// Trying an endpoint: an example with the shape that the model asks for, sent to the gateway.
const madangTry = (() => {
  const VALUES = 4096;
  const place = () => document.querySelector("[data-try]");
  let shown = "";

  async function call(url, options = {}) {
    const word = await madangFiles.ticket("endpoint", place().dataset.endpoint, "endpoints:invoke");
    return fetch(url, { ...options, headers: { "X-Madang-Ticket": word } });
  }
  function example(metadata) {
    const value = (datatype) => (datatype === "BOOL" ? false : datatype === "BYTES" ? "text" : 0);
    return {
      inputs: (metadata.inputs ?? []).map(({ name, datatype, shape }) => {
        const whole = shape.map((length) => (length < 0 ? 1 : length));
        const count = Math.min(VALUES, whole.reduce((product, length) => product * length, 1));
        return { name, datatype, shape: whole, data: Array(count).fill(value(datatype)) };
      }),
    };
  }
  async function prepare() {
    const box = document.getElementById("try-request");
    if (!box || !place() || shown === place().dataset.try) return;
    shown = place().dataset.try;
    const answer = await call(shown).catch(() => null);
    if (!answer?.ok) {
      document.getElementById("try-answer").textContent =
        answer ? await answer.text() : place().dataset.away;
      return;
    }
    const text = JSON.stringify(example(await answer.json()), null, 2);
    // Numbers on one line each make an image a mile long.
    box.value = text.replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, inner) => `[${inner.replace(/\s+/g, " ")}]`);
  }
  async function send(button) {
    const said = document.getElementById("try-answer");
    button.disabled = true;
    const began = performance.now();
    try {
      const answer = await call(`${place().dataset.try}/infer`, {
        method: "POST", body: document.getElementById("try-request").value,
      });
      const text = await answer.text();
      let pretty = text;
      try { pretty = JSON.stringify(JSON.parse(text), null, 2); } catch { /* as it is */ }
      said.textContent = pretty;
      document.getElementById("try-time").textContent = place().dataset.took
        .replace("{status}", answer.status)
        .replace("{milliseconds}", Math.round(performance.now() - began));
    } catch {
      said.textContent = place().dataset.away;
    } finally {
      button.disabled = false;
    }
  }
  return { prepare, send };
})();
