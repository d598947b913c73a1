// The verdict on what is on the stage, with its reasons.

import * as words from "./words.js";

const $ = (id) => document.getElementById(id);

export function show(item) {
  const box = $("verdict");
  const list = $("reasons");
  const what = words.thing(item);
  $("judges").textContent = "";
  $("retry").hidden = item.state !== "failed" || (item.error.status >= 400 && item.error.status < 500 && item.error.status !== 401);
  if (item.state === "failed") {
    box.dataset.level = "failed";
    $("verdict-title").textContent = item.error.title || "Something went wrong";
    $("verdict-text").textContent = `${words.sentence(item.error.message)} There is no ${what} after.`;
    list.replaceChildren();
  } else if (item.result) {
    box.dataset.level = item.result.level;
    $("verdict-title").textContent = words.title(item.result.level);
    $("verdict-text").textContent = words.explanation(item.result, what);
    list.replaceChildren(...words.reasons(item.result, what).map(reasonLine));
    $("judges").textContent = words.judges(item.result);
  } else {
    box.dataset.level = "waiting";
    $("verdict-title").textContent = `Looking at the ${what}…`;
    $("verdict-text").textContent = "";
    list.replaceChildren();
  }
}

function reasonLine(reason) {
  const line = document.createElement("li");
  const what = document.createElement("b");
  what.textContent = reason.what;
  line.classList.toggle("grave", reason.grave);
  line.append(what, ` ${reason.why}`);
  return line;
}
