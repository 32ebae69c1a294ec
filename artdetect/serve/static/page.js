// Sends each picture by itself, a few at a time, and shows its answer; draws the evidence; sends feedback.
"use strict";

const PARALLEL = 3;
const TRIES = 8;
const COLOURS = { ai: [230, 97, 1], human: [94, 60, 153] };  // FOR_AI and FOR_HUMAN of artdetect/pictures/palette.py

const form = document.getElementById("pictures");
const input = document.getElementById("files");
const results = document.getElementById("results");
const status = document.getElementById("status");
const maxBytes = Number(form.dataset.maxBytes);
const waiting = [];
let running = 0, done = 0, all = 0;

document.querySelectorAll(".no-script").forEach(part => { part.hidden = true; });
reveal(document);
input.addEventListener("change", chosen);
if (input.files.length) chosen();  // before this script ran
form.addEventListener("submit", event => { event.preventDefault(); take(input.files); });
document.addEventListener("dragover", event => { event.preventDefault(); document.body.classList.add("over"); });
document.addEventListener("dragleave", event => { if (!event.relatedTarget) document.body.classList.remove("over"); });
document.addEventListener("drop", event => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", event => {
  if (event.clipboardData.files.length) take(event.clipboardData.files);
});

function reveal(part) {
  part.querySelectorAll(".script-only").forEach(one => { one.hidden = false; });
}

function chosen() {
  take([...input.files]);
  input.value = "";
}

function take(files) {
  for (const file of files) {
    const place = document.createElement("article");
    place.className = "result";
    place.setAttribute("aria-busy", "true");
    place.append(words(file.name, "Waiting…"));
    results.append(place);
    waiting.push({ file, place });
    all += 1;
  }
  next();
}

function words(name, text) {
  const part = document.createElement("div");
  part.className = "words";
  const title = part.appendChild(document.createElement("h2"));
  title.textContent = name;
  part.appendChild(document.createElement("p")).textContent = text;
  return part;
}

function next() {
  status.textContent = done === all ? `${done} judged.` : `${done} of ${all} judged…`;
  while (running < PARALLEL && waiting.length) {
    running += 1;
    const { file, place } = waiting.shift();
    judge(file, place).finally(() => { running -= 1; done += 1; next(); });
  }
}

async function judge(file, place) {
  try {
    if (file.size > maxBytes) throw new Error(`The file is too large (the limit is ${maxBytes / 1e6} MB).`);
    const answer = await send("/results", file);
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("article");
    const shown = document.importNode(parsed, true);
    place.replaceWith(shown);
    reveal(shown);
    connect(shown, file);
  } catch (error) {
    place.removeAttribute("aria-busy");
    const part = words(file.name, error.message);
    part.querySelector("p").className = "callout";
    place.replaceChildren(part);
  }
}

// Posts a picture, with further fields; tries again while the service is busy. Throws an Error with its reason.
async function send(address, file, fields = {}) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  body.append("picture", file, file.name);
  for (let attempt = 1; ; attempt += 1) {
    let answer;
    try {
      answer = await fetch(address, { method: "POST", body });
    } catch {
      throw new Error("The service does not answer. Is it still running?");
    }
    if (answer.ok) return answer;
    if (answer.status === 503 && attempt < TRIES) {
      await new Promise(resolve => { setTimeout(resolve, 1000 * Number(answer.headers.get("Retry-After") || 2)); });
      continue;
    }
    const problem = await answer.json().catch(() => ({ detail: `status ${answer.status}` }));
    throw new Error(sentence(problem.detail));
  }
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function connect(part, file) {
  const json = part.querySelector(".json");
  if (json) json.addEventListener("click", event => download(event, json, () => new Blob([part.dataset.answer], { type: "application/json" })));
  const button = part.querySelector(".show-evidence");
  if (button) button.addEventListener("click", () => showEvidence(part, file, button));
  const feedback = part.querySelector(".feedback form");
  if (feedback) feedback.addEventListener("submit", event => sendFeedback(event, feedback, file));
}

// Lets a link save what `make` gives. The link's second click, ours, has the content.
async function download(event, link, make) {
  if (link.dataset.ready) {
    delete link.dataset.ready;
    return;
  }
  event.preventDefault();
  try {
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(await make());
    link.dataset.ready = "1";
    link.click();
  } catch (error) {
    link.replaceWith(error.message);
  }
}

async function showEvidence(part, file, button) {
  button.disabled = true;
  button.textContent = "Looking…";
  try {
    const found = await (await send("/api/v1/explain", file)).json();
    await draw(part, found, file);
    button.parentElement.hidden = true;
    part.querySelector(".controls").hidden = false;
  } catch (error) {
    button.parentElement.textContent = error.message;
  }
}

async function draw(part, found, file) {
  const picture = new Image();
  picture.src = found.image;
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${part.dataset.name} with its evidence: ${found.caption}`);
  part.querySelector(".caption").textContent = found.caption;
  const [opacity, threshold] = [part.querySelector(".opacity"), part.querySelector(".threshold")];
  const paint = () => overlay(canvas, picture, found, opacity.value / 100, threshold.value / 100);
  opacity.addEventListener("input", paint);
  threshold.addEventListener("input", paint);
  paint();
  part.querySelector(".view").replaceChildren(canvas);
  const link = part.querySelector(".figure");
  const figure = async () => (await send("/api/v1/explain?format=png", file)).blob();  // with name, verdict and sentence
  link.addEventListener("click", event => download(event, link, figure));
}

function overlay(canvas, picture, found, opacity, threshold) {
  const level = found.level;
  const [height, width] = [level.length, level[0].length];
  const grid = new ImageData(width, height);
  level.flat().forEach((value, place) => {
    const strength = Math.abs(value);
    const colour = value > 0 ? COLOURS.ai : COLOURS.human;
    grid.data.set([...colour, strength < threshold ? 0 : Math.round(255 * opacity * strength)], 4 * place);
  });
  const small = document.createElement("canvas");
  small.width = width;
  small.height = height;
  small.getContext("2d").putImageData(grid, 0, 0);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  outline(context, found.picture);
}

// Draws a frame around what stands out of a picture of mixed origin.
function outline(context, picture) {
  const box = { AI: picture.ai_region, human: picture.human_region }[picture.stands_out];
  if (!box) return;
  const { width, height } = context.canvas;
  const corners = [box[0] * width, box[1] * height, (box[2] - box[0]) * width, (box[3] - box[1]) * height];
  for (const [colour, thickness] of [["white", 6], ["black", 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = thickness;
    context.strokeRect(...corners);
  }
}

async function sendFeedback(event, feedback, file) {
  event.preventDefault();
  const said = feedback.querySelector("[role=status]");
  const button = feedback.querySelector("button");
  button.disabled = true;
  try {
    const fields = { label: new FormData(feedback).get("label"), note: feedback.elements.note.value };
    await send("/api/v1/feedback", file, fields);
    said.textContent = "Kept. Thank you.";
  } catch (error) {
    said.textContent = error.message;
    button.disabled = false;
  }
}
