/**
 * The dashboard's list of who watches now, asked for again every few seconds while the page is seen.
 * It stops for good when the log-in has ended; the page then still shows what it showed, with its time.
 */

/** How often to ask, in ms. */
const EVERY = 5_000;

/**
 * @typedef {{learner: number, name: string, class: string, what: string, since: string, state: string, tone: string}} Person
 * @typedef {{total: number, as_of: string, people: Person[]}} Watching
 */

const section = document.querySelector("[data-watching]");
const total = section?.querySelector("[data-total]");
const asOf = section?.querySelector("[data-as-of]");
const rows = section?.querySelector("tbody");

/** @param {string} text @param {string} [className] */
function cell(text, className = "") {
  const made = document.createElement("td");
  made.textContent = text;
  made.className = className;
  return made;
}

/** @param {Person} person */
function row(person) {
  const made = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.className = "nowrap";
  name.textContent = person.name;
  const state = cell("");
  const badge = document.createElement("span");
  badge.className = `badge ${person.tone}`;
  badge.textContent = person.state;
  state.append(badge);
  made.append(name, cell(person.class || "—"), cell(person.what), cell(person.since, "nowrap num"), state);
  return made;
}

/** @param {Watching} watching */
function show(watching) {
  if (!total || !asOf || !rows || !section) return;
  total.textContent = String(watching.total);
  asOf.textContent = watching.as_of;
  rows.replaceChildren(...watching.people.map(row));
  const wrap = section.querySelector("[data-some]");
  const none = section.querySelector("[data-none]");
  if (wrap instanceof HTMLElement) wrap.hidden = watching.people.length === 0;
  if (none instanceof HTMLElement) none.hidden = watching.people.length > 0;
}

async function ask() {
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch("/staff/watching.json", { redirect: "error" });
      if (answer.status === 403) return;
      if (answer.ok) show(await answer.json());
    } catch {
      // The line is away, or the log-in has ended: the next round finds out; the time on the page tells how old it is.
    }
  }
  setTimeout(ask, EVERY);
}

if (section) setTimeout(ask, EVERY);
