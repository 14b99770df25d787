// Loads the models and starts the worker that runs them.

/**
 * Load everything that the page needs; afterwards it makes no request.
 * @param {(share: number) => void} onProgress called with 0 to 1
 */
export async function load(onProgress) {
  const registration = await keepForOffline(onProgress);
  try {
    return await loadModels(onProgress);
  } finally {
    if (registration) replaceByNewer(registration);
  }
}

async function loadModels(onProgress) {
  const [settings, labels] = await Promise.all([json("settings.json"), json("model/labels.json")]);
  const total = Object.values(settings.heavy).reduce((sum, { bytes }) => sum + bytes, 0);
  let loaded = 0;
  const files = {};
  await Promise.all(
    Object.entries(settings.heavy).map(async ([name, { file }]) => {
      files[name] = await bytesOf(file, (bytes) => onProgress((loaded += bytes) / total));
    }),
  );
  // A worker keeps the policy that it is created with: it may load its scripts from here, and connect to nothing.
  addPolicy("connect-src 'none'");
  const worker = new Model();
  await worker.start({ base: new URL("./", document.baseURI).href, files, labels, settings });
  addPolicy("default-src 'none'; style-src 'self'; img-src blob:; manifest-src 'self'");
  return { settings, labels, worker };
}

/** The worker, with an answer for each question. */
class Model {
  #waiting = new Map();
  #worker;

  start({ base, files, labels, settings }) {
    // From a blob, a worker has the page's Content-Security-Policy; from an address, that of its server.
    const script = new Blob([`importScripts(${JSON.stringify(`${base}worker.js`)})`], { type: "text/javascript" });
    this.#worker = new Worker(URL.createObjectURL(script));
    this.#worker.onmessage = ({ data }) => this.#settle(data);
    this.#worker.onerror = (event) => this.#fail(event.message);
    return this.ask("start", { base, files, labels, settings }, Object.values(files));
  }

  /** @returns {Promise<object>} rejected with an Error; its `reason` says why a file cannot be used */
  ask(task, input, transfer = []) {
    return new Promise((resolve, reject) => {
      const id = crypto.getRandomValues(new Uint32Array(1))[0];
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, task, ...input }, transfer);
    });
  }

  #settle({ id, result, error, problem }) {
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (result) resolve(result);
    else reject(Object.assign(new Error(error), { reason: problem }));
  }

  #fail(message) {
    for (const { reject } of this.#waiting.values()) reject(new Error(message));
    this.#waiting.clear();
  }
}

async function json(name) {
  return (await fetched(name)).json();
}

async function bytesOf(name, onBytes) {
  const reader = (await fetched(name)).body.getReader();
  const chunks = [];
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    chunks.push(part.value);
    onBytes(part.value.byteLength);
  }
  return new Blob(chunks).arrayBuffer();
}

async function fetched(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} is missing on the server (${response.status})`);
  return response;
}

/**
 * Have the service worker fetch and keep all files; where there is none, the page works without.
 * @returns {Promise<ServiceWorkerRegistration | null>}
 */
async function keepForOffline(onProgress) {
  if (!("serviceWorker" in navigator)) return null;
  const { serviceWorker } = navigator;
  const listen = ({ data }) => onProgress(data.loaded);
  serviceWorker.addEventListener("message", listen);
  serviceWorker.startMessages();
  try {
    const registration = await serviceWorker.register("sw.js");
    if (registration.active) return registration;
    const installing = registration.installing ?? registration.waiting;
    await new Promise((resolve) => {
      const check = () => ["activated", "redundant"].includes(installing.state) && resolve();
      installing.addEventListener("statechange", check);
      check();
    });
    return registration;
  } catch {
    return null; // private windows and plain http: the page needs the network again next time
  } finally {
    serviceWorker.removeEventListener("message", listen);
  }
}

/** Let a newer version of the page, once it is fetched, take the place of this one, which needs its files no more. */
function replaceByNewer(registration) {
  const replace = () => registration.waiting?.postMessage("replace");
  registration.addEventListener("updatefound", () => registration.installing.addEventListener("statechange", replace));
  registration.installing?.addEventListener("statechange", replace);
  replace();
}

/** Have the browser refuse, from here on, what a Content-Security-Policy forbids; those from before stay in force. */
function addPolicy(content) {
  document.head.append(Object.assign(document.createElement("meta"), { httpEquiv: "Content-Security-Policy", content }));
}
