// What the page knows about the watching, in one object, and who wants to hear of changes.
// Parts read it and draw; player.js, the socket and the heartbeat change it. No drawing and no sending belongs here.

/**
 * @typedef {"connecting" | "live" | "lost" | "busy" | "stopped"} Phase
 * @typedef {"displaced" | "busy" | "refused" | "sign-in" | "closed" | "denied" | "protocol"} StopReason
 *
 * @typedef {object} WatchState
 * @property {Phase} phase        the connection
 * @property {StopReason | null} stop   why the page does not connect again, when phase is "stopped"
 * @property {number} duration    seconds, as the catalogue says
 * @property {number} frontier    seconds truly watched, as the server last confirmed
 * @property {number} reach       seconds played without a jump on this page; at most a few beats ahead of `frontier`
 * @property {boolean} watched
 * @property {boolean} credited
 * @property {"open" | "missed" | null} challenge   nothing counts unless this is null
 * @property {boolean} stalled    the media does not move although it should
 * @property {number} trail       seconds by which the server trails the page, if worth slowing down for; else 0
 * @property {boolean} ending     the end was reached and the rest waits for the server
 * @property {number | null} wait seconds the server still wants to see pass at the end
 * @property {number | null} unansweredSince  performance.now() of the oldest beat without any reply
 * @property {boolean} silent     nothing was confirmed for so long that the page paused
 * @property {boolean} mediaFailed
 * @property {number} beatEvery   seconds
 * @property {number} maxRate
 * @property {number | null} rewind  id of the latest rewind
 */

/**
 * @param {number} duration seconds
 * @param {{watched: boolean, credited: boolean}} start
 * @returns {WatchState}
 */
export function initialState(duration, start) {
  return {
    phase: "connecting",
    stop: null,
    duration,
    frontier: 0,
    reach: 0,
    watched: start.watched,
    credited: start.credited,
    challenge: null,
    stalled: false,
    trail: 0,
    ending: false,
    wait: null,
    unansweredSince: null,
    silent: false,
    mediaFailed: false,
    beatEvery: 5,
    maxRate: 1,
    rewind: null,
  };
}

/** May the learner drag anywhere? @param {WatchState} s */
export const isFree = (s) => s.credited || s.watched;

/**
 * The earned part as drawn: what the server confirmed, smoothed by what was played since, but never by more than two beats.
 * @param {WatchState} s
 */
export function learned(s) {
  if (isFree(s)) return s.duration;
  return Math.min(s.duration, Math.max(s.frontier, Math.min(s.reach - s.trail, s.frontier + 2 * s.beatEvery)));
}

/**
 * @typedef {object} Store
 * @property {Readonly<WatchState>} value
 * @property {(patch: Partial<WatchState>) => void} set   changes and tells the listeners, once per changed patch
 * @property {(listener: (now: WatchState, before: WatchState) => void) => void} onChange
 */

/**
 * @param {WatchState} start
 * @returns {Store}
 */
export function createStore(start) {
  let value = start;
  /** @type {((now: WatchState, before: WatchState) => void)[]} */
  const listeners = [];
  return {
    get value() {
      return value;
    },
    set(patch) {
      const before = value;
      const changed = Object.entries(patch).some(([key, item]) => before[/** @type {keyof WatchState} */ (key)] !== item);
      if (!changed) return;
      value = { ...before, ...patch };
      for (const listener of listeners) listener(value, before);
    },
    onChange(listener) {
      listeners.push(listener);
    },
  };
}
