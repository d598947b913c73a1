// Films: sent as jobs, asked about until they are done, and shown as two players with a timeline.

import * as api from "./api.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);

const players = () => [$("film-before"), $("film-after")];

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const begun = new Set(); // jobs whose results nobody would fetch if the page went away
addEventListener("pagehide", () => {
  for (const id of begun) api.endJob(id).catch(() => {});
});

export function isFilm(file, offered) {
  const name = file.name.toLowerCase();
  return file.type.startsWith("video/") || (offered?.films?.formats ?? []).some((each) => name.endsWith(each.suffix));
}

export async function censor(file, options, offered, signal, tell) {
  const { format: _, ...wanted } = options; // a film keeps its container
  if (offered?.films?.max_job_seconds == null) return api.censor(file, wanted, signal); // no jobs are taken, or no films
  let job = await api.beginJob(file, wanted, signal);
  const { id } = job;
  begun.add(id);
  try {
    while (job.status === "receiving" || job.status === "working") {
      tell(words.progress(job));
      await pause(400);
      signal.throwIfAborted();
      job = await api.job(id, signal);
    }
    return await api.jobResult(id, signal);
  } catch (error) {
    if (error.name === "AbortError") api.endJob(id).catch(() => {}); // nobody will fetch it
    throw error;
  } finally {
    begun.delete(id);
  }
}

for (const player of players()) player.addEventListener("error", () => ($("film-note").hidden = false));

function source(player, url) {
  if (player.dataset.url === (url ?? "")) return;
  player.dataset.url = url ?? "";
  if (url) player.src = url;
  else player.removeAttribute("src");
  player.load(); // or one without a source would go on with what it had
}

export function show(item) {
  const film = Boolean(item?.film);
  const urls = [film ? item.beforeUrl : null, film ? item.afterUrl : null];
  if (players().some((player, at) => player.dataset.url !== (urls[at] ?? ""))) $("film-note").hidden = true;
  $("film").hidden = !film;
  $("stage-picture").hidden = film;
  players().forEach((player, at) => source(player, urls[at]));
  const spans = film ? (item.result?.spans ?? []) : [];
  const end = spans.at(-1)?.end || 1;
  $("spans").replaceChildren(...spans.map((span) => line(span, end)));
}

function line(span, end) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.level = span.level;
  button.textContent = words.span(span);
  button.addEventListener("click", () => {
    for (const player of players()) player.currentTime = span.start;
  });
  const entry = document.createElement("li");
  entry.style.setProperty("--share", Math.max(2, (100 * (span.end - span.start)) / end));
  entry.append(button);
  return entry;
}
