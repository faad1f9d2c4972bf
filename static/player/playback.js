// Whether the video may play, whether the learner wants it to, and how fast. Every play, pause, seek and change of rate that
// the page makes goes through here, so that a pause of the page is never taken for a pause of the learner.

import { isFree, learned } from "./watch_state.js";
import { clamp } from "./format.js";

/** @typedef {"connecting" | "challenge" | "busy" | "stopped" | "silent"} Hold  why the page does not let the video play */

/** A little slower than real time: the server catches up by 1.8 s a minute and nobody hears it. */
const TRAILING_FACTOR = 0.97;
const RATES = [1, 1.25, 1.5, 2];
/** A jump forward beyond what was played, seconds; timeupdate comes four times a second, a busy page skips some. */
const JUMP = 1;

/**
 * @typedef {object} Playback
 * @property {boolean} wanted   the learner wants it to play
 * @property {() => boolean} moving  it plays, or waits at the end for the rest to be counted
 * @property {() => void} play
 * @property {() => void} pause
 * @property {() => void} toggle
 * @property {(hold: Hold) => void} hold
 * @property {(hold: Hold) => void} release
 * @property {() => boolean} held
 * @property {(to: number) => number} seek   to there or to the limit; returns where it went
 * @property {(to: number) => void} rewindTo  the server says so: what was played beyond does not count
 * @property {() => number} limit   the farthest position the learner may choose
 * @property {() => number[]} rates  what may be chosen now
 * @property {(rate: number) => void} setRate
 * @property {number} rate
 */

/**
 * @param {HTMLVideoElement} video
 * @param {import("./watch_state.js").Store} store
 * @param {{beforeSeek: () => void, onRefused: (kind: "seek" | "rate" | "play") => void}} hooks beforeSeek: report the place that is left
 * @returns {Playback}
 */
export function createPlayback(video, store, hooks) {
  /** @type {Set<Hold>} */
  const holds = new Set();
  let wanted = false;
  let rate = 1;
  let lastGood = 0;
  let lastSeen = performance.now();

  const limit = () => (isFree(store.value) ? store.value.duration : Math.max(learned(store.value), lastGood));
  const rates = () => (isFree(store.value) ? RATES : RATES.filter((each) => each <= Math.max(1, store.value.maxRate)));
  const trailing = () => store.value.trail > 0 && !isFree(store.value);

  function applyRate() {
    const wish = (rates().includes(rate) ? rate : 1) * (trailing() ? TRAILING_FACTOR : 1);
    if (Math.abs(video.playbackRate - wish) > 0.001) video.playbackRate = wish;
  }

  function tryPlay() {
    if (holds.size || !wanted) return;
    applyRate();
    video.play().catch(() => {
      // The browser wants a gesture first; the big button asks for it.
      if (video.paused && !holds.size) wanted = false;
    });
  }

  const self = {
    get wanted() {
      return wanted;
    },
    get rate() {
      return rate;
    },
    limit,
    rates,
    held: () => holds.size > 0,
    moving: () => (!video.paused && !video.ended && !store.value.stalled) || store.value.ending,
    play() {
      wanted = true;
      if (holds.has("connecting") || !holds.size) tryPlay();
      else hooks.onRefused("play");
    },
    pause() {
      wanted = false;
      video.pause();
    },
    toggle() {
      // At the end the rest is still being counted; playing from the start would leave it behind.
      if (store.value.ending) hooks.onRefused("play");
      else if (video.paused || video.ended) self.play();
      else self.pause();
    },
    /** @param {Hold} hold */
    hold(hold) {
      holds.add(hold);
      if (!video.paused) video.pause();
    },
    /** @param {Hold} hold */
    release(hold) {
      if (holds.delete(hold) && !video.ended) tryPlay();
    },
    /** @param {number} to */
    seek(to) {
      const target = clamp(to, 0, limit());
      hooks.beforeSeek();
      video.currentTime = target;
      return target;
    },
    /** @param {number} to */
    rewindTo(to) {
      const ended = video.ended;
      lastGood = to;
      store.set({ reach: to, ending: false });
      video.currentTime = to;
      if (ended) tryPlay();
    },
    /** @param {number} next */
    setRate(next) {
      if (!rates().includes(next)) {
        hooks.onRefused("rate");
        return;
      }
      rate = next;
      applyRate();
    },
  };

  video.addEventListener("play", () => {
    if (holds.size) {
      // A media key or a headset: the wish is kept, and granted when nothing stands against it.
      wanted = true;
      video.pause();
    } else wanted = true;
  });
  video.addEventListener("pause", () => {
    // Browsers pause silent videos of hidden tabs on their own; that is not the learner's wish.
    if (!holds.size && !video.ended && !document.hidden) wanted = false;
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && video.paused && !video.ended) tryPlay();
  });
  video.addEventListener("timeupdate", () => {
    const now = performance.now();
    const most = ((now - lastSeen) / 1000) * video.playbackRate + JUMP;
    const at = video.currentTime;
    lastSeen = now;
    if (video.seeking) return;
    if (at - lastGood <= most || at <= limit()) {
      lastGood = at;
      if (at > store.value.reach) store.set({ reach: at });
    }
  });
  video.addEventListener("seeking", () => {
    // Also guards against seeks from elsewhere: media keys, extensions, the picture-in-picture window.
    lastSeen = performance.now();
    if (video.currentTime <= limit() + JUMP / 2) return;
    video.currentTime = Math.min(lastGood, limit());
    hooks.onRefused("seek");
  });
  video.addEventListener("ratechange", applyRate);
  store.onChange((now, before) => {
    if (now.trail !== before.trail || isFree(now) !== isFree(before)) applyRate();
  });

  if ("mediaSession" in navigator) {
    navigator.mediaSession.setActionHandler("play", () => self.play());
    navigator.mediaSession.setActionHandler("pause", () => self.pause());
  }
  return self;
}
