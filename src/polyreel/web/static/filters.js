// Filters: which videos may be found, and by what. They stand in the address, so that a copied link keeps them.
import { languageName, say } from "/static/words.js";

const FIELDS = ["path", "since", "until", "length", "speech", "by"];
const LENGTHS = { short: { max_seconds: 60 }, middle: { min_seconds: 60, max_seconds: 600 }, long: { min_seconds: 600 } };
const at = (id) => document.getElementById(id);
const field = (name) => at(`filter-${name}`);

export function readFilters() {
  return Object.fromEntries(FIELDS.map((name) => [name, field(name).value.trim()]).filter(([, value]) => value));
}

export function showFilters(wanted) {
  for (const name of FIELDS) {
    const value = wanted.get(name) ?? "";
    if (field(name).tagName === "SELECT" && ![...field(name).options].some((one) => one.value === value)) {
      field(name).append(new Option(value, value)); // a link may ask for what this library does not have
    }
    field(name).value = value;
  }
  countFilters();
}

// What the server is asked: lengths as seconds, everything else as it stands.
export function filterQuestion() {
  const { length, ...others } = readFilters();
  return { ...others, ...LENGTHS[length] };
}

export function fillFilters(library) {
  const chosen = field("speech").value;
  at("folders").replaceChildren(...(library?.folders ?? []).map((name) => new Option(name, name)));
  const langs = (library?.speech_langs ?? []).map((code) => new Option(languageName(code), code));
  field("speech").replaceChildren(field("speech").options[0], ...langs);
  field("speech").value = chosen;
  field("speech").parentElement.hidden = field("by").parentElement.hidden = !langs.length && !chosen;
}

export function countFilters() {
  const count = Object.keys(readFilters()).length;
  at("filter").textContent = count ? `${say("filters")} · ${count}` : say("filters");
  at("clear").hidden = !count;
}

export function toggleFilters(isShown = at("filters").hidden) {
  at("filters").hidden = !isShown;
  at("filter").setAttribute("aria-expanded", String(isShown));
  if (isShown) field("path").focus();
}

export function listenFilters(changed) {
  at("filter").addEventListener("click", () => toggleFilters());
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("filters").addEventListener("change", () => { countFilters(); changed(); });
  at("clear").addEventListener("click", () => { at("filters").reset(); countFilters(); changed(); });
  at("filters").addEventListener("keydown", (event) => {
    if (event.key === "Escape") { toggleFilters(false); at("filter").focus(); }
  });
}
