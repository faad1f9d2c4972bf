// Keeps the page of one job up to date: asks every second how far it is, until it is over.

import { getJson } from "./api.js";
import { setText } from "./dom.js";

const EVERY_MS = 1000;

/**
 * What /staff/jobs/{id}.json answers.
 * @typedef {{state: string, words: string, percent: number | null, figure: string, error: string, over: boolean,
 *   page: string | null, file: string | null}} JobView
 */

/** @param {string} id */
function part(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no #${id}`);
  return found;
}

/**
 * @param {string} id
 * @param {string | null} address
 */
function offer(id, address) {
  const link = part(id);
  if (address !== null && link instanceof HTMLAnchorElement) link.href = address;
  link.hidden = address === null;
}

/** @param {JobView} view */
function show(view) {
  // Only what changed is written, so that a screen reader is not told the same again every second.
  setText(part("job-state"), view.words);
  setText(part("job-figure"), view.figure);
  const bar = part("job-bar");
  if (bar instanceof HTMLProgressElement) {
    if (view.percent === null) bar.removeAttribute("value");
    else bar.value = view.percent;
    bar.classList.toggle("done", view.state === "done");
  }
  const error = part("job-error");
  setText(error, view.error);
  error.hidden = view.error === "";
  offer("job-page", view.page);
  offer("job-file", view.file);
  part("job-hint").hidden = view.over;
  if (view.over) part("job-cancel").hidden = true;
}

async function follow() {
  const url = part("job").dataset.url ?? "";
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    const answer = await getJson(url);
    // Logged out, or gone: loading the page again says which.
    if (answer.status >= 400 && answer.status < 500) return;
    if (!answer.ok) continue;
    const view = /** @type {JobView} */ (answer.body);
    show(view);
    if (!view.over) continue;
    if (view.page !== null) window.location.assign(view.page);
    return;
  }
}

void follow();
