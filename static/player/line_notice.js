// The notices over the picture that tell of a lost or silent line, and that it is back. The state line says it too, but
// in full screen it cannot be seen.

import { lasting, toast } from "./notice.js";
import { t } from "./words.js";

/** @param {import("./watch_state.js").Store} store */
export function startLineNotice(store) {
  store.onChange((now, before) => {
    if (now.silent !== before.silent || now.phase !== before.phase) {
      const text = now.silent ? t("silent.notice") : now.phase === "lost" ? t("lost.notice") : null;
      lasting("line", now.phase === "stopped" ? null : text, now.silent ? "bad" : "warn");
      if (before.phase === "lost" && now.phase === "live") toast("back", t("back.notice"), "ok");
    }
    if (before.mediaFailed && !now.mediaFailed) lasting("media", null);
  });
}
