// Niceties of the quiz: a form is sent once, and a pause counts down. The server decides both without this file.

import { setText } from "./dom.js";
import { clockText } from "./format.js";

/** Once sent, a second press does nothing until the page comes back from the browser's history. */
function sendOnce() {
  const form = document.querySelector("#quiz-form");
  if (!(form instanceof HTMLFormElement)) return;
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  window.addEventListener("pageshow", () => {
    sent = false;
  });
}

/** Buttons that are of no use during the pause are switched off and come back when it is over. */
function countDown() {
  const pause = document.querySelector("#pause");
  const left = document.querySelector("#pause-left");
  const over = document.querySelector("#pause-over");
  if (!(pause instanceof HTMLElement && left && over instanceof HTMLElement)) return;
  const waiting = [...document.querySelectorAll("[data-waits]")];
  const end = Date.now() + Number(pause.dataset.seconds) * 1000;
  const stop = (/** @type {Event} */ event) => event.preventDefault();
  for (const each of waiting) {
    each.setAttribute("aria-disabled", "true");
    each.addEventListener("click", stop);
  }
  const timer = setInterval(tick, 500);
  function tick() {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    if (seconds > 0) {
      setText(left, clockText(seconds));
      return;
    }
    clearInterval(timer);
    for (const each of waiting) {
      each.removeAttribute("aria-disabled");
      each.removeEventListener("click", stop);
    }
    pause.hidden = true;
    over.hidden = false;
    setText(over, over.dataset.text ?? "");
  }
  tick();
}

sendOnce();
countDown();
