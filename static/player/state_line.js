// One line that always says how much is learned, and whether time counts now or why not. It decides nothing.
// People see it change every second; screen readers hear only changes of the reason.

import { byId, setText } from "./dom.js";
import { clockText } from "./format.js";
import { isFree, learned } from "./watch_state.js";
import { knows, t } from "./words.js";

/** The reason must stand this long before it is spoken: a seek flickers through "buffering". */
const SPEAK_AFTER_MS = 1200;
/** A beat without an answer for this long is worth a word. */
const CONFIRM_MS = 3000;
/** How long lost seconds and their reason stay on the page. */
const LOSS_SHOWN_MS = 15_000;
/** Losses below this are rounding. */
const LOSS_WORTH_SAYING = 1;

/** @typedef {{tone: "on" | "off" | "warn" | "bad" | "done", key: import("./words.js").WordKey, n?: number}} Verdict */

/**
 * Does time count, and if not, why? The first rule that fits.
 * @param {import("./watch_state.js").WatchState} s
 * @param {{paused: boolean, started: boolean, at: number, now: number}} media
 * @returns {Verdict}
 */
export function verdict(s, media) {
  if (s.stop === "displaced") return { tone: "bad", key: "state.displaced" };
  if (s.stop === "busy" || s.stop === "refused" || s.phase === "busy") return { tone: "warn", key: "state.busy" };
  if (s.phase === "stopped") return { tone: "bad", key: "state.stopped" };
  if (s.challenge) return { tone: "warn", key: s.challenge === "open" ? "state.challenge" : "state.missed" };
  if (s.mediaFailed) return { tone: "bad", key: "state.media" };
  if (s.silent) return { tone: "bad", key: "state.silent" };
  if (s.phase === "lost") return { tone: "bad", key: "state.lost" };
  if (s.phase === "connecting") return { tone: "off", key: "state.connecting" };
  if (s.credited) return { tone: "done", key: "state.credited" };
  if (s.watched) return { tone: "done", key: "state.watched" };
  if (s.ending && s.wait !== null && s.wait > 0) return { tone: "on", key: "state.endingWait", n: Math.ceil(s.wait) };
  if (s.ending) return { tone: "on", key: "state.ending" };
  if (s.stalled) return { tone: "warn", key: "state.stalled" };
  if (media.paused) return { tone: "off", key: media.started ? "state.paused" : "state.ready" };
  if (media.at < learned(s) - 1.5) return { tone: "off", key: "state.rewatch" };
  if (s.unansweredSince !== null && media.now - s.unansweredSince > CONFIRM_MS) return { tone: "warn", key: "state.confirming" };
  if (s.trail) return { tone: "on", key: "state.trailing", n: Math.ceil(s.trail) };
  return { tone: "on", key: "state.counting" };
}

/**
 * @param {object} parts
 * @param {HTMLVideoElement} parts.video
 * @param {import("./watch_state.js").Store} parts.store
 * @param {import("./clock.js").Clock} parts.clock
 * @returns {{lost: (seconds: number, reason: string) => void}}
 */
export function startStateLine({ video, store, clock }) {
  const line = byId("state-line");
  const spoken = byId("state-spoken");
  const loss = byId("state-loss");
  let started = false;
  let spokenKey = "";
  let changedAt = 0;
  let lastKey = "";
  let lossUntil = 0;
  let lossSeconds = 0;
  let lossReason = "";

  video.addEventListener("playing", () => (started = true));

  function draw() {
    const now = clock.now();
    const s = store.value;
    const says = verdict(s, { paused: video.paused, started, at: video.currentTime, now });
    const words = t(says.key, says.n === undefined ? {} : { n: says.n });
    line.setAttribute("data-tone", says.tone);
    setText(byId("state-learned"), t("state.learned", { at: clockText(learned(s)), all: clockText(s.duration) }));
    setText(byId("state-verdict"), words);
    if (says.key !== lastKey) {
      lastKey = says.key;
      changedAt = now;
    }
    if (spokenKey !== lastKey && now - changedAt >= SPEAK_AFTER_MS) {
      spokenKey = lastKey;
      setText(spoken, isFree(s) ? words : `${byId("state-learned").textContent} · ${words}`);
    }
    if (lossUntil && now > lossUntil) {
      lossUntil = 0;
      lossSeconds = 0;
      loss.hidden = true;
    }
  }

  clock.onTick(draw);
  store.onChange(draw);
  draw();

  return {
    lost(seconds, reason) {
      // Re-watching loses nothing and has its own words above.
      if (reason === "rewatch" || store.value.challenge) return;
      lossSeconds = reason === lossReason ? lossSeconds + seconds : seconds;
      lossReason = reason;
      if (lossSeconds < LOSS_WORTH_SAYING) return;
      const why = /** @type {import("./words.js").WordKey} */ (knows(`why.${reason}`) ? `why.${reason}` : "why.other");
      setText(loss, t("uncredited", { n: Math.round(lossSeconds), why: t(why) }));
      loss.hidden = false;
      lossUntil = clock.now() + LOSS_SHOWN_MS;
    },
  };
}
