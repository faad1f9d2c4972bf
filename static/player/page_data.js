// What the server hands to the video page: its shape, and reading it. pages/player.py writes the same fields.

import { byId } from "./dom.js";

/**
 * Hours are printed decimals, durations seconds.
 * @typedef {{id: number, title: string, hours: string, duration: number, percent: number, credited: boolean,
 *   watched: boolean, url: string, quiz: string | null}} Chapter
 * @typedef {{csrf: string, video: {id: number, title: string, duration: number, media: string, captions: string | null,
 *   captions_lang: string | null}, chapters: Chapter[], tickets_url: string, socket_path: string,
 *   next_url: string | null, home_url: string}} PageData
 */

/** @returns {PageData} */
export function readPageData() {
  return JSON.parse(byId("page-data").textContent ?? "");
}
