// The wire xueshi.watch.v1 as the page sees it: message shapes and the close codes with the rule for each.
// No behaviour belongs here. The server's side of the same table is telemetry/messages.py; docs/protocol.md explains it.

export const SUBPROTOCOL = "xueshi.watch.v1";

/**
 * Positions, durations and waits are seconds as decimal numbers.
 * @typedef {{type: "hello", video: number, session: string | null, takeover: boolean}} Hello
 * @typedef {"tick" | "play" | "pause" | "seek" | "ended" | "visibility" | "stall"} BeatEvent
 * @typedef {{type: "beat", seq: number, position: number, playing: boolean, event: BeatEvent, rate: number,
 *   visible: boolean, rewind: number | null}} Beat
 * @typedef {{type: "bye"}} Bye
 *
 * @typedef {{type: "challenge", id: string, kind: "identity" | "attendance", qr: string, deadline: number, rotate: number,
 *   renew: string, missed: boolean, link: string | null, tap: string | null}} ChallengeMessage
 * @typedef {{type: "welcome", session: string, epoch: number, video: number, duration: number, frontier: number,
 *   position: number, watched: boolean, credited: boolean, beat_every: number, gap_grace: number, max_rate: number,
 *   recovered: boolean, challenge: ChallengeMessage | null, quiz: string | null}} Welcome
 * @typedef {{type: "ack", seq: number, frontier: number, watched: boolean, wait: number | null,
 *   uncredited: {seconds: number, reason: string} | null}} Ack
 * @typedef {{type: "rewind", id: number, to: number, reason: string}} Rewind
 * @typedef {{type: "resume", position: number}} Resume
 * @typedef {{type: "busy", since: number, device: string, policy: "ask" | "refuse"}} Busy
 * @typedef {{type: "watched", quiz: string | null, credited: boolean}} Watched
 * @typedef {{type: "credited", video: number, hours: string}} Credited
 * @typedef {{type: "error", code: string, message: string, retry: boolean}} ErrorMessage
 * @typedef {Welcome | Ack | Rewind | ChallengeMessage | Resume | Busy | Watched | Credited | ErrorMessage} ServerMessage
 */

/**
 * What the page does after its newest socket closed.
 * never: stay closed and say why. sign-in: stay closed and offer the log-in page. at-once: reconnect now, then with
 * back-off. jitter: reconnect at a random moment of the next seconds, because everybody was closed together.
 * back-off: wait first, longer each time.
 * @typedef {"never" | "sign-in" | "at-once" | "jitter" | "back-off"} RetryRule
 */

/** @type {Readonly<Record<number, {retry: RetryRule, stop: import("./watch_state.js").StopReason | null}>>} */
export const CLOSE_RULES = Object.freeze({
  1012: { retry: "jitter", stop: null },
  1013: { retry: "back-off", stop: null },
  4000: { retry: "never", stop: "protocol" },
  4001: { retry: "never", stop: "displaced" },
  4002: { retry: "never", stop: "busy" },
  4003: { retry: "sign-in", stop: "sign-in" },
  4004: { retry: "never", stop: "closed" },
  4008: { retry: "at-once", stop: null },
  4009: { retry: "at-once", stop: null },
});

/** Everything else, above all 1006: a lost network or a refused handshake, which a browser cannot tell apart. */
const LOST = Object.freeze({ retry: /** @type {RetryRule} */ ("back-off"), stop: null });

/**
 * @param {number} code of a close event
 * @returns {{retry: RetryRule, stop: import("./watch_state.js").StopReason | null}}
 */
export function closeRule(code) {
  return CLOSE_RULES[code] ?? LOST;
}
