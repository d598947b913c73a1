// Films: sent as jobs, asked about until they are done, and shown as two players with a timeline.

import * as api from "./api.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export function isFilm(file, offered) {
  const name = file.name.toLowerCase();
  return file.type.startsWith("video/") || (offered?.films?.formats ?? []).some((each) => name.endsWith(each.suffix));
}

export async function censor(file, options, signal, tell) {
  const { format: _, ...wanted } = options; // a film keeps its container
  let job = await api.beginJob(file, wanted, signal);
  const { id } = job;
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
  }
}

function source(player, url) {
  if (player.dataset.url === (url ?? "")) return;
  player.dataset.url = url ?? "";
  if (url) player.src = url;
  else player.removeAttribute("src");
}

export function show(item) {
  const film = Boolean(item?.film);
  $("film").hidden = !film;
  $("stage-picture").hidden = film;
  source($("film-before"), film ? item.beforeUrl : null);
  source($("film-after"), film ? item.afterUrl : null);
  const spans = film ? (item.result?.spans ?? []) : [];
  const end = spans.at(-1)?.end || 1;
  $("spans").replaceChildren(...spans.map((span) => {
    const line = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.level = span.level;
    button.textContent = words.span(span);
    button.style.setProperty("--share", Math.max(0.02, (span.end - span.start) / end));
    button.addEventListener("click", () => {
      for (const id of ["film-before", "film-after"]) $(id).currentTime = span.start;
    });
    line.append(button);
    return line;
  }));
}
