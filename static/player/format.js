// Numbers as people read them. Pure functions, no document.

/** 75.4 → "01:15", 3675 → "1:01:15". @param {number} seconds */
export function clockText(seconds) {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

/**
 * For screen readers: "1 分 15 秒", "1 min 15 s".
 * @param {number} seconds
 * @param {(key: import("./words.js").WordKey, values?: Record<string, string | number>) => string} t
 */
export function spokenTime(seconds, t) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  const minutes = Math.floor(whole / 60);
  return minutes ? t("time.minutes", { m: minutes, s: whole % 60 }) : t("time.seconds", { s: whole });
}

/**
 * A browser's own description of itself, as a person would say it: "Chrome · Windows". Unknown parts are left out.
 * @param {string} userAgent
 */
export function deviceName(userAgent) {
  const find = (/** @type {[RegExp, string][]} */ table) => table.find(([sign]) => sign.test(userAgent))?.[1] ?? "";
  const browser = find([
    [/MicroMessenger/, "WeChat"],
    [/Edg(e|A|iOS)?\//, "Edge"],
    [/Firefox|FxiOS/, "Firefox"],
    [/OPR\//, "Opera"],
    [/QQBrowser/, "QQ"],
    [/Chrome|CriOS/, "Chrome"],
    [/Safari/, "Safari"],
  ]);
  const system = find([
    [/iPhone/, "iPhone"],
    [/iPad/, "iPad"],
    [/Android/, "Android"],
    [/HarmonyOS/, "HarmonyOS"],
    [/Windows/, "Windows"],
    [/Mac OS X|Macintosh/, "Mac"],
    [/Linux/, "Linux"],
  ]);
  return [browser, system].filter(Boolean).join(" · ");
}

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
