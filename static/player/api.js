// Requests of the player page to its own server: JSON, the log-in cookie and the CSRF header. Errors become values.

/**
 * @typedef {object} Answer
 * @property {boolean} ok
 * @property {number} status      HTTP status; 0 when no answer came
 * @property {Record<string, any>} body
 * @property {number | null} retryAfter  seconds, from Retry-After
 * @property {string | null} message     the server's words for the learner
 */

/** Longer than any honest answer takes; a request that hangs on a dead network must not block the next attempt. */
const TIMEOUT_MS = 8000;

/**
 * @param {string} url
 * @param {string} csrf
 * @param {object} body
 * @returns {Promise<Answer>}
 */
export function postJson(url, csrf, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": csrf };
  return ask(url, { method: "POST", headers, body: JSON.stringify(body) });
}

/**
 * @param {string} url
 * @returns {Promise<Answer>}
 */
export function getJson(url) {
  return ask(url, { headers: { Accept: "application/json" } });
}

/**
 * @param {string} url
 * @param {RequestInit} how
 * @returns {Promise<Answer>}
 */
async function ask(url, how) {
  try {
    const reply = await fetch(url, { ...how, credentials: "same-origin", signal: AbortSignal.timeout(TIMEOUT_MS) });
    const parsed = await reply.json().catch(() => ({}));
    const answer = parsed && typeof parsed === "object" ? parsed : {};
    const seconds = Number.parseFloat(reply.headers.get("Retry-After") ?? "");
    const words = typeof answer.error === "object" && answer.error ? answer.error.message : answer.message;
    return {
      ok: reply.ok,
      status: reply.status,
      body: answer,
      retryAfter: Number.isFinite(seconds) ? seconds : null,
      message: typeof words === "string" ? words : null,
    };
  } catch {
    return { ok: false, status: 0, body: {}, retryAfter: null, message: null };
  }
}
