// What happens to the page as a whole: hidden for good, frozen, back from the cache, asleep, network gone or back.
// It only tells; what to do about it is decided by whoever listens.

/** Ticks four times a second stopped for this long: the page or the machine slept, the line is doubtful. */
const SLEPT_MS = 8000;

/**
 * @param {import("./clock.js").Clock} clock
 * @param {object} hooks
 * @param {() => void} hooks.onDoubt   the line may be broken: find out now
 * @param {() => void} hooks.onLeave   the page goes away, perhaps for good
 * @param {() => void} hooks.onReturn  back from the browser's page cache: all is as it was, only the line is gone
 */
export function watchPageLife(clock, { onDoubt, onLeave, onReturn }) {
  let tickedAt = clock.now();
  clock.onTick((now) => {
    const slept = now - tickedAt > SLEPT_MS;
    tickedAt = now;
    if (slept) onDoubt();
  });
  window.addEventListener("online", onDoubt);
  window.addEventListener("offline", onDoubt);
  document.addEventListener("resume", onDoubt);
  window.addEventListener("pagehide", onLeave);
  window.addEventListener("pageshow", (event) => event.persisted && onReturn());
}
