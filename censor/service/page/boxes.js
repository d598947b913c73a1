// What was found in a picture, as boxes over it.

import * as words from "./words.js";

const $ = (id) => document.getElementById(id);

export function show(result) {
  const layer = $("boxes");
  layer.hidden = !$("show-boxes").checked || !result;
  if (layer.hidden) return;
  const hidden = new Set(result.hidden.map((each) => String(each.xyxy)));
  const found = new Set(result.boxes.map((each) => String(each.xyxy)));
  const besides = result.hidden.filter((each) => !found.has(String(each.xyxy))); // at the second look, or by a classifier
  const hit = (box) => hidden.has(String(box.xyxy));
  const ordered = [...result.boxes, ...besides].sort((a, b) => hit(a) - hit(b)); // what is hidden is drawn on top
  layer.replaceChildren(...ordered.map((box) => {
    const [x0, y0, x1, y1] = box.xyxy;
    const frame = document.createElement("div");
    frame.className = hit(box) ? "box hit" : "box";
    frame.style.setProperty("left", `${(100 * x0) / result.width}%`);
    frame.style.setProperty("top", `${(100 * y0) / result.height}%`);
    frame.style.setProperty("width", `${(100 * (x1 - x0)) / result.width}%`);
    frame.style.setProperty("height", `${(100 * (y1 - y0)) / result.height}%`);
    const text = document.createElement("span");
    text.textContent = `${words.label(box.label)} ${words.percent(box.score)}`;
    frame.append(text);
    return frame;
  }));
}
