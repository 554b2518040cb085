// The page: what is made, watched and shown. `SERVED` names the models; `element` is the stage's block.

const by = (id) => document.getElementById(id);
const following = new Map(); // id: function that stops
let shown = null; // id of the student's video on the stage
let models = {};
let sending = false;

const say = (words) => {
  if (by("said").textContent !== words) by("said").textContent = words;
};
const problem = (error) => {
  const again = error && error.retryAfter ? ` (in ${error.retryAfter} s)` : "";
  const unreachable = error instanceof TypeError;
  by("problem").textContent = error ? (unreachable ? "The server cannot be reached." : error.message + again) : "";
};

async function make(prompt, seed, steps, compare) {
  if (sending) return;
  sending = true;
  problem(null);
  const fields = { prompt: prompt || "", model: SERVED.student, steps };
  const wanted = (seed || "").trim();
  if (wanted) fields.seed = /^\d+$/.test(wanted) ? Number(wanted) : wanted;
  for (const choice of document.querySelectorAll("#choices select")) fields[choice.name] = choice.value;
  try {
    const video = await create(fields, randomKey());
    kept.put(video.id, { video, ...(compare && SERVED.teacher ? { teacher: "wanted" } : {}) });
    show(video.id, true);
  } catch (error) {
    problem(error);
  }
  sending = false;
}

// The teacher's video follows the student's, so that neither slows the other down. The key makes it one for all tabs.
async function makeTeacher(student) {
  const { id, prompt, seed } = student;
  try {
    const video = await create({ prompt, seed, model: SERVED.teacher }, `teacher-of-${id}`);
    if (!kept.get(id)) return; // deleted meanwhile
    kept.put(video.id, { video, of: id });
    kept.put(id, { teacher: video.id });
  } catch (error) {
    if (error.retryAfter || error instanceof TypeError) {
      await pause(error.retryAfter || 5);
      return redraw();
    }
    kept.put(id, { teacher: undefined });
    problem(error);
  }
  redraw();
}

const asking = new Set();

function want(entry) {
  if (entry.teacher !== "wanted" || !finished(entry.video) || asking.has(entry.id)) return;
  if (entry.video.status !== "completed") return kept.put(entry.id, { teacher: undefined });
  asking.add(entry.id);
  makeTeacher(entry.video).finally(() => asking.delete(entry.id));
}

// News of a video, from whatever source.
function take(id, news) {
  const entry = kept.get(id);
  if (news instanceof Error) return redraw(news instanceof TypeError ? "The server cannot be reached; trying again" : news.message);
  if (news === null) {
    kept.drop(id);
    if (shown === id) show(null);
  } else {
    const before = entry ? entry.video.status : null;
    kept.put(id, { video: news });
    if (news.status !== before && (id === shown || (entry && entry.of === shown))) say(`${news.model}: ${state(news)}`);
    if (finished(news)) measure();
  }
  redraw();
}

// Follows those on the stage by events, others by polls: a browser has six connections to a server, for all its tabs.
function attend() {
  const entry = kept.get(shown);
  const ids = document.hidden || !entry ? [] : [entry.id, entry.teacher];
  const wanted = ids.map((id) => kept.get(id)).filter((one) => one && !finished(one.video)).map((one) => one.id);
  for (const [id, stop] of following)
    if (!wanted.includes(id)) {
      stop();
      following.delete(id);
    }
  for (const id of wanted) if (!following.has(id)) following.set(id, follow(id, (news) => take(id, news)));
}

async function lookAtOthers() {
  for (;;) {
    for (const { id, video } of document.hidden ? [] : kept.all()) {
      if (finished(video) || following.has(id)) continue;
      await ask("GET", `/v1/videos/${id}`).then((news) => take(id, news), (error) => error.status === 404 && take(id, null));
    }
    await pause(2);
  }
}

function show(id, jump = false) {
  shown = kept.get(id) ? id : null;
  history.replaceState(null, "", shown ? `#${shown}` : location.pathname);
  redraw();
  if (jump && shown) {
    const { top } = by("stage").getBoundingClientRect();
    if (top < 0 || top > innerHeight / 3) by("stage").scrollIntoView({ behavior: still() ? "auto" : "smooth", block: "start" });
  }
}

async function act(method, id, path = "") {
  try {
    const answer = await ask(method, `/v1/videos/${id}${path}`);
    take(id, method === "DELETE" ? null : answer);
    if (method === "DELETE") say("The video was deleted.");
  } catch (error) {
    if (error.status === 404) return take(id, null);
    problem(error);
    if (error.status === 409) ask("GET", `/v1/videos/${id}`).then((news) => take(id, news), problem);
  }
}

function fill(selector, value) {
  const field = document.querySelector(selector);
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function actionsOf(entry) {
  const { id, video } = entry;
  const lonely = !entry.of && !entry.teacher && SERVED.teacher && video.model === SERVED.student;
  return {
    cancel: () => act("POST", id, "/cancel"),
    remove: async () => {
      const { teacher } = kept.get(id) || {};
      if (ID.test(teacher || "")) await act("DELETE", teacher);
      await act("DELETE", id);
    },
    reuse: () => {
      fill("#prompt textarea", video.prompt);
      fill("#seed input", video.seed);
      if (video.model === SERVED.student) fill("#steps input[type=number]", video.steps);
      document.querySelector("#prompt textarea").focus();
    },
    compare: lonely && video.status === "completed" ? () => (kept.put(id, { teacher: "wanted" }), redraw()) : null,
  };
}

// Both times: medians of the server's own runs where there are several of each, else this one pair.
function verdict(one, other) {
  const [student, teacher] = [models[SERVED.student], models[SERVED.teacher]];
  const times = (fast, slow) => `${(slow / fast).toFixed(slow / fast < 10 ? 1 : 0)} times`;
  const here = times(one.generation_seconds, other.generation_seconds);
  if (!student || !teacher || Math.min(student.median_runs, teacher.median_runs) < 3)
    return `In this one pair of runs Hummingbird was ${here} faster.`;
  const each = (model) => `${model.median_seconds.toFixed(2)} s (${model.median_runs} runs of ${model.steps} steps)`;
  const faster = times(student.median_seconds, teacher.median_seconds);
  return `Hummingbird is ${faster} faster from prompt to mp4, by medians: ${each(student)} against ${each(teacher)}. In this pair: ${here}.`;
}

function redraw(trouble) {
  const entry = kept.get(shown);
  const cards = by("cards");
  if (!cards) return;
  const wanted = entry ? [entry, kept.get(entry.teacher)].filter(Boolean) : [];
  while (cards.children.length > wanted.length || (wanted.length && cards.querySelector(".nothing"))) cards.lastChild.remove();
  wanted.forEach((one, at) => {
    if (!cards.children[at]) cards.append(make_("article", { class: "card" }));
    draw(cards.children[at], one.video.model === SERVED.teacher ? "Teacher" : "Hummingbird", one.video, actionsOf(one), finished(one.video) ? "" : trouble);
  });
  if (!wanted.length && !cards.children.length)
    cards.append(make_("p", { class: "nothing" }, "The video appears here, and goes on being made when this page is closed."));
  const done = wanted.length === 2 && wanted.every((one) => one.video.status === "completed");
  by("verdict").textContent = done ? verdict(...wanted.map((one) => one.video)) : entry && entry.teacher === "wanted" ? "The teacher's follows." : "";
  drawGallery();
  for (const one of kept.all()) want(one);
  attend();
}

function drawGallery() {
  if (!by("thumbs")) return;
  const entries = kept.all().filter((entry) => !entry.of);
  by("gallery").hidden = !entries.length;
  by("gallery-note").textContent = kept.inMemory
    ? "This browser keeps nothing: the list ends with this page."
    : "The list of this browser; the server removes each video after a while.";
  const old = new Map([...by("thumbs").children].map((item) => [item.dataset.look, item]));
  const items = entries.map((entry) => {
    const { id, video } = entry;
    const look = [id, state(video), id === shown].join();
    return old.get(look) || thumb(id, video, look);
  });
  if (items.length !== old.size || items.some((item, at) => item !== by("thumbs").children[at])) {
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.id : null;
    by("thumbs").replaceChildren(...items);
    const again = focused && by("thumbs").querySelector(`[data-id="${focused}"]`);
    if (again && document.activeElement !== again) again.focus({ preventScroll: true });
  }
}

function thumb(id, video, look) {
  const done = video.status === "completed";
  const lost = () => ask("GET", `/v1/videos/${id}`).catch((error) => error.status === 404 && take(id, null));
  const image = done
    ? make_("img", { src: content(id, "thumbnail"), alt: "", loading: "lazy", onerror: lost })
    : make_("span", { class: `sign ${video.status}`, "aria-hidden": "true" }, SIGNS[video.status] || `${video.progress} %`);
  return make_("li", { "data-look": look }, make_("button", {
    type: "button", class: "thumb", "data-id": id, "aria-current": id === shown ? "true" : null,
    "aria-label": `${video.prompt}. ${state(video)}`, title: video.prompt, onclick: () => show(id, true),
  }, image, make_("span", { class: "words" }, video.prompt), make_("span", { class: "words dim" }, state(video))));
}

let counting = 0;

function count(prompt) {
  clearTimeout(counting);
  counting = setTimeout(async () => {
    const place = by("tokens");
    const path = `/v1/models/${encodeURIComponent(SERVED.student)}/tokens`;
    const answer = await ask("POST", path, { prompt: prompt || "" }).catch(() => null);
    if (!place || answer === null) return place && (place.textContent = "");
    const over = answer.tokens - answer.max_tokens;
    place.textContent = `${answer.tokens} of ${answer.max_tokens} tokens` + (over > 0 ? `: ${over} too many, shorten the prompt` : "");
    place.classList.toggle("over", over > 0);
  }, 250);
}

async function measure() {
  const answer = await ask("GET", "/v1/models").catch(() => null);
  if (answer === null) return;
  models = Object.fromEntries(answer.data.map((model) => [model.id, model]));
  const choices = { quality: "qualities", style: "styles" };
  const student = models[SERVED.student] || {};
  if (by("choices") && !by("choices").childElementCount)
    for (const [name, list] of Object.entries(choices)) {
      if (!(student[list] || []).length) continue;
      const options = student[list].map((value) => make_("option", { value }, value));
      by("choices").append(make_("label", {}, name[0].toUpperCase() + name.slice(1), make_("select", { name }, ...options)));
    }
  redraw();
}

async function begin() {
  while (!by("thumbs") || !by("choices")) await pause(0.05); // Gradio draws its blocks one after the other
  kept.dropExpired();
  const linked = location.hash.slice(1);
  if (ID.test(linked) && !kept.get(linked))
    await ask("GET", `/v1/videos/${linked}`).then((video) => kept.put(linked, { video }), () => null);
  const running = kept.all().find((entry) => !entry.of && !finished(entry.video));
  const newest = running || kept.all().find((entry) => !entry.of);
  show(kept.get(linked) ? linked : newest ? newest.id : null);
  measure();
  if (kept.get(linked)) {
    history.scrollRestoration = "manual"; // a reload shows the video, on a phone too, where the form is above it
    while (!by("stage").offsetHeight) await pause(0.05); // not laid out yet
    await pause(0.2);
    if (by("stage").getBoundingClientRect().top > innerHeight / 3) by("stage").scrollIntoView({ behavior: "instant" });
  }
  lookAtOthers();
}

window.hummingbird = { make, count };
addEventListener("storage", (event) => event.key === KEPT && redraw());
document.addEventListener("visibilitychange", () => redraw());
begin();
