// The line to the server: ticket → WebSocket → hello, and again whenever it breaks, by the rule of its close code.
// Only the newest socket speaks; closes and messages of older ones are ignored. What messages mean is not decided here.

import { postJson } from "./api.js";
import { closeRule, SUBPROTOCOL } from "./protocol.js";

/** No message within this time after a beat: the socket may be half-open, so a second one is opened beside it. */
const ANSWER_WITHIN_MS = 10_000;
/** A ticket that did not come within this time will not come. */
const TICKET_WITHIN_MS = 9000;
/** A socket that is not greeted within this time is given up. */
const GREET_WITHIN_MS = 10_000;
/** The page's own close code for a socket it gives up. Not 1000, which the server takes for a good-bye. */
const REPLACED = 3001;
/** Back-off: 1 s, 2 s, 4 s … with jitter, and never longer than a learner would patiently wait. */
const BACK_OFF_FIRST_MS = 1000;
const BACK_OFF_MOST_MS = 15_000;
/** After a restart everybody returns within this time, not in the same instant. */
const RESTART_SPREAD_MS = 3000;

/**
 * @typedef {object} SocketOptions
 * @property {number} video
 * @property {string} csrf
 * @property {string} ticketsUrl
 * @property {string} socketPath  used when the ticket's answer has no `url`
 * @property {import("./clock.js").Clock} clock
 * @property {(message: import("./protocol.js").ServerMessage) => void} onMessage
 * @property {() => void} onLost     the line broke; it is being repaired
 * @property {(reason: import("./watch_state.js").StopReason) => void} onStop
 * @property {(since: number | null) => void} onUnanswered  performance.now() of the oldest unanswered beat
 */

export class WatchSocket {
  /** @type {SocketOptions} */ #options;
  /** @type {WebSocket | null} */ #newest = null;
  /** @type {Set<WebSocket>} kept open until a newer one is welcomed: closing the live one would end its session */ #former = new Set();
  /** @type {string | null} proves to be the same page; in memory only, because a duplicated tab copies storage */
  #session = null;
  #takeover = false;
  /** A hello is under way: a second one would reach a socket that plays already, which is against the protocol. */
  #asking = false;
  /** Did the hello under way ask for the takeover? */
  #askedToTakeOver = false;
  #stopped = true;
  /** @type {number | null} until when a ticket is waited for */ #dialBy = null;
  /** Rises with every dial and stop, so that an answer to an outdated dial is dropped. */
  #generation = 0;
  #failures = 0;
  /** @type {number | null} */ #retryAt = null;
  /** @type {number | null} */ #greetBy = null;
  /** @type {number | null} */ #unansweredSince = null;
  #heardAt = 0;

  /** @param {SocketOptions} options */
  constructor(options) {
    this.#options = options;
    options.clock.onTick((now) => this.#tick(now));
  }

  /** Connects, or connects again after a stop. @param {{takeover?: boolean}} [how] */
  start({ takeover = false } = {}) {
    this.#stopped = false;
    this.#takeover = takeover;
    this.#failures = 0;
    void this.#dial();
  }

  /** Something happened to the network or the page slept: find out now instead of waiting. */
  probe() {
    if (this.#stopped) return;
    this.#failures = 0;
    const fresh = this.#open() && this.#unansweredSince === null && this.#options.clock.now() - this.#heardAt < 2000;
    if (fresh) return;
    // A request that was under way while the network changed may hang; a new one overtakes it.
    this.#dialBy = null;
    void this.#dial();
  }

  /** Sends a beat, if the line is open. @param {import("./protocol.js").Beat} beat */
  send(beat) {
    if (!this.#open() || this.#greetBy !== null) return false;
    this.#newest?.send(JSON.stringify(beat));
    if (this.#unansweredSince === null) this.#setUnanswered(this.#options.clock.now());
    return true;
  }

  /** Asks again to become the player, on the open line. @param {{takeover: boolean}} how */
  hello({ takeover }) {
    if (!this.#open()) {
      if (takeover) this.start({ takeover: true });
      return;
    }
    this.#takeover ||= takeover;
    if (!this.#asking) this.#sendHello();
  }

  /** The page goes away. */
  bye() {
    if (this.#open()) this.#newest?.send(JSON.stringify({ type: "bye" }));
    this.#end(1000);
  }

  stop() {
    this.#end(REPLACED);
  }

  /** @param {number} code */
  #end(code) {
    this.#stopped = true;
    this.#generation += 1;
    this.#dialBy = null;
    this.#retryAt = null;
    this.#greetBy = null;
    this.#setUnanswered(null);
    this.#newest?.close(code);
    this.#newest = null;
    this.#closeFormer();
  }

  #open() {
    return this.#newest?.readyState === WebSocket.OPEN;
  }

  async #dial() {
    if (this.#dialBy !== null || this.#stopped) return;
    this.#dialBy = this.#options.clock.now() + TICKET_WITHIN_MS;
    this.#retryAt = null;
    const generation = (this.#generation += 1);
    const ticket = await postJson(this.#options.ticketsUrl, this.#options.csrf, { video: this.#options.video });
    if (generation !== this.#generation) return;
    this.#dialBy = null;
    if (ticket.ok && typeof ticket.body.ticket === "string") this.#connect(ticket.body);
    else if (ticket.status === 401) this.#halt("sign-in");
    else if (ticket.status >= 400 && ticket.status < 500 && ![408, 425, 429].includes(ticket.status)) this.#halt("denied");
    else this.#retry("back-off", ticket.retryAfter);
  }

  /** @param {Record<string, any>} ticket */
  #connect(ticket) {
    const path = ticket.url ?? `${this.#options.socketPath}?ticket=${encodeURIComponent(ticket.ticket)}`;
    const url = new URL(path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, SUBPROTOCOL);
    if (this.#newest) this.#former.add(this.#newest);
    this.#newest = socket;
    this.#asking = false;
    this.#greetBy = this.#options.clock.now() + GREET_WITHIN_MS;
    this.#setUnanswered(null);
    socket.onopen = () => socket === this.#newest && this.#sendHello();
    socket.onmessage = (event) => socket === this.#newest && this.#hear(event.data);
    socket.onclose = (event) => socket === this.#newest && this.#closed(event.code);
  }

  #sendHello() {
    const hello = { type: "hello", video: this.#options.video, session: this.#session, takeover: this.#takeover };
    this.#asking = true;
    this.#askedToTakeOver = this.#takeover;
    this.#newest?.send(JSON.stringify(hello));
  }

  #closeFormer() {
    for (const socket of this.#former) socket.close(REPLACED);
    this.#former.clear();
  }

  /** @param {unknown} data */
  #hear(data) {
    let message;
    try {
      message = JSON.parse(String(data));
    } catch {
      return;
    }
    this.#heardAt = this.#options.clock.now();
    this.#setUnanswered(null);
    if (message.type === "welcome") {
      this.#session = message.session;
      this.#takeover = false;
      this.#failures = 0;
      this.#closeFormer();
    }
    if (message.type === "welcome" || message.type === "busy") {
      this.#greetBy = null;
      this.#asking = false;
    }
    // The learner chose this page while an ordinary question was under way.
    if (message.type === "busy" && message.policy === "ask" && this.#takeover && !this.#askedToTakeOver) {
      this.#sendHello();
      return;
    }
    this.#options.onMessage(message);
  }

  /** @param {number} code */
  #closed(code) {
    this.#newest = null;
    this.#greetBy = null;
    this.#setUnanswered(null);
    if (this.#stopped) return;
    const rule = closeRule(code);
    if (rule.stop) this.#halt(rule.stop);
    else this.#retry(rule.retry, null);
  }

  /** @param {import("./protocol.js").RetryRule} rule @param {number | null} after seconds the server asked for */
  #retry(rule, after) {
    const most = Math.min(BACK_OFF_MOST_MS, BACK_OFF_FIRST_MS * 2 ** this.#failures);
    let delay = most * (0.5 + Math.random() / 2);
    if (rule === "jitter") delay = Math.random() * RESTART_SPREAD_MS;
    if (rule === "at-once" && this.#failures === 0) delay = Math.random() * 500;
    if (after !== null) delay = Math.max(delay, Math.min(after, 60) * 1000);
    this.#failures += 1;
    this.#retryAt = this.#options.clock.now() + delay;
    this.#options.onLost();
  }

  /** @param {import("./watch_state.js").StopReason} reason */
  #halt(reason) {
    this.stop();
    this.#options.onStop(reason);
  }

  /** @param {number | null} since */
  #setUnanswered(since) {
    this.#unansweredSince = since;
    this.#options.onUnanswered(since);
  }

  /** @param {number} now */
  #tick(now) {
    if (this.#stopped) return;
    if (this.#dialBy !== null) {
      if (now > this.#dialBy) {
        this.#generation += 1;
        this.#dialBy = null;
        this.#retry("back-off", null);
      }
    } else if (this.#retryAt !== null && now >= this.#retryAt) void this.#dial();
    else if (this.#greetBy !== null && now > this.#greetBy) {
      const hopeless = this.#newest;
      this.#closed(1006);
      hopeless?.close(REPLACED);
    } else if (this.#unansweredSince !== null && now - this.#unansweredSince > ANSWER_WITHIN_MS) {
      // The old socket stays the newest until a ticket was granted: on a dead network nothing is thrown away.
      this.#setUnanswered(now);
      this.#options.onLost();
      void this.#dial();
    }
  }
}
