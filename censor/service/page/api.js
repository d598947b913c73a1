// Calls to the service this page came from, and to nothing else.

let key = "";
let asking = null;

export class ProblemError extends Error {
  constructor(problem) {
    super(problem.detail || problem.title);
    this.title = problem.title || "Something went wrong";
  }
}

function askForKey() {
  const dialog = document.getElementById("key-dialog");
  asking ??= new Promise((resolve) => {
    const field = document.getElementById("key");
    field.value = "";
    dialog.addEventListener("close", () => {
      key = field.value.trim();
      field.value = "";
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

async function call(path, options = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ProblemError({ title: "No answer", detail: "The service cannot be reached. Is it still running?" });
    }
    if (response.ok) return response.json();
    const problem = await response.json().catch(() => ({ title: `Answer ${response.status}`, detail: "" }));
    if (response.status === 401 && attempt < 4) {
      await askForKey();
    } else if (response.status === 503 && attempt < 20) {
      await pause(Number(response.headers.get("Retry-After") || 1));
    } else {
      throw new ProblemError(problem);
    }
    options.signal?.throwIfAborted();
  }
}

export const policies = async () => (await call("v1/policies")).policies;

export function censor(file, options, signal) {
  const query = new URLSearchParams(Object.entries(options).filter(([, value]) => value !== "" && value != null));
  const type = file.type.startsWith("image/") ? file.type : "application/octet-stream";
  return call(`v1/censor?${query}`, {
    method: "POST",
    body: file,
    headers: { "Content-Type": type, Accept: "application/json" },
    signal,
  });
}

export function blobOf(picture) {
  const bytes = Uint8Array.from(atob(picture.base64), (char) => char.charCodeAt(0));
  return new Blob([bytes], { type: picture.media_type });
}
