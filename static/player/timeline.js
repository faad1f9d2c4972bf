// The seek bar: where the video stands, what is buffered, what is learned, and how far the learner may drag.
// The rule itself (how far) is playback.limit(); this file draws it, and says politely why a drag goes no further.

import { byId, setText } from "./dom.js";
import { clamp, clockText, spokenTime } from "./format.js";
import { isFree, learned } from "./watch_state.js";
import { t } from "./words.js";

const KEY_STEP = 5;
const PAGE_STEP = 30;
/** A choice this close beyond the limit is a rounding matter, not a fast-forward. */
const SLACK = 0.5;

/**
 * @typedef {object} Timeline
 * @property {(to: number) => void} choose  the learner wants to go there; refuses beyond the limit
 */

/**
 * @param {object} parts
 * @param {HTMLVideoElement} parts.video
 * @param {import("./watch_state.js").Store} parts.store
 * @param {import("./playback.js").Playback} parts.playback
 * @param {() => void} parts.onRefused
 * @returns {Timeline}
 */
export function startTimeline({ video, store, playback, onRefused }) {
  const bar = byId("timeline");
  const bubble = byId("timeline-bubble");
  /** @type {number | null} seconds under the pointer while dragging */
  let dragged = null;

  const share = (/** @type {number} */ seconds) => clamp(seconds / (store.value.duration || 1), 0, 1);
  const beyond = (/** @type {number} */ seconds) => seconds > playback.limit() + SLACK;

  function draw() {
    const at = dragged === null ? video.currentTime : Math.min(dragged, playback.limit());
    const buffered = video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0;
    bar.style.setProperty("--at", String(share(at)));
    bar.style.setProperty("--learned", String(share(learned(store.value))));
    bar.style.setProperty("--buffered", String(share(buffered)));
    bar.toggleAttribute("data-free", isFree(store.value));
    bar.setAttribute("aria-valuemax", String(Math.round(store.value.duration)));
    bar.setAttribute("aria-valuenow", String(Math.round(at)));
    const said = { at: spokenTime(at, t), all: spokenTime(store.value.duration, t), learned: spokenTime(learned(store.value), t) };
    bar.setAttribute("aria-valuetext", t(isFree(store.value) ? "timeline.free" : "timeline.value", said));
  }

  /** @param {number} to */
  function choose(to) {
    // Before the first welcome nobody knows what is learned.
    if (store.value.phase !== "live" && playback.limit() === 0) return;
    const target = clamp(to, 0, store.value.duration);
    if (beyond(target)) {
      onRefused();
      // The farthest allowed place is still a help, if it lies ahead of where the learner is.
      if (playback.limit() - video.currentTime > 1) playback.seek(playback.limit());
    } else playback.seek(target);
    draw();
  }

  /** @param {PointerEvent} event */
  function under(event) {
    const box = bar.getBoundingClientRect();
    return clamp((event.clientX - box.left) / (box.width || 1), 0, 1) * store.value.duration;
  }
  /** @param {PointerEvent} event */
  function hover(event) {
    const seconds = under(event);
    bar.style.setProperty("--hover", String(clamp(share(seconds), 0.04, 0.96)));
    bubble.toggleAttribute("data-locked", beyond(seconds));
    setText(bubble, beyond(seconds) ? t("timeline.locked", { at: clockText(seconds) }) : clockText(seconds));
    return seconds;
  }

  bar.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    bar.setPointerCapture(event.pointerId);
    bar.toggleAttribute("data-dragging", true);
    dragged = hover(event);
    bar.focus({ preventScroll: true });
    draw();
  });
  bar.addEventListener("pointermove", (event) => {
    const seconds = hover(event);
    if (dragged === null) return;
    dragged = seconds;
    if (beyond(seconds)) onRefused();
    draw();
  });
  bar.addEventListener("pointerup", () => {
    const to = dragged;
    dragged = null;
    bar.removeAttribute("data-dragging");
    if (to !== null) choose(to);
  });
  bar.addEventListener("pointercancel", () => {
    dragged = null;
    bar.removeAttribute("data-dragging");
    draw();
  });

  bar.addEventListener("keydown", (event) => {
    /** @type {Record<string, number>} */
    const steps = { ArrowUp: KEY_STEP, ArrowDown: -KEY_STEP, PageUp: PAGE_STEP, PageDown: -PAGE_STEP };
    if (steps[event.key] === undefined) return;
    event.preventDefault();
    choose(video.currentTime + steps[event.key]);
  });

  for (const event of ["timeupdate", "seeking", "progress", "loadedmetadata"]) video.addEventListener(event, draw);
  store.onChange(draw);
  draw();
  return { choose };
}
