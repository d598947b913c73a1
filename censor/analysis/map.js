"use strict";
for (const map of document.querySelectorAll(".map")) {
  const plane = map.querySelector(".plane"), sheet = map.querySelector(".sheet"), said = map.querySelector("output");
  const held = new Map();
  let zoom = 1, x = 0, y = 0, moved = 0;

  const draw = () => {
    const room = plane.clientWidth * (zoom - 1);
    x = Math.min(0, Math.max(-room, x));
    y = Math.min(0, Math.max(-room, y));
    sheet.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    sheet.style.setProperty("--shrink", zoom ** -0.7);
    plane.style.touchAction = zoom > 1 ? "none" : "pan-y";  // a finger must be able to leave the map
  };
  const closer = (factor, atX, atY) => {
    const next = Math.min(64, Math.max(1, zoom * factor));
    const inset = plane.clientWidth * 0.05;
    x = atX - inset - (atX - inset - x) * next / zoom;
    y = atY - inset - (atY - inset - y) * next / zoom;
    zoom = next;
    draw();
  };
  const middle = () => plane.clientWidth / 2;
  const place = (event) => {
    const box = plane.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const choose = (point) => {
    map.querySelector(".chosen")?.classList.remove("chosen");
    if (point) {
      point.classList.add("chosen");
      said.textContent = point.title;
    }
  };

  const next = () => {  // without a pointer: from the middle of what is seen outwards
    const box = plane.getBoundingClientRect();
    const away = (point) => {
      const at = point.getBoundingClientRect();
      return Math.hypot(at.x + at.width / 2 - box.x - box.width / 2, at.y + at.height / 2 - box.y - box.height / 2);
    };
    const points = [...map.querySelectorAll(".point")].sort((one, other) => away(one) - away(other));
    choose(points[(points.findIndex((point) => point.classList.contains("chosen")) + 1) % points.length]);
  };

  map.querySelector(".tools").hidden = false;
  for (const button of map.querySelectorAll("button")) {
    button.addEventListener("click", () => closer(Number(button.dataset.zoom), middle(), middle()));
  }
  plane.addEventListener("wheel", (event) => {
    if (document.activeElement !== plane && !event.ctrlKey) return;  // a page is scrolled past a map
    event.preventDefault();
    closer(1.002 ** -event.deltaY, ...place(event));
  }, { passive: false });
  plane.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, place(event));
    moved = held.size > 1 ? 99 : 0;
  });
  plane.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    held.set(event.pointerId, now);
    moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (moved > 5) plane.setPointerCapture(event.pointerId);
    if (other) {
      const apart = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
      closer(apart(now) / Math.max(1, apart(before)), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else {
      x += now[0] - before[0];
      y += now[1] - before[1];
      draw();
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    plane.addEventListener(end, (event) => {
      if (end === "pointerup" && moved < 5) choose(event.target.closest(".point"));
      held.delete(event.pointerId);
    });
  }
  plane.addEventListener("keydown", (event) => {
    const step = plane.clientWidth / 8;
    const ways = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const zooms = { "+": 2, "=": 2, "-": 0.5, "0": 0 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") next();
    else if (event.key in zooms) closer(zooms[event.key], middle(), middle());
    else if (event.key in ways && zoom > 1) {
      x += ways[event.key][0];
      y += ways[event.key][1];
      draw();
    } else return;
    event.preventDefault();
  });
  addEventListener("resize", draw);
}
