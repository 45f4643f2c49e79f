// The page: asks /moments, shows what comes back, plays it. No build step, no library, nothing from other hosts.
import { fetchJson, NeedsToken } from "/static/ask.js";
import { chooseWords, INTERFACES, say, useWords } from "/static/words.js";
import { countFilters, fillFilters, filterQuestion, listenFilters, readFilters, showFilters, toggleFilters } from "/static/filters.js";
import { AskedPicture } from "/static/picture.js";
import { Player } from "/static/player.js";

const PAGE = 24;
const at = (id) => document.getElementById(id);
const state = { query: "", like: null, moments: [], library: null, libraries: [], asked: 0 };
const player = new Player((clip) => goTo({ like: clip }), () => state.moments, question);

const picture = new AskedPicture(() => goTo({ q: at("query").value.trim() }), (words) => tell(words, true));

async function start() {
  setTheme(localStorage.getItem("theme"));
  fillInterfaces();
  listen(); // whoever types at once is heard, though the words of the interface are still on their way
  await useWords(chooseWords());
  retranslate();
  await fillLibraries();
  if (state.asked === 0) await follow();
}

function retranslate() {
  at("query").placeholder = say("placeholder");
  at("query").setAttribute("aria-label", say("placeholder"));
  at("go").textContent = say("search");
  countFilters();
  fillFilters(askedLibrary());
  at("examples").replaceChildren(...say("examples").split("|").map(example));
}

function example(words) {
  const item = document.createElement("li");
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: words, dir: "auto" });
  button.addEventListener("click", () => goTo({ q: words }));
  item.append(button);
  return item;
}

// What is shown follows the address, so that back, forward and a copied link work.
function goTo({ q = "", like = "" }) {
  const wanted = new URLSearchParams({ ...(q && { q }), ...(like && { like }), ...(state.library && { library: state.library }), ...readFilters() });
  if (like) picture.clear();
  if (`#${wanted}` === (location.hash || "#")) follow();
  else location.hash = wanted;
}

async function follow() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  player.close();
  state.query = wanted.get("q") ?? "";
  state.like = wanted.get("like");
  state.library = wanted.get("library") ?? state.library;
  at("library").value = state.library ?? state.libraries[0]?.name ?? "";
  fillFilters(askedLibrary());
  showFilters(wanted);
  if (state.like) picture.clear(); // a link, or a step back, to what looks like a clip
  const isBeingTyped = !state.query && document.activeElement === at("query");
  if (!isBeingTyped) at("query").value = state.query;
  await ask(0);
}

async function ask(first) {
  const turn = ++state.asked;
  const isAsked = Boolean(state.query.trim() || state.like || picture.file);
  at("welcome").hidden = isAsked;
  if (first === 0) show([], 0);
  if (!isAsked) return tell("");
  tell(say("searching"));
  const began = performance.now();
  try {
    const found = await fetchJson(address(first), picture.file);
    if (turn !== state.asked) return; // a later question was asked meanwhile
    showLanguage(found.query);
    show(found.moments, first);
    at("more").hidden = Boolean(state.like) || found.moments.length < PAGE;
    const milliseconds = Math.round(performance.now() - began);
    const isPoor = state.moments[0]?.peak.band === "weak" && !state.moments[0].matched.includes("said");
    const counted = say("found", { n: state.moments.length, ms: milliseconds });
    tell(!state.moments.length ? say("nothing") : isPoor ? say("only_weak") : counted);
    if (first === 0) document.querySelector(".card")?.focus({ preventScroll: true });
  } catch (error) {
    if (turn !== state.asked) return;
    if (error instanceof NeedsToken) return openDoor();
    tell(error.message || say("unreachable"), true);
  }
}

// What was asked, as the server's other addresses take it too.
function question() {
  return { ...(state.like ? { like: state.like } : state.query && { q: state.query }), ...(state.library && { library: state.library }) };
}

function address(first) {
  const { like, ...others } = { ...question(), ...filterQuestion(), k: PAGE };
  if (!like && !picture.file) return `/moments?${new URLSearchParams({ ...others, first })}`;
  delete others.by;
  if (picture.file) return `/like?${new URLSearchParams({ ...others, first })}`;
  return `/like/${encodeURIComponent(like)}?${new URLSearchParams(others)}`;
}

function show(moments, first) {
  state.moments = first === 0 ? moments : [...state.moments, ...moments];
  const cards = moments.map((moment, place) => card(moment, first + place));
  if (first === 0) at("moments").replaceChildren(...cards);
  else at("moments").append(...cards);
  at("more").hidden = true;
}

function card(moment, place) {
  const item = at("card").content.firstElementChild.cloneNode(true);
  const button = item.querySelector(".card");
  const frame = item.querySelector(".frame");
  item.querySelector("img").src = moment.peak.thumb;
  item.querySelector(".name").textContent = moment.video;
  const said = item.querySelector(".said");
  said.textContent = moment.lines.map((line) => line.text).join(" ");
  said.hidden = !moment.lines.length;
  item.querySelector(".score").hidden = !moment.matched.includes("seen");
  item.querySelector(".span").textContent = player.spanOf(moment);
  showStrength(item, moment);
  const band = moment.peak.band ? `, ${bandWord(moment.peak.band)}` : "";
  button.setAttribute("aria-label", `${moment.video}, ${player.spanOf(moment)}${band}`);
  button.addEventListener("click", () => player.open(place));
  button.addEventListener("mouseenter", () => playInside(frame, moment));
  button.addEventListener("mouseleave", () => frame.querySelector("video")?.remove());
  return item;
}

// How strong a match is, seen against everyday queries; what merely looks like a clip has a similarity alone.
function showStrength(item, { score, peak, matched }) {
  const share = peak.band ? peak.strength : Math.max(0, Math.min(1, score));
  item.querySelector(".card").dataset.band = matched.includes("said") ? "" : (peak.band ?? "");
  item.querySelector(".score").title = score.toFixed(3);
  item.querySelector(".score span").textContent = peak.band ? bandWord(peak.band) : score.toFixed(2);
  item.querySelector(".score i").style.setProperty("--share", `${share * 100}%`);
}

function bandWord(band) {
  return { strong: say("strong"), fair: say("fair"), weak: say("weak") }[band];
}

function playInside(frame, moment) {
  const film = Object.assign(document.createElement("video"), { muted: true, loop: true, playsInline: true });
  film.src = `${moment.peak.media}#t=${player.startOf(moment)},${Math.max(moment.peak.end_seconds, player.startOf(moment) + 2)}`;
  film.addEventListener("error", () => { if (!film.src.endsWith(moment.peak.preview)) film.src = moment.peak.preview; });
  frame.append(film);
  film.play().catch(() => {}); // the pointer left before it could start
}

function showLanguage(query) {
  at("language").textContent = query?.lang_name ?? "";
}

function tell(words, isWrong = false) {
  at("status").textContent = words;
  at("status").classList.toggle("wrong", isWrong);
}

function askedLibrary() {
  return state.libraries.find((one) => one.name === state.library) ?? state.libraries[0];
}

async function fillLibraries() {
  try {
    const libraries = await fetchJson("/libraries");
    state.libraries = libraries;
    at("library").replaceChildren(...libraries.map((one) => new Option(one.name, one.name)));
    at("library").parentElement.hidden = libraries.length < 2;
    fillFilters(askedLibrary()); // whoever typed at once has been answered before
  } catch (error) {
    if (error instanceof NeedsToken) openDoor();
    else tell(error.message || say("unreachable"), true);
  }
}

function fillInterfaces() {
  at("interface").replaceChildren(...Object.entries(INTERFACES).map(([code, name]) => new Option(name, code)));
  at("interface").value = chooseWords();
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}

function openDoor() {
  if (!at("door").open) at("door").showModal();
}

async function logIn(event) {
  event.preventDefault();
  try {
    await fetchJson("/login", { token: at("token").value });
    at("token").value = "";
    at("door").close();
    await fillLibraries();
    await follow();
  } catch (error) {
    at("refused").textContent = error instanceof NeedsToken ? say("refused") : error.message;
  }
}

function listen() {
  at("ask").addEventListener("submit", (event) => { event.preventDefault(); goTo({ q: at("query").value.trim() }); });
  at("more").addEventListener("click", () => ask(state.moments.length));
  at("login").addEventListener("submit", logIn);
  at("library").addEventListener("change", () => { state.library = at("library").value; goTo({ q: state.query }); });
  at("interface").addEventListener("change", async () => {
    localStorage.setItem("interface", at("interface").value);
    await useWords(at("interface").value);
    retranslate();
  });
  listenFilters(() => (state.like ? goTo({ like: state.like }) : goTo({ q: at("query").value.trim() })));
  at("theme").addEventListener("click", () => {
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.theme ?? (isDark ? "dark" : "light");
    localStorage.setItem("theme", now === "dark" ? "light" : "dark");
    setTheme(localStorage.getItem("theme"));
  });
  addEventListener("hashchange", follow);
  addEventListener("keydown", onKey);
}

function onKey(event) {
  const isTyping = event.target.matches("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || at("player").open || at("door").open) return;
  if (event.key === "/" && !isTyping) {
    event.preventDefault();
    at("query").select();
    return;
  }
  if (event.key.toLowerCase() === "f" && !isTyping) {
    event.preventDefault();
    return toggleFilters();
  }
  const cards = [...document.querySelectorAll(".card")];
  const place = cards.indexOf(document.activeElement);
  if (isTyping && event.key === "ArrowDown" && event.target === at("query") && cards.length) return focusCard(event, cards[0]);
  if (place < 0) return;
  if (event.key.toLowerCase() === "l") return goTo({ like: state.moments[place].peak.id });
  const isMirrored = document.documentElement.dir === "rtl";
  const columns = getComputedStyle(at("moments")).gridTemplateColumns.split(" ").length;
  const steps = { ArrowRight: isMirrored ? -1 : 1, ArrowLeft: isMirrored ? 1 : -1, ArrowDown: columns, ArrowUp: -columns };
  if (event.key === "ArrowUp" && place < columns) return focusCard(event, at("query"));
  if (event.key in steps) focusCard(event, cards[Math.min(cards.length - 1, Math.max(0, place + steps[event.key]))]);
}

function focusCard(event, element) {
  event.preventDefault();
  element.focus();
  element.scrollIntoView({ block: "nearest" });
}

start();
