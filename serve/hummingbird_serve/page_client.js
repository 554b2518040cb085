// The API, and what this browser keeps of its videos. Nothing here touches the page.

const FINAL = ["completed", "failed", "cancelled"];
const ID = /^video_[0-9a-f]{32}$/;
const KEPT = "hummingbird.videos";
const MOST_KEPT = 100;

class Refusal extends Error {
  constructor(status, error, retryAfter) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.retryAfter = retryAfter;
  }
}

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const finished = (video) => FINAL.includes(video.status);
const content = (id, variant) => `/v1/videos/${id}/content` + (variant ? `?variant=${variant}` : "");

// One request: the answer's JSON, else a Refusal; a TypeError where the server cannot be reached.
async function ask(method, path, body, headers = {}) {
  const options = { method, headers: { ...headers }, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return Object.assign(answer, { pollSeconds: (response.headers.get("Openai-Poll-After-Ms") || 1000) / 1000 });
  if (response.status === 401) location.assign("/login");
  const error = answer.error || { message: `the server answered ${response.status}` };
  throw new Refusal(response.status, error, Number(response.headers.get("Retry-After")) || null);
}

const randomKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// Queues a video. The key makes the same request, sent again after a lost answer, the same video.
async function create(fields, key) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask("POST", "/v1/videos", fields, { "Idempotency-Key": key });
    } catch (error) {
      if (error instanceof Refusal || attempt === 4) throw error;
      await pause(attempt);
    }
  }
}

// Tells news of one video until it is finished: by server-sent events, and by polling where they do not come.
// `tell` gets the video, null when it is gone, or an Error while the server cannot be reached.
function follow(id, tell) {
  let source = null;
  let over = false;
  const stop = () => {
    over = true;
    if (source) source.close();
  };
  const take = (video) => {
    if (over) return;
    if (video === null || finished(video)) stop();
    tell(video);
  };
  const poll = async () => {
    for (let count = 1; !over; count++) {
      let wait = 1;
      try {
        const video = await ask("GET", `/v1/videos/${id}`);
        wait = video.pollSeconds;
        take(video);
      } catch (error) {
        if (error.status === 404) return take(null);
        if (!over) tell(error);
        wait = error.retryAfter || Math.min(5, count);
      }
      await pause(wait);
      if (count % 5 === 0 && !over) return listen();
    }
  };
  const listen = () => {
    source = new EventSource(`/v1/videos/${id}/events`);
    for (const name of ["queued", "in_progress", ...FINAL])
      source.addEventListener(name, (event) => take(JSON.parse(event.data)));
    source.addEventListener("deleted", () => take(null));
    source.onerror = () => {
      source.close();
      if (!over) poll();
    };
  };
  listen();
  return stop;
}

// The videos of this browser, newest first: {id, video, teacher: id or "wanted", of: id of the student's video}.
// `video` is the last state seen, so that a reload asks only for those that were not finished.
const kept = {
  inMemory: null,
  all() {
    if (this.inMemory) return this.inMemory;
    try {
      const found = JSON.parse(localStorage.getItem(KEPT) || "[]");
      return found.filter((entry) => entry && ID.test(entry.id) && entry.video && entry.video.id === entry.id);
    } catch {
      return [];
    }
  },
  get(id) {
    return this.all().find((entry) => entry.id === id) || null;
  },
  put(id, changes) {
    const entries = this.all();
    const known = entries.find((entry) => entry.id === id);
    if (known) Object.assign(known, changes);
    else entries.unshift({ id, ...changes });
    this.save(entries);
  },
  drop(id) {
    const entries = this.all().filter((entry) => entry.id !== id);
    for (const entry of entries) {
      if (entry.teacher === id) delete entry.teacher;
      if (entry.of === id) delete entry.of;
    }
    this.save(entries);
  },
  dropExpired() {
    const now = Date.now() / 1000;
    for (const { id, video } of this.all()) if (video.expires_at && video.expires_at < now) this.drop(id);
  },
  save(entries) {
    entries = entries.slice(0, MOST_KEPT);
    if (this.inMemory) this.inMemory = entries;
    try {
      localStorage.setItem(KEPT, JSON.stringify(entries));
    } catch {
      this.inMemory = entries; // a browser that keeps nothing: good until the page is closed
    }
  },
};
