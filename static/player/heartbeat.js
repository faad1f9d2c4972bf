// Reports where the video stands: at once when something changes, else every few seconds, also from a hidden tab.
// Also notices when the media does not move. The browser only reports; the server counts.

/** Jittery events (stalls, visibility) are sent at most this often; changes by the learner always at once. */
const CALM_MS = 1000;
/** Held arrow keys seek many times a second; the last place is what matters. */
const SEEK_CALM_MS = 250;
/** The media stands still for this long although it should play. */
const STILL_MS = 2000;
/** Reported positions that wait for their ack; more than any line can have under way. */
const REMEMBERED = 64;

/**
 * @typedef {object} Heartbeat
 * @property {(event: import("./protocol.js").BeatEvent) => void} beat   sends one now
 * @property {() => void} leaving   the learner is about to seek: report the place that is left
 * @property {(message: import("./protocol.js").Ack) => number | null} trail  seconds by which the server trails, null if unknown
 */

/**
 * @param {object} parts
 * @param {HTMLVideoElement} parts.video
 * @param {import("./watch_state.js").Store} parts.store
 * @param {import("./playback.js").Playback} parts.playback
 * @param {import("./clock.js").Clock} parts.clock
 * @param {(beat: import("./protocol.js").Beat) => boolean} parts.send
 * @returns {Heartbeat}
 */
export function startHeartbeat({ video, store, playback, clock, send }) {
  let seq = 0;
  let sentAt = -Infinity;
  let seekSentAt = -Infinity;
  /** @type {import("./protocol.js").BeatEvent | null} */
  let pending = null;
  let saidPlaying = false;
  let movedAt = clock.now();
  let movedTo = -1;
  /** @type {Map<number, number>} */
  const reported = new Map();

  /** @param {import("./protocol.js").BeatEvent} event */
  function beat(event) {
    // While the line is doubtful beats still go out on it: an answer proves that it was only slow.
    if (store.value.phase !== "live" && store.value.phase !== "lost") return;
    const position = Math.max(0, video.currentTime || 0);
    const playing = playback.moving();
    const sent = send({
      type: "beat",
      seq: seq + 1,
      // To the microsecond: that no two steps are alike tells a player from a script (telemetry/rhythm.py).
      position: Math.round(position * 1e6) / 1e6,
      playing,
      event,
      rate: Math.round(video.playbackRate * 1000) / 1000,
      visible: !document.hidden,
      rewind: store.value.rewind,
    });
    if (!sent) return;
    seq += 1;
    saidPlaying = playing;
    pending = null;
    sentAt = clock.now();
    reported.set(seq, position);
    if (reported.size > REMEMBERED) reported.delete(/** @type {number} */ (reported.keys().next().value));
  }

  /** @param {import("./protocol.js").BeatEvent} event @param {number} [calm] */
  function soon(event, calm = CALM_MS) {
    if (clock.now() - (event === "seek" ? seekSentAt : sentAt) >= calm) {
      if (event === "seek") seekSentAt = clock.now();
      beat(event);
    } else pending = event;
  }

  /** @param {boolean} stalled */
  function stall(stalled) {
    if (store.value.stalled === stalled) return;
    store.set({ stalled });
    if (stalled) soon("stall");
    else if (!video.paused) beat("play");
  }

  video.addEventListener("playing", () => {
    movedAt = clock.now();
    if (store.value.stalled) stall(false);
    else if (saidPlaying) soon("play");
    else beat("play");
  });
  video.addEventListener("pause", () => {
    // Reaching the end pauses too; `ended` follows and says it better.
    if (!video.ended) {
      store.set({ stalled: false });
      beat("pause");
    }
  });
  video.addEventListener("waiting", () => {
    // A short wait follows every seek; only one that lasts is a stall.
    movedAt = Math.min(movedAt, clock.now() - STILL_MS / 2);
  });
  video.addEventListener("seeking", () => {
    movedAt = clock.now();
    store.set({ ending: false, wait: null });
  });
  video.addEventListener("seeked", () => soon("seek", SEEK_CALM_MS));
  video.addEventListener("ended", () => {
    const { watched, credited, challenge } = store.value;
    store.set({ ending: !watched && !credited && !challenge, stalled: false });
    beat("ended");
  });
  document.addEventListener("visibilitychange", () => soon("visibility"));

  clock.onTick((now) => {
    if (video.currentTime !== movedTo) {
      movedTo = video.currentTime;
      movedAt = now;
      if (store.value.stalled) stall(false);
    } else if (!video.paused && !video.ended && now - movedAt > STILL_MS) stall(true);

    const { ending, wait, beatEvery } = store.value;
    const every = ending && wait !== null ? Math.min(beatEvery, Math.max(0.5, wait + 0.1)) : beatEvery;
    if (pending === "seek" && now - seekSentAt >= SEEK_CALM_MS) soon("seek", 0);
    else if (pending && now - sentAt >= CALM_MS) beat(pending);
    else if (now - sentAt >= every * 1000) beat(ending ? "ended" : "tick");
  });

  // What was under way before a rewind says nothing about trailing.
  store.onChange((after, before) => after.rewind !== before.rewind && reported.clear());

  return {
    beat,
    leaving() {
      if (saidPlaying && clock.now() - sentAt >= SEEK_CALM_MS) beat("tick");
    },
    trail(ack) {
      const position = reported.get(ack.seq);
      for (const key of reported.keys()) if (key <= ack.seq) reported.delete(key);
      return position === undefined ? null : Math.min(position, store.value.duration) - ack.frontier;
    },
  };
}
