// The page's one timer: calls its listeners about four times a second, also while the tab is hidden.
// Whoever waits for something compares performance.now() with a moment of its own at each tick.

/**
 * @typedef {object} Clock
 * @property {() => number} now  milliseconds, monotonic
 * @property {(listener: (now: number) => void) => void} onTick
 */

/** @returns {Clock} */
export function startClock() {
  /** @type {((now: number) => void)[]} */
  const listeners = [];
  const tick = () => {
    const now = performance.now();
    for (const listener of listeners) listener(now);
  };
  try {
    const worker = new Worker(new URL("./ticker.js", import.meta.url));
    worker.onmessage = tick;
    // A worker that cannot be loaded reports here; the page then lives with the slowed-down timer.
    worker.onerror = () => setInterval(tick, 250);
  } catch {
    setInterval(tick, 250);
  }
  return { now: () => performance.now(), onTick: (listener) => listeners.push(listener) };
}
