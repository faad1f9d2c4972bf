// The chapter list beside the video: the server draws it, this file keeps the current entry up to date while playing.

import { byId, setText } from "./dom.js";
import { learned } from "./watch_state.js";
import { t } from "./words.js";

/**
 * @param {number} video  id of the one that plays
 * @param {import("./watch_state.js").Store} store
 */
export function startChapters(video, store) {
  const item = document.querySelector(`[data-chapter="${Number(video)}"]`);
  const status = item?.querySelector(".chapter-status");
  const bar = item?.querySelector("progress");
  if (!item || !status || !bar) return;

  function draw() {
    const s = store.value;
    // Before the first welcome the page knows less than the server that drew the list.
    if (s.reach === 0 && s.frontier === 0 && !s.watched && !s.credited) return;
    const percent = Math.min(s.watched ? 100 : 99, Math.floor((learned(s) / (s.duration || 1)) * 100));
    bar.value = s.credited ? 100 : percent;
    item.setAttribute("data-state", s.credited ? "credited" : s.watched ? "watched" : "open");
    const done = document.querySelectorAll('[data-chapter][data-state="credited"]').length;
    setText(byId("chapters-done"), String(done));
    setText(status, s.credited ? t("chapter.credited") : s.watched ? t("chapter.watched") : `${percent}%`);
  }
  store.onChange(draw);
}
