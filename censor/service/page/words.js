// What the service says, in words.

const LABELS = {
  BELLY_EXPOSED: "Bare belly",
  BUTTOCKS_EXPOSED: "Bare buttocks",
  FEMALE_BREAST_EXPOSED: "Bare female breast",
  FEMALE_GENITALIA_EXPOSED: "Bare female genitals",
  MALE_GENITALIA_EXPOSED: "Bare male genitals",
  MALE_BREAST_EXPOSED: "Bare male chest",
  ANUS_EXPOSED: "Bare anus",
  ARMPITS_EXPOSED: "Bare armpits",
  FEET_EXPOSED: "Bare feet",
  FACE: "Face",
  FACE_FEMALE: "Woman’s face",
  FACE_MALE: "Man’s face",
  ANUS_COVERED: "Covered anus",
  ARMPITS_COVERED: "Covered armpits",
  BELLY_COVERED: "Covered belly",
  BUTTOCKS_COVERED: "Covered buttocks",
  FEET_COVERED: "Covered feet",
  FEMALE_BREAST_COVERED: "Covered female breast",
  FEMALE_GENITALIA_COVERED: "Covered female genitals",
  NSFW_REGION: "What a classifier saw", // no part of a body: where a classifier's verdict comes from
};

const TITLES = { safe: "Safe", review: "Needs a look", nsfw: "Not safe for work", unjudged: "No verdict" };

export const label = (name) => LABELS[name] ?? name.toLowerCase().replaceAll("_", " ");

export const percent = (share) => (share > 0 && share < 0.01 ? "under 1 %" : `${Math.round(100 * share)} %`);

export const title = (level) => TITLES[level];

export const thing = (item) => (item.film ? "film" : "picture");

export const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export function progress(job) {
  const total = job.frames_total ? ` of ${job.frames_total}` : "";
  const rate = job.frames_a_second ? `, ${Math.round(job.frames_a_second)} a second` : "";
  const left = job.seconds_left == null ? "" : `, about ${Math.ceil(job.seconds_left)} s left`;
  return job.frames_done ? `${job.frames_done}${total} frames${rate}${left}` : "Waiting…";
}

const time = (seconds) => `${seconds.toFixed(1)} s`;

export const span = (each) => `${each.start.toFixed(1)}–${time(each.end)}: ${title(each.level)}, ${percent(each.score)}`;

export const sentence = (text) => capitalized(text).replace(/([^.!?])$/, "$1.");

export function explanation(result, what) {
  const count = result.hidden.length;
  const hides = result.frames > 1 ? "thing" : "region"; // through time it is one thing
  const hidden = count === 0 ? "Nothing was hidden." : count === 1 ? `One ${hides} was hidden.` : `${count} ${hides}s were hidden.`;
  const verdict = {
    safe: `Nothing in the ${what} counts against it.`,
    review: "Something may be there; a person should decide.",
    nsfw: `The ${what} as it came must not be shown.`,
    unjudged: "This policy hides, but has no rule for a verdict.",
  }[result.level];
  return `${verdict} ${hidden}`;
}

const counts = (reason) => `${reason.rule === "nsfw_at" ? "counts as not safe" : "needs a look"} from ${percent(reason.threshold)}`;

function found(reason, whole) {
  const covers = `Covers ${percent(reason.area)} of the ${whole}.`;
  const doubted = `needs a look: no classifier is ${percent(reason.threshold)} sure that the ${whole} is not safe`;
  return `${percent(reason.score)} sure; ${reason.rule === "confirm_at" ? doubted : counts(reason)}. ${covers}`;
}

function said(reason, whole) {
  const what = reason.label === "NSFW" ? "not safe for work" : label(reason.label);
  const where = reason.xyxy ? "It sees most in one spot." : "It does not say where.";
  return `${percent(reason.score)} sure that the ${whole} as a whole is ${what}; ${counts(reason)}. ${where}`;
}

const either = (titles) => `${titles.slice(0, -1).join(", ")} or ${titles.at(-1)}`;

const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);

export function judges(result) {
  const scores = result.classifiers ?? {};
  const told = (result.verdict?.models ?? []).map((name) => (name in scores ? `${name} (${percent(scores[name])})` : name));
  return told.length ? `Judged by ${listed(told)}.` : "";
}

export function reasons(result, what) {
  const whole = what === "film" ? "frame" : what; // it is the gravest frame that counts
  const counted = result.verdict?.reasons ?? [];
  const lines = counted.map((reason) => ({
    what: reason.classifier ? `${reason.classifier}, a classifier` : label(reason.label),
    why: reason.classifier ? said(reason, whole) : found(reason, whole),
    grave: reason.rule === "nsfw_at",
  }));
  const judged = new Set(counted.map((reason) => String(reason.xyxy)));
  for (const each of result.hidden) {
    if (judged.has(String(each.xyxy))) continue;
    const again = each.rechecked ? " Found at the second look." : "";
    const named = each.classifier ? `What ${each.classifier} saw` : label(each.label);
    const when = each.start == null ? "" : ` from ${time(each.start)} to ${time(each.end)}`;
    lines.push({ what: named, why: `${percent(each.score)} sure; hidden (${each.effect})${when}.${again}`, grave: false });
  }
  return lines;
}

const lasting = (seconds) => (seconds < 120 ? `${seconds} seconds` : `${Math.floor(seconds / 60)} minutes`);

const mebibytes = (bytes) => `${Math.floor(bytes / 2 ** 20)} MiB`;

export function taken({ formats, limits, films }) {
  const titles = formats.map((each) => each.title);
  const most = `${mebibytes(limits.max_bytes)} and ${Math.floor(limits.max_pixels / 1e6)} megapixels`;
  const pictures = `${either(titles)}, ${films ? "" : "one still each, "}at most ${most}.`;
  if (!films?.formats.length) return pictures;
  const longest = lasting(films.max_job_seconds ?? films.max_seconds);
  return `${pictures} Films: ${either(films.formats.map((each) => each.title))}, at most ${mebibytes(films.max_bytes)} and ${longest}.`;
}

export function policyHint(policy) {
  const hides = Object.entries(policy.labels).filter(([, rule]) => rule.censor_at !== null);
  const names = hides.map(([name]) => label(name).toLowerCase());
  if (policy.heat) names.push("what classifiers see");
  const shown = names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
  const asked = policy.classifiers?.length ? ` Asks ${listed(policy.classifiers)}.` : "";
  return (names.length ? `Hides ${shown}.` : "Hides nothing.") + asked;
}
