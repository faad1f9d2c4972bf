// Short messages: toasts over the picture that go by themselves, and lasting notices above it. No dialogs.

import { byId, el } from "./dom.js";

/** Long enough to read two lines twice. */
const TOAST_MS = 6000;

/**
 * One toast per key: showing it again replaces it, so a held key does not pile up messages.
 * @param {string} key
 * @param {string} text
 * @param {"info" | "ok" | "warn"} [tone]
 */
export function toast(key, text, tone = "info") {
  const box = byId("toasts");
  const old = /** @type {HTMLElement | undefined} */ ([...box.children].find((each) => each.getAttribute("data-key") === key));
  if (old?.textContent === text) {
    renew(old);
    return;
  }
  old?.remove();
  const node = el("p", { class: `toast ${tone}`, "data-key": key }, text);
  box.append(node);
  while (box.children.length > 3) box.firstElementChild?.remove();
  renew(node);
}

/** @type {WeakMap<Element, number>} */
const timers = new WeakMap();

/** @param {HTMLElement} node */
function renew(node) {
  clearTimeout(timers.get(node));
  timers.set(node, window.setTimeout(() => node.remove(), TOAST_MS));
}

/**
 * A notice that stays until its cause is gone.
 * @param {string} key
 * @param {string | null} text  null takes it away
 * @param {"info" | "warn" | "bad"} [tone]
 */
export function lasting(key, text, tone = "warn") {
  const box = byId("notices");
  const old = [...box.children].find((each) => each.getAttribute("data-key") === key);
  if (text === null) old?.remove();
  else if (old?.textContent !== text) {
    const node = el("p", { class: `notice ${tone}`, "data-key": key }, text);
    if (old) old.replaceWith(node);
    else box.append(node);
  }
}
