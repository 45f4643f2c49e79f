// Asking with a picture or a video: chosen, dropped on the page or pasted; shown in the search box until it is taken out.
import { say } from "/static/words.js";

const MOST_BYTES = 64 * 1024 * 1024; // as the server has it
const SKETCH_HEIGHT = 64;
const at = (id) => document.getElementById(id);

export class AskedPicture {
  // changed() is called when there is another picture, or none any more; refused(words) when one cannot be taken.
  constructor(changed, refused) {
    this.changed = changed;
    this.refused = refused;
    this.file = null;
    at("choose").addEventListener("click", () => at("file").click());
    at("file").addEventListener("change", () => { this.take(at("file").files[0]); at("file").value = ""; });
    at("drop").addEventListener("click", () => { this.clear(); at("query").focus(); this.changed(); });
    at("query").addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && this.file && !at("query").value) at("drop").click();
    });
    addEventListener("paste", (event) => { if (event.clipboardData.files.length) { event.preventDefault(); this.take(event.clipboardData.files[0]); } });
    addEventListener("dragover", (event) => this.hover(event, true));
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) this.hover(event, false); });
    addEventListener("drop", (event) => { this.hover(event, false); if (event.dataTransfer.files.length) this.take(event.dataTransfer.files[0]); });
  }

  take(file) {
    if (!file) return;
    if (file.size > MOST_BYTES) return this.refused(say("too_large"));
    this.file = file;
    at("picture").hidden = false;
    at("picture").title = file.name;
    this.draw(file);
    at("query").focus();
    this.changed();
  }

  clear() {
    this.file = null;
    at("picture").hidden = true;
  }

  // A small picture of it; what the browser cannot draw, such as a video, is a sign.
  async draw(file) {
    const sketch = at("sketch");
    const pen = sketch.getContext("2d");
    const bitmap = await createImageBitmap(file, { resizeHeight: SKETCH_HEIGHT, resizeQuality: "high" }).catch(() => null);
    if (file !== this.file) return; // another one was taken meanwhile
    [sketch.width, sketch.height] = [bitmap?.width ?? SKETCH_HEIGHT, SKETCH_HEIGHT];
    if (bitmap) return pen.drawImage(bitmap, 0, 0);
    pen.fillStyle = getComputedStyle(sketch).color;
    pen.fill(new Path2D("M22 16 L48 32 L22 48 Z"));
  }

  hover(event, isOver) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("receiving", isOver);
  }
}
