// The control bar: play, time, volume, captions, speed, full screen, and the keys for them. The seek bar is timeline.js.

import { byId, setText } from "./dom.js";
import { clamp, clockText } from "./format.js";
import { isFree } from "./watch_state.js";
import { t } from "./words.js";

const STEP_SECONDS = 5;
/** In full screen the bar hides after this long without a movement, while playing. */
const IDLE_MS = 3000;

/**
 * @param {object} parts
 * @param {HTMLVideoElement} parts.video
 * @param {import("./watch_state.js").Store} parts.store
 * @param {import("./playback.js").Playback} parts.playback
 * @param {import("./clock.js").Clock} parts.clock
 * @param {import("./timeline.js").Timeline} parts.timeline
 */
export function startControls({ video, store, playback, clock, timeline }) {
  const player = byId("player");
  const play = byId("play");
  const big = byId("big-play");
  const mute = byId("mute");
  const volume = /** @type {HTMLInputElement} */ (byId("volume"));
  const rate = byId("rate");
  const captions = byId("captions");
  const full = byId("full");

  /** @param {HTMLElement} button @param {string} label */
  function name(button, label) {
    if (button.getAttribute("aria-label") === label) return;
    button.setAttribute("aria-label", label);
    button.setAttribute("title", label);
  }

  function drawPlay() {
    const playing = !video.paused && !video.ended;
    player.toggleAttribute("data-playing", playing);
    name(play, t(playing ? "control.pause" : "control.play"));
    big.hidden = playing || store.value.ending || playback.held();
  }
  function drawVolume() {
    const silent = video.muted || video.volume === 0;
    mute.setAttribute("aria-pressed", String(silent));
    player.toggleAttribute("data-muted", silent);
    volume.value = String(silent ? 0 : Math.round(video.volume * 100));
  }
  function drawRate() {
    setText(rate, `${playback.rate}×`);
    name(rate, `${t("control.rate")} ${playback.rate}×`);
    rate.setAttribute("aria-disabled", String(playback.rates().length < 2));
  }
  function drawTime() {
    setText(byId("time-now"), clockText(video.currentTime));
    setText(byId("time-all"), clockText(store.value.duration));
  }

  function toggleMute() {
    video.muted = !video.muted;
    if (!video.muted && video.volume === 0) video.volume = 0.5;
  }
  function toggleCaptions() {
    const track = video.textTracks[0];
    if (!track) return;
    const show = track.mode !== "showing";
    track.mode = show ? "showing" : "hidden";
    captions.setAttribute("aria-pressed", String(show));
    player.toggleAttribute("data-captions", show);
  }
  function toggleFull() {
    const native = /** @type {any} */ (video);
    if (document.fullscreenElement) void document.exitFullscreen();
    else if (player.requestFullscreen) void player.requestFullscreen().catch(() => {});
    else if (native.webkitEnterFullscreen) native.webkitEnterFullscreen();
  }
  function nextRate() {
    const all = playback.rates();
    playback.setRate(all.length < 2 ? 2 : all[(all.indexOf(playback.rate) + 1) % all.length]);
    drawRate();
  }

  play.addEventListener("click", () => playback.toggle());
  big.addEventListener("click", () => {
    playback.play();
    play.focus({ preventScroll: true });
  });
  video.addEventListener("click", () => playback.toggle());
  mute.addEventListener("click", toggleMute);
  volume.addEventListener("input", () => {
    video.volume = clamp(Number(volume.value) / 100, 0, 1);
    video.muted = video.volume === 0;
  });
  rate.addEventListener("click", nextRate);
  captions.addEventListener("click", toggleCaptions);
  full.addEventListener("click", toggleFull);
  document.addEventListener("fullscreenchange", () => {
    full.setAttribute("aria-pressed", String(document.fullscreenElement === player));
  });

  for (const event of ["play", "pause", "ended", "playing", "seeked"]) video.addEventListener(event, drawPlay);
  for (const event of ["timeupdate", "seeking", "loadedmetadata"]) video.addEventListener(event, drawTime);
  video.addEventListener("volumechange", drawVolume);
  store.onChange((now, before) => {
    drawPlay();
    if (isFree(now) !== isFree(before) || now.maxRate !== before.maxRate) drawRate();
    if (now.duration !== before.duration) drawTime();
  });

  /** @type {Record<string, () => void>} */
  const keys = {
    " ": () => playback.toggle(),
    k: () => playback.toggle(),
    m: toggleMute,
    c: toggleCaptions,
    f: toggleFull,
    ArrowLeft: () => timeline.choose(video.currentTime - STEP_SECONDS),
    ArrowRight: () => timeline.choose(video.currentTime + STEP_SECONDS),
    Home: () => timeline.choose(0),
    End: () => timeline.choose(store.value.duration),
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target instanceof Element ? event.target : document.body;
    // Only while nothing else wants keys: in the player, or with no focus at all.
    if (at !== document.body && !player.contains(at)) return;
    if (document.querySelector("dialog[open]")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === " " && at.closest("button, a, summary")) return;
    if (at === volume && key.startsWith("Arrow")) return;
    if (!keys[key] || (event.repeat && !key.startsWith("Arrow"))) return;
    event.preventDefault();
    keys[key]();
  });

  let movedAt = clock.now();
  for (const event of ["pointermove", "pointerdown", "keydown", "focusin"]) {
    player.addEventListener(event, () => {
      movedAt = clock.now();
      player.removeAttribute("data-idle");
    });
  }
  clock.onTick((now) => {
    const idle = document.fullscreenElement === player && !video.paused && now - movedAt > IDLE_MS;
    player.toggleAttribute("data-idle", idle);
  });

  drawPlay();
  drawVolume();
  drawRate();
  drawTime();
}
