// A card: one video with its state, settings and buttons. All text of users and servers is set as text, never as HTML.

function make_(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const SIGNS = { queued: "…", in_progress: "", failed: "!", cancelled: "×" };
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const roughly = (seconds) => (seconds < 1 ? "less than a second" : `about ${Math.ceil(seconds)} s`);

// What is going on with a video, in a few words.
function state(video) {
  const left = video.expected_seconds === null ? "" : `, ${roughly(video.expected_seconds)} left`;
  if (video.status === "queued") {
    const place = video.queue_position === null ? "" : `: place ${video.queue_position} in the queue`;
    return `Waiting${place}${left}`;
  }
  if (video.status === "in_progress") return `Step ${video.step} of ${video.steps}${left}`;
  if (video.status === "completed") return `Made in ${video.generation_seconds.toFixed(2)} s`;
  if (video.status === "cancelled") return "Canceled";
  return `Failed: ${video.error ? video.error.message : "no reason was given"}`;
}

function facts(video) {
  const pairs = [
    ["seed", video.seed],
    ["steps", video.steps],
    ["guidance", video.guidance],
    ["size", video.size.replace("x", " × ")],
    ["length", `${video.seconds} s, ${video.num_frames} frames`],
  ];
  for (const name of ["quality", "style"]) if (video[name]) pairs.push([name, video[name]]);
  if (video.batch_size > 1) pairs.push(["shared its pass with", `${video.batch_size - 1} more`]);
  return make_("dl", { class: "facts" }, ...pairs.flatMap(([name, value]) => [make_("dt", {}, name), make_("dd", {}, String(value))]));
}

// A button that asks once more before it does something that cannot be undone.
function careful(label, question, action) {
  let asked = 0;
  const button = make_("button", {
    class: "small",
    type: "button",
    onclick: () => {
      if (asked) return action();
      button.textContent = question;
      button.classList.add("grave");
      asked = setTimeout(() => {
        asked = 0;
        button.textContent = label;
        button.classList.remove("grave");
      }, 4000);
    },
  }, label);
  return button;
}

function picture(video) {
  if (video.status === "completed") {
    const [width] = video.size.split("x").map(Number);
    const player = make_("video", {
      src: content(video.id),
      poster: content(video.id, "thumbnail"),
      class: width <= 128 ? "pixels" : "",
      controls: true, loop: true, playsinline: true, autoplay: !still(), preload: "auto",
      "aria-label": `Video: ${video.prompt}`,
    });
    player.muted = true; // else browsers may not let it play by itself
    return player;
  }
  return make_("div", { class: "empty", "aria-hidden": "true" }, SIGNS[video.status]);
}

// What made the video: asked for when it is opened.
function origin(video) {
  const list = make_("ol", { class: "origin" });
  const path = `/v1/models/${encodeURIComponent(video.model)}/lineage`;
  const fill = async (event) => {
    if (!event.target.open || list.childElementCount) return;
    let lineage;
    try {
      lineage = await ask("GET", path);
    } catch (error) {
      list.replaceChildren(make_("li", {}, error.message));
      return;
    }
    const same = !video.model_version || video.model_version === lineage.version;
    const lines = lineage.data.map((node) => {
      const known = ["model_id", "run_id", "snapshot_id", "plan", "parameters", "licence"];
      const named = known.filter((name) => node[name] !== null && node[name] !== undefined);
      const words = named.map((name) => [make_("dt", {}, name.replace("_", " ")), make_("dd", {}, typeof node[name] === "object" ? JSON.stringify(node[name]) : String(node[name]))]);
      return make_("li", {}, make_("b", {}, node.kind), node.made_by ? `, made by ${node.made_by}` : "", make_("dl", { class: "facts" }, ...words.flat()));
    });
    if (!same)
      lines.unshift(make_("li", { class: "problem" }, `This video was made by ${video.model_version}; the model of this name is another by now:`));
    if (!lineage.data.length) lines.push(make_("li", {}, "The storage of this server knows nothing of the model's making."));
    list.replaceChildren(...lines);
  };
  return make_("details", { ontoggle: fill }, make_("summary", {}, "What made it"), list, make_("a", { href: path }, "as JSON"));
}

// Draws a video into its card. While the state is the same, only words and bar change: a player must not start again.
function draw(card, title, video, actions, trouble) {
  const look = [video.id, video.status, actions.compare ? "alone" : ""].join();
  if (card.dataset.look !== look) {
    card.dataset.look = look;
    card.dataset.id = video.id;
    card.dataset.status = video.status;
    const buttons = make_("div", { class: "buttons" });
    const button = (label, action) => make_("button", { class: "small", type: "button", onclick: action }, label);
    if (!finished(video)) buttons.append(button("Cancel", actions.cancel));
    if (video.status === "completed")
      buttons.append(make_("a", { class: "small", href: content(video.id), download: `${video.id}.mp4` }, "Download"));
    if (actions.compare) buttons.append(button("Compare with the teacher", actions.compare));
    buttons.append(button("Use again", actions.reuse));
    if (finished(video)) buttons.append(careful("Delete", "Really delete?", actions.remove));
    card.replaceChildren(
      make_("h2", {}, title, make_("small", {}, video.model)),
      make_("p", { class: `doing ${video.status}` }),
      make_("progress", { "aria-label": `Progress of ${title}`, hidden: finished(video) }),
      make_("div", { class: "frame" }, picture(video)),
      make_("p", { class: "prompt" }, video.prompt),
      facts(video),
      buttons,
      origin(video),
    );
  }
  const bar = card.querySelector("progress");
  bar.max = video.steps;
  bar.value = video.step;
  card.querySelector(".doing").textContent = trouble || state(video);
}
