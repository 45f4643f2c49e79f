"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const ABSENT = -32768, SIMS_SCALE = 10000, PAGE = 10, SHOWN = 5, KEPT = 10, Z95 = 1.959964;

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const buffer = await new Response(stream).arrayBuffer();
    const length = new DataView(buffer).getUint32(0, true);
    const { values, arrays: listing } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
    const kinds = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, int16: Int16Array, float32: Float32Array };
    const arrays = {};
    let place = 8 + length;
    for (const [name, kind, size] of listing) {
      arrays[name] = new kinds[kind](buffer, place, size);
      place += Math.ceil(arrays[name].byteLength / 8) * 8;
    }
    return { values, arrays };
  }

  const { values, arrays } = await unpack(byId("browser-data").textContent);
  const pictures = JSON.parse(byId("browser-pictures").textContent);
  const { names, reads, langs, clipIds, captionIds, texts, facets } = values;
  const { offsets, answers } = arrays;
  const numQueries = captionIds.length;
  const ranks = names.map((_, system) => arrays[`rank${system}`]);
  const recalls = names.map((_, system) => arrays[`recall${system}`]);
  const sims = names.map((_, system) => arrays[`sims${system}`]);
  const form = byId("browser-form");
  const field = (name) => form.elements.namedItem(name);
  let page = 0, matching = [];

  const queryOf = new Map(); // "caption id, language" -> query, for the sentence a teacher read
  const labelOf = new Array(clipIds.length); // a clip is called by its first caption
  for (let query = 0; query < numQueries; query++) {
    queryOf.set(`${captionIds[query]}\n${langs[arrays.lang[query]].code}`, query);
    labelOf[arrays.clip[query]] ??= query;
  }

  let lowered = null;
  function saysSo(query, words) {
    if (words.startsWith("clip:")) return clipIds[arrays.clip[query]].toLowerCase() === words.slice(5);
    lowered ??= captionIds.map((id, i) => `${texts ? texts[i] : ""}\n${id}`.toLowerCase());
    return lowered[query].includes(words);
  }

  function ranked(query, system) {
    const found = [];
    for (let i = offsets[query]; i < offsets[query + 1]; i++) found.push(i);
    return found.sort((a, b) => sims[system][b] - sims[system][a] || answers[a] - answers[b]);
  }

  const overlaps = new Map();
  function overlap(one, other) {
    const key = `${one},${other}`;
    if (!overlaps.has(key)) {
      const shared = new Uint8Array(numQueries);
      for (let query = 0; query < numQueries; query++) {
        const first = new Set(ranked(query, one).slice(0, KEPT));
        shared[query] = ranked(query, other).slice(0, KEPT).filter((i) => first.has(i)).length;
      }
      overlaps.set(key, shared);
    }
    return overlaps.get(key);
  }

  function chosen() {
    const one = Number(field("one").value), other = field("other") ? Number(field("other").value) : -1;
    return { one, other: other === one ? -1 : other };
  }

  const found = (system, query) => ranks[system][query] <= values.k;
  const OUTCOMES = {
    any: () => true,
    found: (query, one) => found(one, query),
    missed: (query, one) => !found(one, query),
    lost: (query, one, other) => other >= 0 && !found(one, query) && found(other, query),
    won: (query, one, other) => other >= 0 && found(one, query) && !found(other, query),
    neither: (query, one, other) => !found(one, query) && (other < 0 || !found(other, query)),
  };

  function behind(one, other) {
    const key = new Float32Array(numQueries);
    for (let query = 0; query < numQueries; query++) {
      const gap = Math.log2(ranks[one][query]) - (other < 0 ? 0 : Math.log2(ranks[other][query]));
      key[query] = Number.isFinite(gap) ? gap : 0;
    }
    return key;
  }

  function inOrder(list, one, other) {
    const order = field("order").value;
    if (order === "dataset") return list;
    if (order === "apart" && other >= 0) {
      const shared = overlap(one, other);
      return list.sort((a, b) => shared[a] - shared[b] || a - b);
    }
    const key = behind(one, order === "hardest" || order === "apart" ? -1 : other);
    return order === "ahead" ? list.sort((a, b) => key[a] - key[b] || a - b) : list.sort((a, b) => key[b] - key[a] || a - b);
  }

  function match() {
    const { one, other } = chosen();
    const words = field("words").value.trim().toLowerCase();
    const outcome = OUTCOMES[field("outcome").value];
    const wanted = facets.map((_, i) => field(`facet${i}`).value).map((value) => (value === "" ? -1 : Number(value)));
    const list = [];
    for (let query = 0; query < numQueries; query++) {
      let fits = outcome(query, one, other);
      for (let i = 0; fits && i < wanted.length; i++) fits = wanted[i] < 0 || arrays[`facet${i}`][query] === wanted[i];
      if (fits && (words === "" || saysSo(query, words))) list.push(query);
    }
    return inOrder(list, one, other);
  }

  // How sure a difference is: its standard error as a ratio of sums over source videos, which stand or fall whole.
  function slice(list, one, other) {
    const sums = new Map();
    let count = 0, mine = 0, theirs = 0;
    for (const query of list) {
      const a = recalls[one][query], b = other < 0 ? 0 : recalls[other][query];
      if (Number.isNaN(a) || Number.isNaN(b)) continue;
      count++; mine += a; theirs += b;
      const source = sums.get(arrays.source[query]) ?? [0, 0];
      source[0] += a - b; source[1] += 1;
      sums.set(arrays.source[query], source);
    }
    const mean = (mine - theirs) / count;
    let square = 0;
    for (const [difference, size] of sums.values()) square += (difference - mean * size) ** 2;
    const half = sums.size > 1 ? Z95 * Math.sqrt((square * sums.size) / (sums.size - 1)) / count : NaN;
    return { count, mine: mine / count, theirs: theirs / count, mean, low: mean - half, high: mean + half };
  }

  function make(name, attributes = {}, ...content) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, value);
    element.append(...content);
    return element;
  }

  const signed = (number) => (number < 0 ? "−" : "+") + Math.abs(number).toFixed(1);
  const color = (system) => `s${values.colors[system] % 8}`;
  const rankWords = (rank) => (Number.isNaN(rank) ? "–" : Number.isInteger(rank) ? String(rank) : rank.toFixed(1));

  function drawSlices(one, other) {
    const by = Number(field("by").value);
    const groups = facets[by].values.map(() => []);
    for (const query of matching) groups[arrays[`facet${by}`][query]].push(query);
    const head = [facets[by].name, "queries", names[one], ...(other < 0 ? [] : [names[other], `${names[one]} less ${names[other]}`])];
    const rows = groups.map((list, value) => [list, value]).filter(([list]) => list.length).map(([list, value]) => {
      const of = slice(list, one, other);
      const button = make("button", { type: "button", class: "link" }, facets[by].values[value]);
      button.addEventListener("click", () => { field(`facet${by}`).value = String(value); refresh(); });
      const cells = [of.count.toLocaleString("en"), of.mine.toFixed(1)];
      if (other >= 0) {
        const sure = Number.isNaN(of.low) ? "" : ` [${signed(of.low)}, ${signed(of.high)}]${of.low > 0 || of.high < 0 ? " *" : ""}`;
        cells.push(of.theirs.toFixed(1), signed(of.mean) + sure);
      }
      return make("tr", {}, make("th", { scope: "row" }, button), ...cells.map((cell) => make("td", {}, cell)));
    });
    byId("browser-slices").replaceChildren(
      make("thead", {}, make("tr", {}, ...head.map((cell) => make("th", { scope: "col" }, cell)))), make("tbody", {}, ...rows));
  }

  function words(query, name = "q") {
    const { code, dir } = langs[arrays.lang[query]];
    return texts ? make(name, { lang: code, dir }, texts[query]) : make(name, {}, `words withheld: ${captionIds[query]}`);
  }

  function scoreBar(system, i, highest) {
    const sim = sims[system][i];
    if (sim === ABSENT) return make("span", { class: `score ${color(system)}` }, "–");
    const bar = make("i", { style: `width:${Math.max(0, Math.min(100, (100 * sim) / highest)).toFixed(0)}%` });
    return make("span", { class: `score ${color(system)}` }, make("b", {}, bar), (sim / SIMS_SCALE).toFixed(3));
  }

  function answer(query, i, rank, systems, highest) {
    const clip = answers[i], isRight = clip === arrays.clip[query];
    const alt = `clip ${clipIds[clip]}, rank ${rank}${isRight ? ", the right one" : ""}`;
    const picture = pictures[clip]
      ? make("img", { src: `data:image/jpeg;base64,${pictures[clip]}`, alt, loading: "lazy" })
      : make("span", { class: "no-picture", role: "img", "aria-label": alt }, clipIds[clip]);
    const button = make("button", { type: "button", class: "picture", title: `all queries of clip ${clipIds[clip]}` },
      picture, make("span", { class: "rank", "aria-hidden": "true" }, isRight ? `${rank} ✓` : String(rank)));
    button.addEventListener("click", () => { field("words").value = `clip:${clipIds[clip]}`; refresh(); });
    const label = texts && labelOf[clip] !== undefined ? words(labelOf[clip], "span") : make("span", {}, clipIds[clip]);
    label.classList.add("label");
    const bars = systems.map((system) => scoreBar(system, i, highest[system]));
    return make("li", { class: (isRight ? "right" : "") + (rank > SHOWN ? " late" : "") }, button, ...bars, label);
  }

  function answersOf(query, system, systems) {
    const order = ranked(query, system);
    const highest = names.map((_, each) => Math.max(1, ...order.map((i) => sims[each][i])));
    const swatch = make("i", { class: `swatch ${color(system)}` });
    const title = make("h4", {}, swatch, names[system]);
    const sentence = reads[system] ? queryOf.get(`${captionIds[query]}\n${reads[system]}`) : undefined;
    if (sentence !== undefined && sentence !== query && texts) title.append(" was asked ", words(sentence));
    if (Number.isNaN(ranks[system][query])) return make("div", {}, title, make("p", { class: "soft" }, "was not asked"));
    const items = order.slice(0, SHOWN).map((i, place) => answer(query, i, place + 1, systems, highest));
    const right = order.findIndex((i) => answers[i] === arrays.clip[query]);
    if (right >= SHOWN) items.push(answer(query, order[right], Math.round(ranks[system][query]), systems, highest));
    return make("div", {}, title, make("ol", {}, ...items));
  }

  function card(query, systems) {
    const tags = facets.map((facet, i) => facet.values[arrays[`facet${i}`][query]]).join(" · ");
    const verdict = systems.map((system) => make("span", {},
      make("i", { class: `swatch ${color(system)}` }), `${names[system]}: rank ${rankWords(ranks[system][query])}`));
    return make("article", { tabindex: "0", "data-query": query },
      make("p", { class: "asked soft" }, `${captionIds[query]} · ${tags}`), make("p", { class: "query" }, words(query)),
      make("p", { class: "verdict" }, ...verdict), ...systems.map((system) => answersOf(query, system, systems)));
  }

  function draw() {
    const { one, other } = chosen(), systems = other < 0 ? [one] : [one, other];
    const last = Math.max(0, Math.ceil(matching.length / PAGE) - 1);
    page = Math.max(0, Math.min(page, last));
    const shown = matching.slice(page * PAGE, page * PAGE + PAGE);
    byId("browser-list").replaceChildren(...shown.map((query) => card(query, systems)));
    byId("browser-count").textContent = `${matching.length.toLocaleString("en")} of ${numQueries.toLocaleString("en")} queries`
      + (matching.length ? `, page ${page + 1} of ${last + 1}` : "");
    byId("browser-back").disabled = page === 0;
    byId("browser-on").disabled = page === last;
  }

  function refresh() {
    const started = performance.now();
    page = 0;
    matching = match();
    const { one, other } = chosen();
    drawSlices(one, other);
    draw();
    performance.measure("browser-refresh", { start: started, end: performance.now() });
  }

  function turn(by) {
    page += by;
    draw();
    byId("browser-list").querySelector("article")?.focus();
  }

  function step(by) {
    const cards = [...byId("browser-list").querySelectorAll("article")];
    const now = cards.indexOf(document.activeElement?.closest?.("article"));
    cards[Math.max(0, Math.min(cards.length - 1, now + by))]?.focus();
  }

  const KEYS = { "/": () => field("words").focus(), j: () => step(1), k: () => step(-1), n: () => turn(1), p: () => turn(-1) };
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches?.("input, select, textarea");
    if (event.key === "Escape" && isTyping) event.target.blur();
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  let waiting = 0;
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 60); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(refresh));
  byId("browser-back").addEventListener("click", () => turn(-1));
  byId("browser-on").addEventListener("click", () => turn(1));
  refresh();
  form.closest("section").dataset.state = "ready";
  performance.mark("browser-ready");
})();
