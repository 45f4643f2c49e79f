// The player: opens a moment at its best clip, marks it on the time line, and steps through the other moments.
import { fetchJson } from "/static/ask.js";
import { drawCurve } from "/static/curve.js";
import { say } from "/static/words.js";

const at = (id) => document.getElementById(id);

export class Player {
  constructor(showLike, moments, question) {
    this.moments = moments;
    this.question = question;
    this.place = 0;
    this.curve = null; // how well the video answers over its time
    this.inside = null; // a moment that was looked for inside the video
    this.asked = 0;
    this.offset = 0; // a preview starts at the clip, not at the file
    at("film").addEventListener("timeupdate", () => this.mark());
    at("film").addEventListener("loadedmetadata", () => this.begin());
    at("film").addEventListener("error", () => this.fallBack());
    at("close").addEventListener("click", () => this.close());
    at("again").addEventListener("click", () => this.seek(this.marked.start_seconds));
    at("previous").addEventListener("click", () => this.step(-1));
    at("next").addEventListener("click", () => this.step(1));
    at("like").addEventListener("click", () => showLike(this.moment.peak.id));
    at("line").addEventListener("click", (event) => this.seek(this.secondsAt(event)));
    at("curve").addEventListener("click", (event) => this.seek(this.secondsAt(event)));
    at("inside").addEventListener("submit", (event) => { event.preventDefault(); this.lookInside(); });
    at("player").addEventListener("close", () => this.stop());
    at("player").addEventListener("keydown", (event) => this.onKey(event));
  }

  get moment() { return this.moments()[this.place]; }

  get marked() { return this.inside ?? this.moment; }

  // A moment plays from its best clip; one that was found by what is said, from that line.
  startOf(moment) { return moment.matched.includes("seen") ? moment.peak.start_seconds : moment.lines[0].start_seconds; }

  open(place) {
    this.place = place;
    this.offset = 0;
    this.inside = null;
    at("words").value = this.question().q ?? "";
    at("words").placeholder = say("inside");
    at("words").setAttribute("aria-label", say("inside"));
    this.showCurve(null);
    this.askCurve();
    at("title").textContent = this.moment.video;
    this.showSpan();
    at("note").textContent = "";
    at("previous").disabled = place === 0;
    at("next").disabled = place === this.moments().length - 1;
    at("film").src = this.moment.peak.media;
    if (!at("player").open) at("player").showModal();
    at("film").focus();
  }

  showSpan() {
    const { start_seconds: start, end_seconds: end, peak } = this.marked;
    at("when").textContent = this.spanOf(this.marked);
    at("save").href = `${peak.media.replace("/media/", "/cut/")}&${new URLSearchParams({ start, end })}`;
  }

  async askCurve() {
    const turn = ++this.asked;
    const { q, like, library } = this.question();
    const words = at("words").value.trim();
    const asked = words || q ? { q: words || q } : { like };
    if (!asked.q && !asked.like) return; // asked with a picture alone
    const address = `/curve/${this.moment.peak.id}?${new URLSearchParams({ ...asked, ...(library && { library }) })}`;
    const found = await fetchJson(address).catch(() => null); // without it the video plays all the same
    if (turn === this.asked) this.showCurve(found);
    return turn === this.asked ? found : null;
  }

  async lookInside() {
    const found = await this.askCurve();
    if (!found) return;
    this.inside = found.moments[0] ?? null;
    at("note").textContent = this.inside ? "" : say("nothing_inside");
    this.showSpan();
    this.mark();
    if (this.inside) this.seek(this.inside.peak.start_seconds);
  }

  showCurve(found) {
    this.curve = found;
    drawCurve(at("curve"), found, this.shown());
  }

  close() { at("player").close(); }

  stop() {
    at("film").removeAttribute("src");
    at("film").load();
    document.querySelectorAll(".card")[this.place]?.focus();
  }

  begin() {
    this.seek(this.offset || this.startOf(this.moment));
    this.showCurve(this.curve);
    at("film").play().catch(() => {}); // browsers may want a click first
    this.mark();
  }

  fallBack() {
    if (!at("film").getAttribute("src") || this.offset || !this.moment) return;
    this.offset = this.moment.peak.start_seconds || Number.MIN_VALUE;
    at("note").textContent = say("preview");
    at("film").src = this.moment.peak.preview;
  }

  seek(seconds) { at("film").currentTime = Math.max(0, seconds - this.offset); }

  step(by) {
    const place = this.place + by;
    if (place >= 0 && place < this.moments().length) this.open(place);
  }

  mark() {
    const { start, end } = this.shown();
    const share = (seconds) => `${(100 * (seconds - start)) / Math.max(end - start, 1e-9)}%`;
    const place = (element, from, to) => Object.assign(element.style, { left: share(from), width: `calc(${share(to)} - ${share(from)})` });
    place(at("span"), this.marked.start_seconds, this.marked.end_seconds);
    place(at("peak"), this.marked.peak.start_seconds, this.marked.peak.end_seconds);
    const now = at("film").currentTime + this.offset;
    at("now").style.left = share(now);
    at("line").setAttribute("aria-valuenow", now.toFixed(1));
    at("line").setAttribute("aria-valuetext", clock(now));
  }

  shown() {
    const duration = at("film").duration || (this.curve?.points.at(-1).end_seconds ?? this.moment.end_seconds);
    return { start: this.offset, end: this.offset + duration };
  }

  secondsAt(event) {
    const box = at("line").getBoundingClientRect();
    const { start, end } = this.shown();
    return start + ((event.clientX - box.left) / box.width) * (end - start);
  }

  onKey(event) {
    const film = at("film");
    const inLine = event.target === at("line");
    const keys = {
      n: () => this.step(1), p: () => this.step(-1), l: () => at("like").click(), r: () => at("again").click(),
      s: () => at("save").click(), "/": () => { at("words").focus(); at("words").select(); },
      ...(event.target === film || inLine ? {} : { " ": () => (film.paused ? film.play() : film.pause()) }),
      ...(inLine ? { ArrowRight: () => this.seek(film.currentTime + this.offset + 1), ArrowLeft: () => this.seek(film.currentTime + this.offset - 1) } : {}),
    };
    if (event.target === at("words")) return;
    if (event.target.matches("button") && event.key === " ") return;
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  }

  spanOf(moment) { return `${clock(moment.start_seconds)} – ${clock(moment.end_seconds)}`; }
}

function clock(seconds) {
  const whole = Math.floor(seconds + 0.01); // times are sums of steps, and may fall short by a hair
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
