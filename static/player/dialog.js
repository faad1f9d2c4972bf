// One modal dialog on the native <dialog>: it lies above full screen, makes the rest inert, and keeps the focus inside.
// It cannot be dismissed with Escape unless it says so, because the reason for it would stay. No texts of its own.

import { el } from "./dom.js";

/**
 * @typedef {object} OpenDialog
 * @property {HTMLDialogElement} node
 * @property {() => void} close   and give the focus back
 */

let count = 0;

/**
 * @param {object} parts
 * @param {string} parts.kind   becomes data-kind, for style and tests
 * @param {string} parts.title
 * @param {(Node | null)[]} parts.body
 * @param {HTMLElement[]} parts.actions
 * @param {Element | null} [parts.returnFocus]  default: what has the focus now
 * @returns {OpenDialog}
 */
export function openDialog({ kind, title, body, actions, returnFocus = document.activeElement }) {
  const id = `dialog-${(count += 1)}`;
  const heading = el("h2", { class: "dialog-title", id: `${id}-title`, tabindex: "-1" }, title);
  const content = el("div", { class: "dialog-body", id: `${id}-body` }, ...body);
  const node = /** @type {HTMLDialogElement} */ (
    el(
      "dialog",
      { class: "dialog", "data-kind": kind, "aria-labelledby": heading.id, "aria-describedby": content.id },
      heading,
      content,
      actions.length ? el("div", { class: "dialog-actions" }, ...actions) : null,
    )
  );
  let open = true;
  node.addEventListener("cancel", (event) => event.preventDefault());
  // Browsers let a second Escape through; while the cause stands, so does the dialog.
  node.addEventListener("close", () => open && node.showModal());
  leaveNativeFullScreen();
  document.body.append(node);
  node.showModal();
  heading.focus();
  return {
    node,
    close() {
      if (!open) return;
      open = false;
      node.close();
      node.remove();
      if (returnFocus instanceof HTMLElement && returnFocus.isConnected) returnFocus.focus({ preventScroll: true });
    },
  };
}

/** iPhones show a video in a full screen of their own, where no dialog can be seen. */
function leaveNativeFullScreen() {
  const video = /** @type {any} */ (document.querySelector("video"));
  if (video?.webkitDisplayingFullscreen) video.webkitExitFullscreen();
}

/**
 * @param {string} text
 * @param {"primary" | "secondary"} look
 * @param {() => void} onPress
 */
export function actionButton(text, look, onPress) {
  return /** @type {HTMLButtonElement} */ (
    el("button", { type: "button", class: look === "primary" ? "button primary" : "button", onclick: onPress }, text)
  );
}
