// Loading the file: where it starts, and getting it back after an error. Media addresses are short-lived, so after
// an error the page asks for itself again and takes the fresh address out of its own page data.

/** Enough for a tunnel; after that the learner decides. */
const ATTEMPTS = 5;

/**
 * @param {object} parts
 * @param {HTMLVideoElement} parts.video
 * @param {string} parts.url
 * @param {import("./watch_state.js").Store} parts.store
 * @param {() => boolean} parts.wanted   should it play on afterwards?
 * @param {() => void} parts.play
 * @param {(final: boolean) => void} parts.onTrouble
 * @returns {{startAt: (seconds: number) => void}}
 */
export function startMedia({ video, url, store, wanted, play, onTrouble }) {
  let attempts = 0;
  /** @type {number | null} applied as soon as the length is known */
  let goTo = null;
  let lastAt = 0;

  function apply() {
    if (goTo === null || video.readyState < HTMLMediaElement.HAVE_METADATA) return;
    const at = goTo;
    goTo = null;
    if (Math.abs(video.currentTime - at) > 0.05) video.currentTime = at;
  }

  async function reload() {
    const fresh = await freshUrl().catch(() => null);
    goTo = lastAt;
    video.src = fresh ?? url;
    video.load();
  }

  video.addEventListener("loadedmetadata", () => {
    apply();
    if (store.value.mediaFailed) {
      store.set({ mediaFailed: false });
      if (wanted()) play();
    }
  });
  video.addEventListener("timeupdate", () => {
    if (!video.error && goTo === null) lastAt = video.currentTime;
  });
  video.addEventListener("playing", () => (attempts = 0));
  video.addEventListener("error", () => {
    store.set({ mediaFailed: true });
    attempts += 1;
    onTrouble(attempts > ATTEMPTS);
    if (attempts <= ATTEMPTS) setTimeout(() => void reload(), 1000 * 2 ** (attempts - 1));
  });
  window.addEventListener("online", () => {
    if (store.value.mediaFailed) {
      attempts = 0;
      void reload();
    }
  });

  video.src = url;
  return {
    startAt(seconds) {
      goTo = seconds;
      lastAt = seconds;
      apply();
    },
  };
}

/** @returns {Promise<string | null>} */
async function freshUrl() {
  const reply = await fetch(location.href, { credentials: "same-origin", signal: AbortSignal.timeout(8000) });
  const html = reply.ok ? await reply.text() : "";
  const found = /<script type="application\/json" id="page-data">([\s\S]*?)<\/script>/.exec(html);
  const media = found ? JSON.parse(found[1])?.video?.media : null;
  return typeof media === "string" ? media : null;
}
