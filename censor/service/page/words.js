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

export const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export function progress(job) {
  const total = job.frames_total ? ` of ${job.frames_total}` : "";
  const rate = job.frames_a_second ? `, ${Math.round(job.frames_a_second)} a second` : "";
  const left = job.seconds_left == null ? "" : `, about ${Math.ceil(job.seconds_left)} s left`;
  return job.frames_done ? `${job.frames_done}${total} frames${rate}${left}` : "Waiting…";
}

export const span = (each) => `${each.start.toFixed(1)}–${each.end.toFixed(1)} s: ${title(each.level)}, ${percent(each.score)}`;

export const sentence = (text) => capitalized(text).replace(/([^.!?])$/, "$1.");

export function explanation(result) {
  const count = result.hidden.length;
  const hidden = count === 0 ? "Nothing was hidden." : count === 1 ? "One region was hidden." : `${count} regions were hidden.`;
  const verdict = {
    safe: "Nothing in the picture counts against it.",
    review: "Something may be there; a person should decide.",
    nsfw: "The picture as it came must not be shown.",
    unjudged: "This policy hides, but has no rule for a verdict.",
  }[result.level];
  return `${verdict} ${hidden}`;
}

const counts = (reason) => `${reason.rule === "nsfw_at" ? "counts as not safe" : "needs a look"} from ${percent(reason.threshold)}`;

function found(reason) {
  const covers = `Covers ${percent(reason.area)} of the picture.`;
  const doubted = `needs a look: no classifier is ${percent(reason.threshold)} sure that the picture is not safe`;
  return `${percent(reason.score)} sure; ${reason.rule === "confirm_at" ? doubted : counts(reason)}. ${covers}`;
}

function said(reason) {
  const what = reason.label === "NSFW" ? "not safe for work" : label(reason.label);
  const where = reason.xyxy ? "It sees most in one spot." : "It does not say where.";
  return `${percent(reason.score)} sure that the picture as a whole is ${what}; ${counts(reason)}. ${where}`;
}

const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);

export function judges(result) {
  const scores = result.classifiers ?? {};
  const told = (result.verdict?.models ?? []).map((name) => (name in scores ? `${name} (${percent(scores[name])})` : name));
  return told.length ? `Judged by ${listed(told)}.` : "";
}

export function reasons(result) {
  const counted = result.verdict?.reasons ?? [];
  const lines = counted.map((reason) => ({
    what: reason.classifier ? `${reason.classifier}, a classifier` : label(reason.label),
    why: reason.classifier ? said(reason) : found(reason),
    grave: reason.rule === "nsfw_at",
  }));
  const judged = new Set(counted.map((reason) => String(reason.xyxy)));
  for (const each of result.hidden) {
    if (judged.has(String(each.xyxy))) continue;
    const again = each.rechecked ? " Found at the second look." : "";
    const what = each.classifier ? `What ${each.classifier} saw` : label(each.label);
    lines.push({ what, why: `${percent(each.score)} sure; hidden (${each.effect}).${again}`, grave: false });
  }
  return lines;
}

export function taken({ formats, limits }) {
  const titles = formats.map((each) => each.title);
  const most = `${Math.floor(limits.max_bytes / 2 ** 20)} MiB and ${Math.floor(limits.max_pixels / 1e6)} megapixels`;
  return `${titles.slice(0, -1).join(", ")} or ${titles.at(-1)}, one still each, at most ${most}.`;
}

export function policyHint(policy) {
  const hides = Object.entries(policy.labels).filter(([, rule]) => rule.censor_at !== null);
  const names = hides.map(([name]) => label(name).toLowerCase());
  if (policy.heat) names.push("what classifiers see");
  const shown = names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
  const asked = policy.classifiers?.length ? ` Asks ${listed(policy.classifiers)}.` : "";
  return (names.length ? `Hides ${shown}.` : "Hides nothing.") + asked;
}
