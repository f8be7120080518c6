// The timeline: what it shows of a pass, and how mouse and keyboard move it.

class Timeline {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.palette = new Palette();
    this.tooltip = document.getElementById("tooltip");
    this.picked = -1;
    this.labelWidth = 170;
    this.axisHeight = 24;
    this.queued = false;
    this.listen();
  }

  show(pass) {
    this.pass = pass;
    this.picked = -1;
    this.anchor = Math.floor(pass.batchBegins.length / 2);
    this.rows = this.makeRows();
    let y = this.axisHeight;
    for (const row of this.rows) {
      row.y = y + row.gap;
      y = row.y + row.height;
    }
    this.height = y + 8;
    this.resize();
    // Some batches from the middle on: the pipeline is in its stride there.
    const begins = pass.batchBegins;
    const until = begins[Math.min(this.anchor + 3, begins.length - 1)];
    const from = this.anchorTime();
    if (until > from) this.look(from - (until - from) * 0.03, until + (until - from) * 0.03);
    else this.look(0, pass.end);
    this.showPath();
  }

  makeRows() {
    const rows = [];
    pipeline.devices.forEach((_, device) => {
      rows.push(new DeviceRow(this.pass, device));
      if (this.predicts()) rows.push(new PredictedRow(this, device));
    });
    for (const trace of this.pass.units) rows.push(new UnitRow(this.pass, trace));
    for (const link of report.links) if (link.from >= 0) rows.push(new LinkRow(this.pass, link));
    return rows;
  }

  predicts() {
    return timelineData.predicted !== null;
  }

  /// When the batch began that the prediction is compared with.
  anchorTime() {
    return this.pass.batchBegins[this.anchor] ?? 0;
  }

  /// Compares the prediction with the first batch that begins in what is shown.
  anchorHere() {
    const at = firstAbove(this.pass.batchBegins, this.from - 1e-6);
    this.anchor = Math.max(0, Math.min(at, this.pass.batchBegins.length - 1));
    this.redraw();
  }

  resize() {
    this.fit();
    this.redraw();
  }

  /// Takes the width of its place and the height of its rows.
  fit() {
    const scale = window.devicePixelRatio || 1;
    const width = this.canvas.clientWidth || this.canvas.parentElement.clientWidth || 900;
    this.canvas.style.height = `${this.height}px`;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(this.height * scale);
    this.width = width;
    this.pixels = scale;
  }

  /// Shows from..until, held within the pass and above a microsecond.
  look(from, until) {
    const least = 1;
    const span = Math.min(Math.max(until - from, least), this.pass.end);
    const middle = (from + until) / 2;
    this.from = Math.min(Math.max(middle - span / 2, 0), this.pass.end - span);
    this.to = this.from + span;
    this.redraw();
  }

  zoom(factor, at = (this.from + this.to) / 2) {
    this.look(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }

  /// `share`: of what is shown, to the right.
  pan(share) {
    const by = (this.to - this.from) * share;
    this.look(this.from + by, this.to + by);
  }

  redraw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.draw();
    });
  }

  view() {
    const width = this.width - this.labelWidth;
    return { from: this.from, to: this.to, left: this.labelWidth, width, scale: width / (this.to - this.from) };
  }

  draw() {
    const { context, palette } = this;
    const view = this.view();
    context.setTransform(this.pixels, 0, 0, this.pixels, 0, 0);
    context.fillStyle = palette.page;
    context.fillRect(0, 0, this.width, this.height);
    this.drawAxis(view);
    context.save();
    context.beginPath();
    context.rect(view.left, 0, view.width, this.height);
    context.clip();
    for (const row of this.rows) {
      context.fillStyle = palette.idle;
      context.fillRect(view.left, row.y, view.width, row.height);
      row.draw(context, view, row.y, palette);
    }
    if (this.picked >= 0) this.drawPath(view);
    context.restore();
    this.drawLabels();
    this.sayRange();
  }

  drawAxis(view) {
    const { context, palette } = this;
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "top";
    const { list, step } = marks(this.from, this.to, view.width / 110);
    for (const time of list) {
      const x = view.left + (time - this.from) * view.scale;
      context.fillStyle = palette.line;
      context.fillRect(Math.round(x), this.axisHeight - 6, 1, this.height);
      context.fillStyle = palette.faint;
      const text = axisText(time, step);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(Math.max(x, view.left + half), this.width - half - 2), 4);
    }
    // Where in the pass this is.
    context.fillStyle = palette.line;
    context.fillRect(view.left, 0, view.width, 3);
    context.fillStyle = palette.accent;
    const width = Math.max(((this.to - this.from) / this.pass.end) * view.width, 4);
    context.fillRect(view.left + (this.from / this.pass.end) * view.width, 0, width, 3);
  }

  drawLabels() {
    const { context, palette } = this;
    context.textAlign = "left";
    for (const row of this.rows) {
      const middle = row.y + row.height / 2;
      context.fillStyle = palette.text;
      context.font = "600 12px system-ui, sans-serif";
      context.textBaseline = row.label && row.note ? "alphabetic" : "middle";
      if (row.label) context.fillText(fitted(context, row.label, this.labelWidth - 14), 6, middle - 1);
      context.fillStyle = palette.faint;
      context.font = "10px system-ui, sans-serif";
      const below = row.label ? middle + 10 : middle;
      context.fillText(fitted(context, row.note, this.labelWidth - 14), 6, below);
    }
  }

  /// The picked micro-batch's actions on a veil over all others, in the order of time.
  drawPath(view) {
    const { context, palette } = this;
    context.fillStyle = palette.veil;
    context.fillRect(view.left, this.axisHeight, view.width, this.height);
    const points = [];
    for (const { trace, action } of this.path()) {
      const row = this.rows.find((candidate) => candidate.trace === trace);
      const x0 = view.left + (trace.begin[action] - view.from) * view.scale;
      const x1 = Math.max(view.left + (trace.end[action] - view.from) * view.scale, x0 + 2);
      context.fillStyle = palette.kinds[trace.kind[action]];
      context.fillRect(x0, row.y, x1 - x0, row.height);
      context.strokeStyle = palette.path;
      context.lineWidth = 1.5;
      context.strokeRect(x0, row.y, x1 - x0, row.height);
      points.push([(x0 + x1) / 2, row.y + row.height / 2]);
    }
    context.beginPath();
    points.forEach(([x, y], i) => (i === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
    context.strokeStyle = palette.path;
    context.setLineDash([4, 3]);
    context.stroke();
    context.setLineDash([]);
  }

  /// The picked micro-batch's actions, in the order of time: [{trace, action}].
  path() {
    const path = [];
    for (const trace of this.pass.units)
      trace.microBatch.forEach((number, action) => {
        if (number === this.picked && trace.kind[action] !== update) path.push({ trace, action });
      });
    return path.sort((a, b) => a.trace.begin[a.action] - b.trace.begin[b.action]);
  }

  /// Picks a micro-batch of the pass; -1: none. `reveal`: moves to where it is.
  pick(microBatch, reveal) {
    this.picked = Math.min(Math.max(microBatch, -1), this.pass.micro_batches - 1);
    const path = this.picked >= 0 ? this.path() : [];
    if (reveal && path.length > 0) {
      const from = path[0].trace.begin[path[0].action];
      const last = path[path.length - 1];
      const until = last.trace.end[last.action];
      const span = Math.max(this.to - this.from, (until - from) * 1.2);
      if (from < this.from || until > this.to) this.look((from + until - span) / 2, (from + until + span) / 2);
    }
    this.redraw();
    this.showPath();
  }

  /// The path as a table, which also those can read who see no canvas.
  showPath() {
    const box = document.getElementById("path");
    const path = this.picked >= 0 ? this.path() : [];
    box.hidden = this.picked < 0;
    box.replaceChildren();
    const field = document.getElementById("micro-batch");
    if (field) field.value = this.picked >= 0 ? this.picked + 1 : "";
    if (this.picked < 0) return;
    box.append(element("h3", {}, `Micro-batch ${this.picked + 1} of the pass`));
    if (path.length === 0) return void box.append(element("p", {}, "It was not recorded."));
    const table = tableOf(["action", "stage", "device", "begins", "takes", "waited for before"], [3, 4]);
    for (const { trace, action } of path) {
      const waits = trace.waits(action).map(([state, time]) => `${trace.waitText(state, action)} ${duration(time)}`);
      addRow(table, [3, 4], [
        kinds[trace.kind[action]], trace.unit.name, pipeline.devices[trace.unit.device],
        instant(trace.begin[action]), duration(trace.end[action] - trace.begin[action]), waits.join(", ") || "nothing",
      ]);
    }
    box.append(element("div", { class: "scroll" }, table));
  }

  sayRange() {
    const text = `Shown: ${instant(this.from)} to ${instant(this.to)} of ${instant(this.pass.end)}` +
      (this.predicts() ? `; predicted from batch ${this.anchor + 1} on` : "");
    const range = document.getElementById("timeline-range");
    if (range.textContent !== text) range.textContent = text;
    this.canvas.dataset.from = this.from;
    this.canvas.dataset.to = this.to;
  }

  timeAt(x) {
    return this.from + ((x - this.labelWidth) / (this.width - this.labelWidth)) * (this.to - this.from);
  }

  /// As far as a pointer may miss: two pixels.
  slack() {
    return 2 / this.view().scale;
  }

  rowAt(y) {
    return this.rows.find((row) => y >= row.y - 3 && y <= row.y + row.height + 3);
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    canvas.addEventListener("pointerup", (event) => this.onUp(event));
    canvas.addEventListener("pointercancel", () => this.letGo());
    canvas.addEventListener("pointerleave", () => (this.tooltip.hidden = true));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
    window.addEventListener("resize", () => this.resize());
    for (const query of ["(prefers-color-scheme: dark)", "print"])
      matchMedia(query).addEventListener("change", () => this.recolour());
  }

  /// Light, dark or print: drawn at once, since a printer does not wait for the next frame.
  recolour() {
    this.palette = new Palette();
    this.fit();
    this.draw();
  }

  onWheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      this.pan((((event.deltaX || event.deltaY) * lines) / this.width) * 0.8);
    } else {
      this.zoom(Math.exp(Math.max(-0.7, Math.min(0.7, event.deltaY * lines * 0.002))), this.timeAt(event.offsetX));
    }
  }

  onDown(event) {
    if (event.button !== 0) return;
    this.drag = { x: event.offsetX, from: this.from, to: this.to, moved: false };
    this.canvas.setPointerCapture(event.pointerId);
  }

  onMove(event) {
    if (!this.drag) return this.showTooltip(event.offsetX, event.offsetY);
    const by = event.offsetX - this.drag.x;
    if (Math.abs(by) > 4) this.drag.moved = true;
    if (!this.drag.moved) return;
    this.canvas.classList.add("dragged");
    this.tooltip.hidden = true;
    const time = (by / (this.width - this.labelWidth)) * (this.drag.to - this.drag.from);
    this.look(this.drag.from - time, this.drag.to - time);
  }

  onUp(event) {
    const clicked = this.drag && !this.drag.moved;
    this.letGo();
    if (!clicked || event.offsetX < this.labelWidth) return;
    const about = this.rowAt(event.offsetY)?.about(this.timeAt(event.offsetX), this.slack());
    this.pick(about?.microBatch ?? -1, false);
  }

  letGo() {
    this.drag = undefined;
    this.canvas.classList.remove("dragged");
  }

  onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const moves = {
      "+": () => this.zoom(0.7),
      "=": () => this.zoom(0.7),
      "-": () => this.zoom(1 / 0.7),
      ArrowUp: () => this.zoom(0.7),
      ArrowDown: () => this.zoom(1 / 0.7),
      ArrowLeft: () => this.pan(-0.15),
      ArrowRight: () => this.pan(0.15),
      PageUp: () => this.pan(-0.9),
      PageDown: () => this.pan(0.9),
      Home: () => this.look(0, this.to - this.from),
      End: () => this.look(this.pass.end - (this.to - this.from), this.pass.end),
      0: () => this.look(0, this.pass.end),
      n: () => this.pick(this.picked < 0 ? this.firstShown() : this.picked + 1, true),
      p: () => this.pick(Math.max(this.picked < 0 ? this.firstShown() : this.picked - 1, 0), true),
      Escape: () => this.pick(-1, false),
    };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    this.tooltip.hidden = true;
    moves[event.key]();
  }

  /// The first micro-batch that begins in what is shown.
  firstShown() {
    let first = Infinity;
    for (const trace of this.pass.units) {
      let i = firstAbove(trace.begin, this.from);
      while (i < trace.kind.length && trace.kind[i] === update) ++i;
      if (i < trace.kind.length) first = Math.min(first, trace.microBatch[i]);
    }
    return Number.isFinite(first) ? first : 0;
  }

  showTooltip(x, y) {
    const row = this.rowAt(y);
    const about = row && (x < this.labelWidth ? { title: row.label || row.note, lines: [row.note] }
      : row.about(this.timeAt(x), this.slack()));
    this.tooltip.hidden = !about;
    if (!about) return;
    this.tooltip.replaceChildren(element("p", {}, element("strong", {}, about.title)),
      ...about.lines.map((line) => element("p", {}, line)));
    if (about.table?.length > 0) {
      const rows = about.table.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell))));
      this.tooltip.append(element("table", {}, ...rows));
    }
    const box = this.tooltip.getBoundingClientRect();
    const left = x + 16 + box.width > this.width ? x - box.width - 12 : x + 16;
    this.tooltip.style.left = `${Math.max(left, 0)}px`;
    this.tooltip.style.top = `${y + 18}px`;
  }
}

/// A mark's text, with the decimals that tell it from the next.
function axisText(time, step) {
  const [scale, unit] = step >= 1e6 ? [1e6, "s"] : step >= 1e3 ? [1e3, "ms"] : [1, "µs"];
  return `${digits(time / scale, Math.max(0, -Math.floor(Math.log10(step / scale) + 1e-9)))} ${unit}`;
}
