// Calls to the service this page came from, and to nothing else.

let key = "";
let asking = null;

export class ProblemError extends Error {
  constructor(problem) {
    super(problem.detail || problem.title);
    this.title = problem.title || "Something went wrong";
    this.status = problem.status ?? 0;
    this.cannotEncode = problem.type === "/problems/cannot-encode";
  }
}

function askForKey(text) {
  const dialog = document.getElementById("key-dialog");
  asking ??= new Promise((resolve) => {
    const field = document.getElementById("key");
    field.value = "";
    document.getElementById("key-text").textContent = text;
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "ok";
      key = given ? field.value.trim() : "";
      field.value = "";
      asking = null;
      resolve(given);
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

const pause = (seconds, signal) => new Promise((resolve) => {
  setTimeout(resolve, 1000 * seconds);
  signal?.addEventListener("abort", resolve, { once: true });
});

const isReadable = (file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);

async function noAnswer(file) {
  if (file && !(await isReadable(file))) {
    return { title: "Cannot be read", detail: "This is a folder, or the file has changed or gone since it was chosen." };
  }
  return { title: "No answer", detail: "The service cannot be reached. Is it still running?" };
}

async function call(path, options = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const used = key;
    const headers = { ...options.headers, ...(used ? { Authorization: `Bearer ${used}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...options, headers, credentials: "omit", cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ProblemError(await noAnswer(options.body));
    }
    if (response.ok) return response.status === 204 ? null : response.json();
    const fallback = { title: `Answer ${response.status}`, status: response.status };
    const problem = await response.json().catch(() => fallback);
    options.signal?.throwIfAborted();
    if (response.status === 401 && attempt < 4) {
      // Another request may have asked for the key while this one was on its way.
      const text = used ? "That key was not taken. Try another." : "It is kept in this tab only, until you close it.";
      if (used === key && !(await askForKey(text))) throw new ProblemError(problem);
    } else if (response.status === 503 && attempt < 20) {
      await pause(Math.min(Number(response.headers.get("Retry-After")) || 1, 10), options.signal);
    } else {
      throw new ProblemError(problem);
    }
    options.signal?.throwIfAborted();
  }
}

export const policies = async () => (await call("v1/policies")).policies;

export const offered = () => call("v1/options");

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

export function beginJob(file, options, signal) {
  const query = new URLSearchParams(Object.entries(options).filter(([, value]) => value !== "" && value != null));
  const type = file.type.startsWith("video/") ? file.type : "application/octet-stream";
  return call(`v1/jobs?${query}`, { method: "POST", body: file, headers: { "Content-Type": type }, signal });
}

export const job = (id, signal) => call(`v1/jobs/${id}`, { signal });

export const jobResult = (id, signal) => call(`v1/jobs/${id}/result`, { headers: { Accept: "application/json" }, signal });

export const endJob = (id) => call(`v1/jobs/${id}`, { method: "DELETE", keepalive: true });

export function blobOf(picture) {
  const bytes = Uint8Array.from(atob(picture.base64), (char) => char.charCodeAt(0));
  return new Blob([bytes], { type: picture.media_type });
}
