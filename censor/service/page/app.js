// The page: a queue of pictures, one of them on the stage, and controls that go for all of them.

import * as api from "./api.js";
import * as boxes from "./boxes.js";
import * as choices from "./choices.js";
import * as films from "./films.js";
import * as incoming from "./incoming.js";
import * as verdict from "./verdict.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);

const items = []; // { file, beforeUrl, afterUrl, blob, result, error, state, version, thumb }
let current = null;
let policies = [];
let touched = {}; // the options that the person changed since choosing the policy
let version = 0; // of the options: results of older ones are stale
let running = 0;

const form = $("controls");

// ---- pictures come in ----

function add(files) {
  const pictures = [...files]; // what is no picture is said by the service, never dropped without a word
  if (!pictures.length) return;
  if (!items.length) showWork(true);
  for (const file of pictures) {
    const item = { file, beforeUrl: URL.createObjectURL(file), state: "waiting", version: -1, film: films.isFilm(file, choices.all()) };
    item.thumb = makeThumb(item);
    items.push(item);
  }
  select(items[items.length - pictures.length]);
  work();
}

function showWork(shown) {
  $("start").hidden = shown;
  for (const id of ["work", "add-more", "clear"]) $(id).hidden = !shown;
  $(shown ? "main" : "pick").focus({ preventScroll: true }); // or the focus would be lost with what had it
}

function clear() {
  for (const item of items) {
    item.abort?.abort();
    for (const url of [item.beforeUrl, item.afterUrl]) if (url) URL.revokeObjectURL(url);
  }
  items.length = 0;
  current = null;
  $("thumbs").replaceChildren();
  $("boxes").replaceChildren();
  for (const id of ["before", "after"]) $(id).removeAttribute("src");
  verdict.show({ state: "waiting" });
  films.show(null);
  showWork(false);
}

function makeThumb(item) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = item.file.name;
  const image = document.createElement("img");
  image.alt = "";
  image.src = item.beforeUrl;
  image.addEventListener("error", () => image.classList.add("unshown"));
  const dot = document.createElement("span");
  dot.className = "dot";
  dot.setAttribute("aria-hidden", "true");
  button.append(image, dot);
  button.addEventListener("click", () => select(item));
  const entry = document.createElement("li");
  entry.append(button);
  $("thumbs").append(entry);
  return button;
}

incoming.listen(add);

// ---- the queue: two at a time, the one on the stage first ----

const isStale = (item) => item.version !== version; // what is known of it goes for other options
const isFresh = (item) => item.state === "done" && !isStale(item);
const open = (item) => isStale(item) && item.state !== "working";

async function work() {
  while (running < 2) {
    const item = current && open(current) ? current : items.find(open);
    if (!item) break;
    running += 1;
    render(item).finally(() => {
      running -= 1;
      work();
    });
  }
  showQueue();
}

async function render(item) {
  const mine = version;
  Object.assign(item, { state: "working", progress: null });
  item.abort = new AbortController();
  show(item);
  try {
    if (!policies.length) await begin();
    item.film = films.isFilm(item.file, choices.all()); // what is offered may not have been known before
    const wanted = options();
    const result = item.film
      ? await films.censor(item.file, wanted, choices.all(), item.abort.signal, (text) => {
        item.progress = text;
        if (item === current) $("veil-text").textContent = text;
      })
      : await inSight(item, wanted);
    item.film = result.picture.media_type.startsWith("video/");
    result.level = result.verdict?.level ?? "unjudged"; // null: the policy has no rule for a verdict
    const blob = api.blobOf(result.picture);
    if (item.afterUrl) URL.revokeObjectURL(item.afterUrl);
    delete result.picture;
    Object.assign(item, { result, blob, afterUrl: URL.createObjectURL(blob), error: null, state: "done", version: mine });
  } catch (error) {
    if (error.name === "AbortError") {
      item.state = "waiting";
    } else {
      Object.assign(item, { error, result: null, state: "failed", version: mine });
      if (item.afterUrl) URL.revokeObjectURL(item.afterUrl);
      item.afterUrl = item.blob = null;
    }
  }
  show(item);
}

async function inSight(item, wanted) { // a result that browsers show, if there is one
  const ask = (format) => api.censor(item.file, { ...wanted, format }, item.abort.signal);
  if (wanted.format) return ask(wanted.format);
  const came = choices.isShown(item.file.type) ? await ask("") : null;
  const type = came?.picture.media_type ?? "image/";
  if (!type.startsWith("image/") || choices.isShown(type)) return came;
  for (const format of choices.substitutes()) { // the file's name may have said something else
    try {
      return await ask(format);
    } catch (error) {
      if (!error.cannotEncode) throw error;
    }
  }
  return came ?? ask(""); // pages
}

const options = () => ({ policy: $("policy").value, ...touched, format: $("format").value });

function changed() {
  version += 1;
  for (const item of items) {
    if (item.state === "working") item.abort.abort();
    show(item);
  }
  work();
}

// ---- what is shown ----

function select(item) {
  current = item;
  $("before").removeAttribute("src"); // or one that has failed before would not fail again
  $("before").hidden = false;
  $("before-note").hidden = true;
  setSplit(50);
  for (const each of items) {
    if (each === item) each.thumb.setAttribute("aria-current", "true");
    else each.thumb.removeAttribute("aria-current");
  }
  item.thumb.scrollIntoView({ block: "nearest", inline: "nearest" });
  show(item);
  work();
}

function setSize(width, height) {
  $("picture").style.setProperty("--width", width);
  $("picture").style.setProperty("--height", height);
}

$("before").addEventListener("load", () => setSize($("before").naturalWidth, $("before").naturalHeight));
$("before").addEventListener("error", () => {
  $("before").hidden = true;
  tell($("picture").classList.contains("unshown"));
  setSplit(0);
});

function tell(unshown) { // that the picture after is in a format that no browser shows
  $("picture").classList.toggle("unshown", unshown);
  $("after-note").hidden = !unshown;
  $("before-note").hidden = unshown || !$("before").hidden || !current?.result || current.film;
}

$("after").addEventListener("load", () => tell(false));
$("after").addEventListener("error", () => tell(Boolean(current?.afterUrl && !current.film)));

function show(item) {
  const stale = isStale(item);
  const level = isFresh(item) ? item.result.level : stale && item.state !== "working" ? "waiting" : item.state;
  item.thumb.dataset.level = level;
  item.thumb.setAttribute("aria-label", `${words.capitalized(words.thing(item))} ${items.indexOf(item) + 1}: ${words.title(level) ?? level}`);
  showQueue();
  if (item !== current) return;
  const before = item.film ? null : item.beforeUrl; // that it is a film may turn out only now
  if (before === null) $("before").removeAttribute("src");
  else if ($("before").getAttribute("src") !== before) $("before").src = before;
  const failed = item.state === "failed";
  $("stage").classList.toggle("empty", failed);
  $("stage").dataset.empty = `No ${words.thing(item)} after`;
  for (const id of ["show-boxes", "format"]) $(id).disabled = item.film; // a film keeps its container
  tell(false);
  $("veil-text").textContent = item.progress ?? "Working…";
  films.show(item);
  const picture = $("picture");
  picture.classList.toggle("failed", failed);
  $("veil").hidden = !stale;
  $("verdict").setAttribute("aria-busy", String(stale));
  if (item.afterUrl && !item.film) {
    $("after").src = item.afterUrl;
    picture.classList.remove("pending");
  } else {
    $("after").removeAttribute("src");
    picture.classList.add("pending");
  }
  if (item.result && !item.film) setSize(item.result.width, item.result.height);
  verdict.show(item);
  boxes.show(current?.result);
  const link = $("download");
  if (isFresh(item)) {
    link.href = item.afterUrl;
    link.download = outputName(item);
    link.removeAttribute("aria-disabled");
  } else {
    link.removeAttribute("href");
    link.setAttribute("aria-disabled", "true");
  }
}

function showQueue() {
  const failed = items.filter((item) => item.state === "failed" && !isStale(item)).length;
  const fresh = items.filter(isFresh).length;
  const done = fresh + failed;
  $("queue").hidden = items.length < 2;
  $("queue-text").textContent = `${done} of ${items.length} done${failed ? `, ${failed} failed` : ""}`;
  $("queue-progress").max = Math.max(1, items.length);
  $("queue-progress").value = done;
  $("queue-progress").hidden = done === items.length;
  $("download-all").hidden = items.filter((item) => item.blob).length < 2;
  $("download-all").disabled = fresh < 2;
}

function setSplit(value) {
  $("split").value = value;
  $("picture").style.setProperty("--split", `${value}%`);
  $("split").setAttribute("aria-valuetext", `${value} % before, ${100 - value} % after`);
}

function outputName(item) {
  const stem = item.file.name.replace(/\.[^.]*$/, "") || words.thing(item);
  return `${stem}.censored${choices.suffix(item.blob.type)}`;
}

// ---- controls ----

function adoptPolicy() {
  const policy = policies.find((each) => each.name === $("policy").value);
  if (!policy) return;
  touched = {};
  const rules = Object.values(policy.labels).filter((rule) => rule.censor_at !== null);
  for (const [name, value] of [["replacewith", rules[0]?.effect], ["shape", rules[0]?.shape]]) {
    const radio = form.querySelector(`input[name="${name}"][value="${value}"]`);
    if (radio) radio.checked = true;
  }
  $("strength").value = choices.turned(policy.cells);
  $("policy-hint").textContent = words.policyHint(policy);
  showStrength();
}

function showStrength() {
  const plain = choices.isPlain(form.elements.replacewith.value);
  const cells = choices.turned(Number($("strength").value));
  $("strength").disabled = plain;
  $("strength-field").classList.toggle("off", plain);
  const text = plain ? "shows nothing" : cells === 1 ? "one colour" : `${cells} cells across`;
  $("strength-text").textContent = text;
  $("strength").setAttribute("aria-valuetext", text);
}

$("policy").addEventListener("change", () => {
  adoptPolicy();
  changed();
});
form.addEventListener("change", (event) => {
  const { name, value } = event.target;
  if (name === "replacewith" || name === "shape") {
    touched[name] = value;
    showStrength();
    changed();
  }
});
let pending = 0;
$("strength").addEventListener("input", () => {
  touched.cells = choices.turned(Number($("strength").value));
  showStrength();
  clearTimeout(pending);
  pending = setTimeout(changed, 120); // dragging asks once it rests, not for every step
});
form.addEventListener("submit", (event) => event.preventDefault());
$("format").addEventListener("change", changed);
$("show-boxes").addEventListener("change", () => boxes.show(current?.result));
$("split").addEventListener("input", () => setSplit(Number($("split").value)));
$("download-all").addEventListener("click", async () => {
  for (const item of items.filter(isFresh)) {
    if (!isFresh(item)) continue; // it has changed since the first was downloaded
    const link = document.createElement("a");
    link.href = item.afterUrl;
    link.download = outputName(item);
    link.click();
    await new Promise((resolve) => setTimeout(resolve, 150)); // browsers drop downloads that come at once
  }
});

$("clear").addEventListener("click", clear);
$("retry").addEventListener("click", () => {
  current.version = -1;
  $("main").focus({ preventScroll: true });
  show(current);
  work();
});

// ---- begin ----

async function begin() {
  choices.fill(await api.offered());
  policies = await api.policies();
  $("policy").replaceChildren(...policies.map((policy) => new Option(policy.name, policy.name, policy.default, policy.default)));
  adoptPolicy();
  document.body.dataset.ready = "true";
}

for (const each of document.querySelectorAll(".host")) each.textContent = location.host;

try {
  await begin();
} catch (error) {
  $("start-title").textContent = error.title ?? "The service does not answer";
  document.body.dataset.ready = "failed";
}
