// The playback check: an overlay with the rotating code (or the button for this device), its countdown, and the way on after
// it was missed. Whether it was answered is only ever the server's word: `resume` closes the overlay, nothing here does.

import { getJson, postJson } from "./api.js";
import { actionButton, openDialog } from "./dialog.js";
import { el, setText } from "./dom.js";
import { clockText, spokenTime } from "./format.js";
import { t } from "./words.js";

/** Spoken at these seconds before the deadline. */
const SPOKEN_AT = [60, 30, 10];
/** After a code was asked for it comes over the socket; when it does not, the button is offered again. */
const RENEW_WITHIN_MS = 6000;
const IMAGE_RETRY_MS = 2000;
/** The server decides when the time is over, and the last confirmation may still be under way to this page. */
const LATE_SECONDS = 1.5;

/** @typedef {import("./protocol.js").ChallengeMessage} ChallengeMessage */

/**
 * @param {object} parts
 * @param {string} parts.csrf
 * @param {string} parts.homeUrl
 * @param {import("./clock.js").Clock} parts.clock
 * @param {import("./watch_state.js").Store} parts.store
 * @returns {{show: (message: ChallengeMessage) => void, hide: () => void}}
 */
export function createChallenge({ csrf, homeUrl, clock, store }) {
  /** @type {import("./dialog.js").OpenDialog | null} */
  let dialog = null;
  /** @type {ChallengeMessage | null} */
  let shown = null;
  /** @type {Element | null} what had the focus before the check, through all its faces */
  let returnFocus = null;
  let deadlineAt = 0;
  let turnAt = Infinity;
  let renewBy = Infinity;
  let turns = 0;
  /** @type {number[]} */
  let toSpeak = [];
  /** @type {HTMLImageElement | null} */
  let image = null;
  /** @type {HTMLElement | null} */
  let linkText = null;
  /** @type {HTMLElement | null} */
  let countdown = null;
  const spoken = el("p", { class: "visually-hidden", role: "status" });
  const problem = el("p", { class: "error-text", role: "alert" });

  function turn() {
    if (!image || !shown) return;
    turns += 1;
    turnAt = clock.now() + shown.rotate * 1000;
    image.src = `${shown.qr}${shown.qr.includes("?") ? "&" : "?"}n=${turns}`;
    if (turns > 1 && linkText && shown.qr.endsWith("/qr.svg")) void turnLink(shown.qr.replace(/qr\.svg$/, "link"), linkText);
  }

  /** The link as text turns with the picture. @param {string} url @param {HTMLElement} text */
  async function turnLink(url, text) {
    const answer = await getJson(url);
    if (typeof answer.body.link === "string") setText(text, answer.body.link);
  }

  /** @param {Parameters<typeof openDialog>[0]} parts */
  function present(parts) {
    if (dialog) dialog.close();
    else returnFocus = document.activeElement;
    setText(problem, "");
    dialog = openDialog({ ...parts, returnFocus });
  }

  /** @param {ChallengeMessage} message */
  function face(message) {
    image = /** @type {HTMLImageElement} */ (el("img", { class: "qr", alt: t("challenge.qr"), width: "244", height: "244" }));
    image.addEventListener("load", () => setText(problem, ""));
    image.addEventListener("error", () => {
      setText(problem, t("challenge.qrFailed"));
      turnAt = clock.now() + IMAGE_RETRY_MS;
    });
    // Text, not a link: opened in this browser it would only be refused, and the code be tied to it.
    linkText = message.link ? el("span", { class: "code", id: "challenge-link" }, message.link) : null;
    turns = 0;
    const scan = el(
      "div",
      { class: "scan" },
      el("div", { class: "qr-frame" }, image),
      linkText ? el("p", { class: "small" }, t("challenge.link"), el("br"), linkText) : null,
    );
    countdown = el("strong", { class: "countdown num", role: "timer" }, "");
    const tap = message.tap;
    const tapArea = tap ? actionButton(t("challenge.tap"), "primary", () => void confirmHere(tap, /** @type {HTMLButtonElement} */ (tapArea))) : null;
    tapArea?.classList.add("block");
    present({
      kind: "challenge",
      title: t(`challenge.${message.kind}`),
      body: [
        el("p", {}, t(tap ? "challenge.tap.lead" : `challenge.${message.kind}.lead`)),
        tapArea,
        tap ? el("details", { class: "other-phone" }, el("summary", {}, t("challenge.tapOther")), scan) : scan,
        problem,
        el("p", { class: "countdown-line" }, t("challenge.left"), " ", countdown),
        el("p", { class: "muted small" }, t("challenge.hint")),
        later(),
        spoken,
      ],
      actions: [],
    });
    toSpeak = SPOKEN_AT.filter((each) => each < message.deadline - 5);
    turn();
  }

  /** Leaving is always possible; the check waits. */
  const later = () => el("p", { class: "later" }, el("a", { class: "small", href: homeUrl }, t("challenge.later")));

  /** @param {ChallengeMessage} message */
  function missedFace(message) {
    image = countdown = linkText = null;
    turnAt = Infinity;
    const renew = actionButton(t("challenge.renew"), "primary", () => void askNew(message, renew));
    present({
      kind: "challenge-missed",
      title: t("challenge.missed"),
      body: [el("p", {}, t("challenge.missed.lead")), el("p", {}, t("challenge.missed.next")), problem, later()],
      actions: [renew],
    });
  }

  /** @param {ChallengeMessage} message @param {HTMLButtonElement} button */
  async function askNew(message, button) {
    button.disabled = true;
    setText(button, t("challenge.renewing"));
    setText(problem, "");
    const answer = await postJson(message.renew, csrf, {});
    if (answer.ok) renewBy = clock.now() + RENEW_WITHIN_MS;
    else offerAgain(answer.message);
  }

  /** @param {string | null} message */
  function offerAgain(message) {
    renewBy = Infinity;
    const button = dialog?.node.querySelector("button");
    if (!button || shown?.missed !== true) return;
    button.disabled = false;
    setText(button, t("challenge.renew"));
    setText(problem, message ?? t("challenge.failed"));
  }

  /** @param {string} url @param {HTMLButtonElement} button */
  async function confirmHere(url, button) {
    button.disabled = true;
    setText(button, t("challenge.sending"));
    setText(problem, "");
    const answer = await postJson(url, csrf, {});
    if (answer.ok && !answer.body.next) return; // `resume` follows over the socket.
    button.disabled = false;
    setText(button, t("challenge.tap"));
    setText(problem, answer.message ?? (answer.body.next ? "" : t("challenge.failed")));
    if (typeof answer.body.next === "string" && !dialog?.node.querySelector(".bind")) {
      // This phone is not bound yet: binding needs a form, on a page of its own.
      button.after(el("a", { class: "button block bind", href: answer.body.next, target: "_blank", rel: "noopener" }, t("challenge.bind")));
    }
  }

  clock.onTick((now) => {
    if (!shown || !dialog) return;
    if (now > renewBy) offerAgain(null);
    if (shown.missed) return;
    const left = (deadlineAt - now) / 1000;
    if (left <= -LATE_SECONDS) {
      shown = { ...shown, missed: true };
      store.set({ challenge: "missed" });
      missedFace(shown);
      return;
    }
    if (countdown) {
      setText(countdown, clockText(Math.ceil(left)));
      countdown.toggleAttribute("data-soon", left <= 30);
    }
    if (toSpeak.length && left <= toSpeak[0]) {
      setText(spoken, t("challenge.leftSpoken", { time: spokenTime(toSpeak[0], t) }));
      toSpeak = toSpeak.slice(1);
    }
    if (now >= turnAt) turn();
  });

  return {
    show(message) {
      const same = shown && dialog && shown.id === message.id && shown.missed === message.missed && shown.tap === message.tap;
      shown = message;
      deadlineAt = clock.now() + message.deadline * 1000;
      renewBy = Infinity;
      store.set({ challenge: message.missed ? "missed" : "open" });
      // After a reconnect the same check comes again: keep what the learner is looking at.
      if (same) return;
      if (message.missed) missedFace(message);
      else face(message);
    },
    hide() {
      shown = image = countdown = linkText = null;
      turnAt = renewBy = Infinity;
      dialog?.close();
      dialog = null;
    },
  };
}
