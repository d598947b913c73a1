// The controls' choices, as the service offers them: none of them is listed here.

import * as words from "./words.js";

const $ = (id) => document.getElementById(id);

function choice(name, value) {
  const input = document.createElement("input");
  Object.assign(input, { type: "radio", name, value });
  const text = document.createElement("span");
  text.textContent = words.capitalized(value);
  const line = document.createElement("label");
  line.append(input, text);
  return line;
}

let offered = null; // what can be asked for, and the limits

export const shown = () => offered.formats.filter((each) => each.in_browsers);

export const isShown = (type) => shown().some((each) => each.media_type === type);

export function substitutes() { // formats to ask for in the place of one that browsers do not show: of a still, then of what moves
  const names = shown().map((each) => each.name);
  const moving = (offered.films?.animations ?? []).filter((name) => names.includes(name));
  return [names[0], ...moving.slice(-1)];
}

export const all = () => offered;

export const suffix = (type) => [...offered.formats, ...(offered.films?.formats ?? [])].find((each) => each.media_type === type)?.suffix ?? "";

export const turned = (cells) => offered.cells.minimum + offered.cells.maximum - cells; // more strength, fewer cells

export const isPlain = (effect) => offered.effects.some((each) => each.name === effect && !each.cells);

export function fill(given) {
  offered = given;
  $("effects").replaceChildren(...offered.effects.map((each) => choice("replacewith", each.name)));
  $("shapes").replaceChildren(...offered.shapes.map((each) => choice("shape", each)));
  $("format").replaceChildren($("format").options[0], ...shown().map((each) => new Option(each.title, each.name)));
  Object.assign($("strength"), { min: offered.cells.minimum, max: offered.cells.maximum });
  $("taken").textContent = words.taken(offered);
  const suffixes = offered.formats.map((each) => each.suffix);
  for (const id of ["pick-input", "photo-input"]) $(id).accept = ["image/*", ...suffixes].join(",");
  const films = offered.films?.formats ?? [];
  if (films.length) $("pick-input").accept += `,video/*,${films.map((each) => each.suffix).join(",")}`;
}
