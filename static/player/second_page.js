// What a learner sees when the player is open twice, and whenever this page may not connect again: one dialog at a time.
// It asks and explains; connecting is done by whoever handed in the functions.

import { actionButton, openDialog } from "./dialog.js";
import { el } from "./dom.js";
import { deviceName, spokenTime } from "./format.js";
import { knows, t } from "./words.js";

/**
 * @param {object} parts
 * @param {string} parts.homeUrl
 * @param {() => void} parts.onHere   the learner wants to continue on this page
 * @returns {{busy: (message: import("./protocol.js").Busy) => void,
 *   stopped: (reason: import("./watch_state.js").StopReason, code: string | null) => void, hide: () => void}}
 */
export function createSecondPage({ homeUrl, onHere }) {
  /** @type {import("./dialog.js").OpenDialog | null} */
  let dialog = null;
  let kind = "";

  /** @param {string} nextKind @param {string} title @param {(Node | null)[]} body @param {HTMLElement[]} actions */
  function show(nextKind, title, body, actions) {
    if (kind === nextKind && dialog) return;
    hide();
    kind = nextKind;
    dialog = openDialog({ kind, title, body, actions });
  }
  function hide() {
    dialog?.close();
    dialog = null;
    kind = "";
  }

  const para = (/** @type {string} */ text, look = "") => el("p", look ? { class: look } : {}, text);
  const here = () =>
    actionButton(t("second.here"), "primary", () => {
      hide();
      onHere();
    });
  const home = () => el("a", { class: "button", href: homeUrl }, t("second.home"));
  const close = () =>
    actionButton(t("second.close"), "secondary", () => {
      // Browsers close only tabs that a script opened; for the others the course page is the way out.
      window.close();
      location.assign(homeUrl);
    });
  const reload = () => actionButton(t("stop.reload"), "primary", () => location.reload());
  const logIn = () => {
    const url = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
    return el("a", { class: "button primary", href: url }, t("stop.sign-in.action"));
  };

  /** @param {import("./protocol.js").Busy} message */
  function where(message) {
    const since = Number.isFinite(message.since) && message.since >= 1 ? t("busy.since", { time: spokenTime(message.since, t) }) : "";
    const name = deviceName(message.device);
    const device = name ? t("busy.where", { device: name }) : "";
    if (!device && !since) return null;
    return el("p", { class: "muted" }, el("span", { class: "phrase" }, device), " ", el("span", { class: "phrase" }, since));
  }

  return {
    hide,
    busy(message) {
      if (message.policy === "refuse") show("refused", t("refused.title"), [para(t("refused.body")), where(message)], [close()]);
      else {
        const waiting = para(t("busy.waiting"), "muted small");
        show("busy", t("busy.title"), [para(t("busy.body")), where(message), waiting], [here(), close()]);
      }
    },
    stopped(reason, code) {
      // What the server said last may name the reason more closely than the close code does.
      const detail = code && knows(`stop.${code}`) ? para(t(/** @type {import("./words.js").WordKey} */ (`stop.${code}`))) : null;
      switch (reason) {
        case "displaced":
          return show("displaced", t("displaced.title"), [para(t("displaced.body"))], [here(), home()]);
        case "busy":
          return show("busy-over", t("busy.title"), [para(t("busy.over.body"))], [here(), close()]);
        case "refused":
          return show("refused", t("refused.title"), [para(t("refused.body"))], [close()]);
        case "sign-in":
          return show("sign-in", t("stop.sign-in.title"), [detail ?? para(t("stop.sign-in.body"))], [logIn()]);
        case "closed":
          return show("closed", t("stop.closed.title"), [detail ?? para(t("stop.closed.body"))], [home()]);
        case "denied":
          return show("denied", t("stop.denied.title"), [detail ?? para(t("stop.denied.body"))], [reload(), home()]);
        case "protocol":
          return show("protocol", t("stop.protocol.title"), [para(t("stop.protocol.body"))], [reload()]);
      }
    },
  };
}
