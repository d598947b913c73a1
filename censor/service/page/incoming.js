// How files come in: chosen, photographed, pasted or dropped.

const $ = (id) => document.getElementById(id);

export function listen(add) {
  for (const [button, input] of [["pick", "pick-input"], ["photo", "photo-input"], ["add-more", "pick-input"]]) {
    $(button).addEventListener("click", () => $(input).click());
  }
  for (const input of [$("pick-input"), $("photo-input")]) {
    input.addEventListener("change", () => {
      add(input.files);
      input.value = "";
    });
  }
  document.addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) {
      event.preventDefault();
      add(event.clipboardData.files);
    }
  });
  let dragging = 0;
  const hint = (shown) => ($("drop-hint").hidden = !shown);
  document.addEventListener("dragenter", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    dragging += 1;
    hint(true);
  });
  document.addEventListener("dragleave", () => {
    dragging = Math.max(0, dragging - 1);
    hint(dragging > 0);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    dragging = 0;
    hint(false);
    if (event.dataTransfer) add(event.dataTransfer.files);
  });
}
