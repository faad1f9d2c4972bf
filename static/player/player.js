// The entry of the player page: reads the page data, builds the parts, and says what each message of the server means.
// Only wiring belongs here; how a part works stands in its own file.

import { startAfterCard } from "./after_card.js";
import { createChallenge } from "./challenge.js";
import { startChapters } from "./chapters.js";
import { startClock } from "./clock.js";
import { startControls } from "./controls.js";
import { byId } from "./dom.js";
import { clockText } from "./format.js";
import { startHeartbeat } from "./heartbeat.js";
import { startMedia } from "./media.js";
import { startLineNotice } from "./line_notice.js";
import { lasting, toast } from "./notice.js";
import { readPageData } from "./page_data.js";
import { watchPageLife } from "./page_life.js";
import { createPlayback } from "./playback.js";
import { createSecondPage } from "./second_page.js";
import { startStateLine } from "./state_line.js";
import { startTimeline } from "./timeline.js";
import { createStore, initialState, isFree } from "./watch_state.js";
import { WatchSocket } from "./watch_socket.js";
import { knows, t } from "./words.js";

/** Nothing confirmed for this long while playing: going on would only waste the learner's time. */
const SILENT_MS = 15_000;
/** A busy page asks again this often; the server accepts as soon as the other page is gone. */
const ASK_AGAIN_MS = 3000;
/** The server trails: slow down above the first, back to full speed below the second, seconds. */
const TRAIL_FROM = 1;
const TRAIL_TO = 0.3;
/** Two places this close are the same place. */
const SAME_PLACE = 1;

const data = readPageData();
const chapter = data.chapters.find((each) => each.id === data.video.id);
const video = /** @type {HTMLVideoElement} */ (byId("video"));

const clock = startClock();
const store = createStore(
  initialState(data.video.duration, { watched: chapter?.watched ?? false, credited: chapter?.credited ?? false }),
);
const playback = createPlayback(video, store, { beforeSeek: () => heartbeat.leaving(), onRefused: refuse });
playback.hold("connecting");
const media = startMedia({
  video,
  url: data.video.media,
  store,
  wanted: () => playback.wanted,
  play: () => playback.play(),
  onTrouble: (final) => lasting("media", t(final ? "media.gone" : "media.failed"), "bad"),
});
const timeline = startTimeline({ video, store, playback, onRefused: () => refuse("seek") });
startControls({ video, store, playback, clock, timeline });
const stateLine = startStateLine({ video, store, clock });
const challenge = createChallenge({ csrf: data.csrf, homeUrl: data.home_url, clock, store });
const secondPage = createSecondPage({ homeUrl: data.home_url, onHere: continueHere });
startChapters(data.video.id, store);
const afterCard = startAfterCard({
  store,
  hours: chapter?.hours ?? "",
  quiz: chapter?.quiz ?? null,
  nextUrl: data.next_url,
  homeUrl: data.home_url,
});
const socket = new WatchSocket({
  video: data.video.id,
  csrf: data.csrf,
  ticketsUrl: data.tickets_url,
  socketPath: data.socket_path,
  clock,
  onMessage: hear,
  onLost: () => {
    secondPage.hide();
    store.set({ phase: "lost" });
  },
  onStop: stopped,
  onUnanswered: (since) => store.set({ unansweredSince: since }),
});
const heartbeat = startHeartbeat({ video, store, playback, clock, send: (beat) => socket.send(beat) });

/** When the last confirmation of any kind came, and when a busy page asked last. */
let confirmedAt = clock.now();
let askedAt = 0;
/** Has this page been welcomed since it was opened or taken over? */
let greeted = false;
let toldWatched = store.value.watched;
/** @type {string | null} the code of the server's last error on this line */
let errorCode = null;

/** @param {import("./protocol.js").ServerMessage} message */
function hear(message) {
  switch (message.type) {
    case "welcome":
      return welcome(message);
    case "ack":
      return acknowledged(message);
    case "rewind":
      return rewind(message);
    case "challenge":
      return challenged(message);
    case "resume":
      return resume(message);
    case "busy":
      return busy(message);
    case "watched":
      return watched(message);
    case "credited":
      if (message.video !== data.video.id) return;
      store.set({ watched: true, credited: true, ending: false, wait: null });
      afterCard.setHours(message.hours);
      return toast("credited", t("credited.toast", { hours: message.hours }), "ok");
    case "error":
      // Its words are for engineers; what follows from it is told by the close or by the next message.
      errorCode = message.code;
      return;
  }
}

/** @param {import("./protocol.js").Welcome} message */
function welcome(message) {
  const first = !greeted;
  greeted = true;
  errorCode = null;
  toldWatched ||= message.watched;
  confirmedAt = clock.now();
  secondPage.hide();
  store.set({
    phase: "live",
    stop: null,
    silent: false,
    duration: message.duration,
    frontier: message.frontier,
    reach: first || !message.recovered ? message.frontier : Math.max(store.value.reach, message.frontier),
    watched: message.watched,
    credited: message.credited,
    beatEvery: message.beat_every,
    maxRate: message.max_rate,
    // The server counts rewinds anew for every hello.
    rewind: null,
  });
  if (message.quiz) afterCard.setQuiz(message.quiz);
  if (first) media.startAt(startPlace(message));
  else if (!message.recovered && !isFree(store.value) && video.currentTime > message.frontier + SAME_PLACE) {
    playback.rewindTo(message.frontier);
    toast("rewind", t("rewind.gap", { at: clockText(message.frontier) }), "warn");
  }
  if (message.challenge) challenged(message.challenge);
  else challengeGone();
  for (const hold of /** @type {const} */ (["connecting", "busy", "stopped", "silent"])) playback.release(hold);
  heartbeat.beat(store.value.ending ? "ended" : "tick");
}

/**
 * The last position, but never the very end: an unwatched rest must be played, a finished video starts over.
 * @param {import("./protocol.js").Welcome} message
 */
function startPlace({ position, duration, watched, credited }) {
  if (position < duration - SAME_PLACE) return position;
  return watched || credited ? 0 : Math.max(0, duration - SAME_PLACE);
}

/** @param {import("./protocol.js").Ack} message */
function acknowledged(message) {
  confirmedAt = clock.now();
  const s = store.value;
  const trail = heartbeat.trail(message);
  const behind = trail === null ? s.trail : trail > (s.trail ? TRAIL_TO : TRAIL_FROM) ? trail : 0;
  store.set({
    phase: s.phase === "lost" ? "live" : s.phase,
    silent: false,
    frontier: Math.max(s.frontier, message.frontier),
    watched: s.watched || message.watched,
    ending: s.ending && !message.watched,
    wait: s.ending ? message.wait : null,
    trail: isFree(s) || s.challenge ? 0 : behind,
  });
  if (message.uncredited) stateLine.lost(message.uncredited.seconds, message.uncredited.reason);
  playback.release("silent");
}

/** @param {import("./protocol.js").Watched} message */
function watched(message) {
  store.set({ watched: true, credited: store.value.credited || message.credited, ending: false, wait: null });
  afterCard.setQuiz(message.quiz);
  // It comes again with every welcome; only the first time is news.
  if (toldWatched) return;
  toldWatched = true;
  afterCard.reveal();
  toast("watched", t("watched.toast"), "ok");
}

/** @param {import("./protocol.js").Rewind} message */
function rewind(message) {
  store.set({ rewind: message.id, trail: 0 });
  playback.rewindTo(message.to);
  const key = /** @type {import("./words.js").WordKey} */ (knows(`rewind.${message.reason}`) ? `rewind.${message.reason}` : "rewind.other");
  toast("rewind", t(key, { at: clockText(message.to) }), "warn");
}

/** @param {import("./protocol.js").ChallengeMessage} message */
function challenged(message) {
  playback.hold("challenge");
  store.set({ ending: false, trail: 0 });
  challenge.show(message);
}

function challengeGone() {
  challenge.hide();
  store.set({ challenge: null });
  playback.release("challenge");
}

/** @param {import("./protocol.js").Resume} message */
function resume(message) {
  store.set({ frontier: Math.max(store.value.frontier, isFree(store.value) ? 0 : message.position) });
  if (!isFree(store.value) && Math.abs(video.currentTime - message.position) > SAME_PLACE) playback.rewindTo(message.position);
  challengeGone();
  // A page that was opened while the check stood there has not been played yet.
  toast("challenge", t(playback.wanted ? "challenge.done" : "challenge.done.press"), "ok");
  if (video.ended && !isFree(store.value)) {
    store.set({ ending: true });
    heartbeat.beat("ended");
  }
}

/** @param {import("./protocol.js").Busy} message */
function busy(message) {
  playback.hold("busy");
  const refused = message.policy === "refuse";
  store.set({ phase: "busy", stop: refused ? "refused" : null });
  askedAt = clock.now();
  secondPage.busy(message);
}

/** @param {import("./watch_state.js").StopReason} reason */
function stopped(reason) {
  // A refused page has been told already; its close adds nothing.
  const why = reason === "busy" && store.value.stop === "refused" ? "refused" : reason;
  playback.hold("stopped");
  if (why === "displaced") playback.pause();
  challenge.hide();
  store.set({ phase: "stopped", stop: why, challenge: null, ending: false, wait: null });
  playback.release("challenge");
  secondPage.stopped(why, errorCode);
}

/** The learner chose this page; the press is also the gesture that lets the video play. */
function continueHere() {
  const connected = store.value.phase === "busy";
  greeted = false;
  store.set({ phase: "connecting", stop: null });
  playback.hold("connecting");
  playback.release("stopped");
  playback.release("busy");
  playback.play();
  if (connected) socket.hello({ takeover: true });
  else socket.start({ takeover: true });
}

/** @param {"seek" | "rate" | "play"} kind */
function refuse(kind) {
  if (kind === "seek") return toast("seek", t("refused.seek", { at: clockText(playback.limit()) }));
  if (kind === "rate") return toast("rate", t("refused.rate"));
  const s = store.value;
  const why = s.challenge ? "challenge" : s.silent ? "silent" : s.ending ? "ending" : "other";
  return toast("play", t(`refused.play.${why}`));
}

clock.onTick((now) => {
  const s = store.value;
  if (s.phase === "busy" && s.stop !== "refused" && now - askedAt > ASK_AGAIN_MS) {
    askedAt = now;
    socket.hello({ takeover: false });
  }
  const playing = playback.moving() && (s.phase === "live" || s.phase === "lost");
  if (!playing || isFree(s)) {
    if (!s.silent) confirmedAt = now;
  } else if (now - confirmedAt > SILENT_MS) {
    store.set({ silent: true });
    playback.hold("silent");
  }
});

startLineNotice(store);
watchPageLife(clock, {
  onDoubt: () => socket.probe(),
  onLeave: () => {
    heartbeat.leaving();
    socket.bye();
  },
  onReturn: () => {
    if (store.value.phase === "stopped") return;
    store.set({ phase: "lost" });
    socket.start();
  },
});

socket.start();
