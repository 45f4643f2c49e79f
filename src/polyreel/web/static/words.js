// What the interface says, from one small JSON file a language; elements name their words by data-word and data-title.
export const INTERFACES = { en: "English", de: "Deutsch", es: "Español", fr: "Français", zh: "中文", ar: "العربية" };
const MIRRORED = ["ar"];
let words = {};

export function chooseWords() {
  const kept = localStorage.getItem("interface");
  const wanted = [kept, ...navigator.languages.map((one) => one.split("-")[0])];
  return wanted.find((code) => code in INTERFACES) ?? "en";
}

export async function useWords(code) {
  words = await (await fetch(`/static/words/${code}.json`)).json();
  document.documentElement.lang = code;
  document.documentElement.dir = MIRRORED.includes(code) ? "rtl" : "ltr";
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of document.querySelectorAll("[data-title]")) {
    element.title = say(element.dataset.title);
    element.setAttribute("aria-label", element.title);
  }
}

export function languageName(code) {
  return new Intl.DisplayNames([document.documentElement.lang], { type: "language" }).of(code) ?? code;
}

export function say(key, values = {}) {
  return Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), words[key] ?? key);
}
