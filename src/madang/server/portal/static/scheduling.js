// The cluster's cells, the weights of queues, the calendar of reservations: what needs no server.
"use strict";
(() => {
  // Cells: what is under the pointer, or has the focus, is told beside it. Arrows walk the grid.
  const tip = document.createElement("div");
  tip.className = "m-tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  let told = null;
  function tell(cell) {
    told = cell;
    tip.hidden = !cell;
    if (!cell) return;
    if (!tip.isConnected) document.body.append(tip);
    tip.textContent = cell.getAttribute("aria-label");
    const at = cell.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = tip;
    const left = Math.min(Math.max(8, at.left), innerWidth - width - 8);
    const below = at.bottom + 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${below + height < innerHeight ? below : at.top - height - 8}px`;
  }
  const cellOf = (event) => event.target.closest?.("[data-cell]");
  addEventListener("pointerover", (event) => {
    const cell = cellOf(event);
    if (cell !== told && (cell || !told?.matches(":focus"))) tell(cell);
  });
  addEventListener("focusin", (event) => tell(cellOf(event) ?? null));
  addEventListener("scroll", () => tell(null), true);
  addEventListener("click", (event) => {
    const cell = cellOf(event);
    if (cell?.dataset.href && event.pointerType !== "touch") location.assign(cell.dataset.href);
    else if (cell) tell(cell);
  });

  let here = "";
  function enter() {
    // One cell is reached by Tab: the one where the arrows were last, else the first.
    const cells = [...document.querySelectorAll("[data-cell]")];
    const at = cells.find((cell) => cell.dataset.cell === here) ?? cells[0];
    for (const cell of document.querySelectorAll("[data-cell][tabindex='0']")) {
      if (cell !== at) cell.tabIndex = -1;
    }
    if (at && at.tabIndex !== 0) at.tabIndex = 0;
    if (focused && at && document.activeElement === document.body) at.focus();
  }
  let focused = false;
  addEventListener("focusin", (event) => {
    focused = Boolean(cellOf(event));
    if (focused) here = cellOf(event).dataset.cell;
  });
  addEventListener("pointerdown", () => { focused = false; });
  addEventListener("keydown", (event) => {
    const cell = cellOf(event);
    if (event.key === "Escape") tell(null);
    if (!cell) return;
    const row = [...cell.parentElement.children];
    const column = row.indexOf(cell);
    const rows = [...document.querySelectorAll("[data-cells]")];
    const line = rows.indexOf(cell.parentElement);
    const to = (other) => rows[other]?.children[Math.min(column, rows[other].children.length - 1)];
    const next = {
      ArrowRight: row[column + 1], ArrowLeft: row[column - 1], ArrowDown: to(line + 1),
      ArrowUp: to(line - 1), Home: row[0], End: row.at(-1),
    }[event.key];
    if (event.key === "Enter" && cell.dataset.href) location.assign(cell.dataset.href);
    if (!next?.matches("[data-cell]")) return;
    event.preventDefault();
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  // Weights: the handle stands where a queue's fair share ends. While its siblings keep their
  // weights, a share s of what they divide belongs to the weight others * s / (1 - s).
  const handleOf = (event) => event.target.closest?.("[data-weight]");
  const rounded = (weight) => Number(Math.min(1000, Math.max(0.01, weight)).toPrecision(2));
  function measures(handle) {
    const track = handle.parentElement;
    const { end, cluster } = track.dataset;
    const whole = Number(handle.dataset.parent);
    const weight = Number(handle.getAttribute("aria-valuenow"));
    const share = Number(handle.dataset.share) / whole;
    const others = Number(handle.dataset.others ?? weight * (1 - share) / share);
    handle.dataset.others = others;
    return { track, scale: (Number(cluster) * whole) / Number(end), weight, others };
  }
  function show(handle, weight) {
    const { scale, others } = measures(handle);
    const share = weight / (weight + others);
    handle.style.left = `${Math.min(100, 100 * share * scale)}%`;
    handle.dataset.share = share * Number(handle.dataset.parent);
    const words = handle.dataset.words.replace("{weight}", weight)
      .replace("{percent}", Number((100 * share).toPrecision(3)));
    handle.setAttribute("aria-valuenow", weight);
    handle.setAttribute("aria-valuetext", words);
    told = handle;
    tip.hidden = false;
    if (!tip.isConnected) document.body.append(tip);
    tip.textContent = words;
    const at = handle.getBoundingClientRect();
    tip.style.left = `${Math.min(at.left, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${at.top - tip.offsetHeight - 8}px`;
    const field = document.querySelector(`[data-weight-of="${CSS.escape(handle.dataset.weight)}"]`);
    if (field) field.value = weight;
  }
  function say(queue, weight, source) {
    const detail = { queue, weight };
    source.dispatchEvent(new CustomEvent("weight", { detail, bubbles: true }));
  }
  addEventListener("pointerdown", (event) => {
    const handle = handleOf(event);
    if (!handle || event.button) return;
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    handle.classList.add("held");
    const { track, scale, weight, others } = measures(handle);
    let wanted = weight;
    const move = (moved) => {
      const box = track.getBoundingClientRect();
      const share = Math.min(0.98, Math.max(0.01, (moved.clientX - box.left) / box.width / scale));
      wanted = rounded((others * share) / (1 - share));
      show(handle, wanted);
    };
    const end = (ended) => {
      handle.removeEventListener("pointermove", move);
      handle.classList.remove("held");
      tell(null);
      if (ended.type === "pointercancel") show(handle, weight);
      else if (wanted !== weight) say(handle.dataset.weight, wanted, handle);
    };
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", end, { once: true });
    handle.addEventListener("pointercancel", end, { once: true });
  });
  let typed = 0;
  addEventListener("keydown", (event) => {
    const handle = handleOf(event);
    if (!handle) return;
    const { weight } = measures(handle);
    const step = 10 ** Math.floor(Math.log10(weight) - 1e-9);
    const wanted = {
      ArrowRight: weight + step, ArrowUp: weight + step, ArrowLeft: weight - step,
      ArrowDown: weight - step, PageUp: weight * 2, PageDown: weight / 2,
    }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    show(handle, rounded(wanted > 0 ? wanted : weight / 2));
    // Several presses are one change.
    clearTimeout(typed);
    typed = setTimeout(() => {
      say(handle.dataset.weight, Number(handle.getAttribute("aria-valuenow")), handle);
    }, 700);
  });
  addEventListener("change", (event) => {
    const field = event.target.closest?.("[data-weight-of]");
    const weight = Number(field?.value);
    if (field && weight > 0) say(field.dataset.weightOf, weight, field);
  });

  // While a menu is open, a handle held or a number typed, rows must not be drawn anew below the
  // hand: the page is told, and waits.
  let busy = false;
  function tellBusy() {
    setTimeout(() => {
      const map = document.querySelector(".m-map");
      const now = Boolean(map?.querySelector("details[open], .drag.held, input:focus"));
      if (!map || now === busy) return;
      busy = now;
      map.dispatchEvent(new CustomEvent("busy", { detail: busy }));
    });
  }
  for (const kind of ["toggle", "focusin", "focusout", "pointerdown", "pointerup", "pointercancel"]) {
    addEventListener(kind, tellBusy, true);
  }

  document.addEventListener("DOMContentLoaded", () => {
    let due = false;
    new MutationObserver(() => {
      if (due) return;
      due = true;
      requestAnimationFrame(() => {
        due = false;
        enter();
        if (told && !told.isConnected) {
          const name = told.dataset.cell;
          tell(name ? document.querySelector(`[data-cell="${CSS.escape(name)}"]`) : null);
        }
      });
    }).observe(document.body, { childList: true, subtree: true });
    enter();
  });
})();
