// The card under the video once it is watched: the way to the quiz, or the news that the hours are credited.

import { byId, el } from "./dom.js";
import { t } from "./words.js";

/**
 * @param {object} parts
 * @param {import("./watch_state.js").Store} parts.store
 * @param {string} parts.hours   of this video, as printed
 * @param {string | null} parts.quiz
 * @param {string | null} parts.nextUrl
 * @param {string} parts.homeUrl
 * @returns {{setQuiz: (url: string | null) => void, setHours: (hours: string) => void,
 *   reveal: () => void}}
 */
export function startAfterCard({ store, hours, quiz, nextUrl, homeUrl }) {
  const card = byId("after");

  function draw() {
    const { watched, credited } = store.value;
    card.hidden = !watched && !credited;
    if (card.hidden) return;
    const onward = nextUrl
      ? el("a", { class: credited ? "button primary" : "button", href: nextUrl }, t("after.next"))
      : el("a", { class: credited ? "button primary" : "button", href: homeUrl }, t("after.home"));
    const practise = quiz && !credited ? el("a", { class: "button primary", href: quiz, id: "to-quiz" }, t("after.quiz")) : null;
    const body = credited ? t("after.credited.body", { hours }) : t(quiz ? "after.watched.body" : "after.settling.body");
    card.classList.toggle("credited", credited);
    card.replaceChildren(
      el(
        "div",
        { class: "after-words" },
        el("h2", { id: "after-title" }, t(credited ? "after.credited.title" : "after.watched.title")),
        el("p", { class: "muted" }, body),
      ),
      el("div", { class: "row" }, ...[practise, onward].filter((each) => each !== null)),
    );
  }

  store.onChange((now, before) => {
    if (now.watched !== before.watched || now.credited !== before.credited) draw();
  });
  draw();
  return {
    setQuiz(url) {
      quiz = url;
      draw();
    },
    /** The end was reached just now: show where to go on. */
    reveal() {
      if (document.fullscreenElement) void document.exitFullscreen();
      card.scrollIntoView({ block: "nearest", behavior: "smooth" });
    },
    setHours(text) {
      hours = text;
      draw();
    },
  };
}
