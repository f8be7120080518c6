// The rows of the timeline. Each has a label, a height, draw(context, view, y, palette) and about(time, slack): what is there
// (or within the slack, where things are small), as {title, lines, table, microBatch} for the tooltip.

/// What ran on a device: the actions of its units.
class DeviceRow {
  constructor(pass, device) {
    this.pass = pass;
    this.label = pipeline.devices[device];
    this.note = "what runs";
    this.height = 22;
    this.gap = 10;
    const actions = [];
    for (const trace of pass.units)
      if (trace.unit.device === device) for (let i = 0; i < trace.kind.length; ++i) actions.push([trace, i]);
    actions.sort((a, b) => a[0].begin[a[1]] - b[0].begin[b[1]]);
    this.actions = actions;
    this.stretches = new Stretches(
      Float64Array.from(actions, ([trace, i]) => trace.begin[i]),
      Float64Array.from(actions, ([trace, i]) => trace.end[i]),
      Uint8Array.from(actions, ([trace, i]) => trace.kind[i]),
    );
    const asleep = pass.asleep.device.flatMap((of, i) => (of === device ? [i] : []));
    this.asleep = new Stretches(
      Float64Array.from(asleep, (i) => pass.asleep.from[i]),
      Float64Array.from(asleep, (i) => pass.asleep.until[i]),
      new Uint8Array(asleep.length),
    );
  }

  draw(context, view, y, palette) {
    this.stretches.draw(context, view, y, this.height - 3, palette.kinds, (i) => this.text(i));
    this.asleep.draw(context, view, y + this.height - 2, 2, [palette.faint]);
  }

  text(i) {
    const [trace, action] = this.actions[i];
    if (trace.kind[action] === update) return "U";
    return `${trace.microBatch[action] - trace.batch[action] * this.pass.per_batch + 1}`;
  }

  about(time, slack) {
    const i = this.stretches.at(time, slack);
    if (i >= 0) return aboutAction(this.pass, ...this.actions[i]);
    return { title: `${this.label}: idle`, lines: this.asleep.at(time) >= 0 ? ["its host thread sleeps"] : [] };
  }
}

/// What the device would have run by the schedule, with the times that were measured.
class PredictedRow {
  constructor(timeline, device) {
    this.timeline = timeline;
    this.label = "";
    this.note = "predicted";
    this.height = 14;
    this.gap = 1;
    const columns = timelineData.predicted.devices[device];
    this.columns = columns;
    this.begin = Float64Array.from(columns.begin);
    this.end = Float64Array.from(columns.end);
    this.kind = Uint8Array.from(columns.kind);
    this.anchor = -1;
  }

  /// The prediction begins where the batch that it is compared with began.
  anchored() {
    if (this.anchor !== this.timeline.anchor) {
      this.anchor = this.timeline.anchor;
      const offset = this.timeline.anchorTime();
      this.stretches = new Stretches(
        this.begin.map((time) => time + offset), this.end.map((time) => time + offset), this.kind);
    }
    return this.stretches;
  }

  draw(context, view, y, palette) {
    context.globalAlpha = 0.75;
    this.anchored().draw(context, view, y, this.height, palette.kinds, (i) => this.text(i));
    context.globalAlpha = 1;
  }

  text(i) {
    return this.kind[i] === update ? "U" : `${this.place(i).index + 1}`;
  }

  /// Batch from the anchor on, and place in it. Without flush the schedule is of several batches as one: micro-batches are
  /// counted through all of them, and an update has its batch's number.
  place(i) {
    const number = this.columns.micro_batch[i];
    if (this.kind[i] === update) return { batch: this.columns.batch[i] + number, index: 0 };
    const perBatch = this.timeline.pass.per_batch;
    return { batch: this.columns.batch[i] + Math.floor(number / perBatch), index: number % perBatch };
  }

  about(time, slack) {
    const i = this.anchored().at(time, slack);
    if (i < 0) return { title: "predicted: idle", lines: [] };
    const kind = kinds[this.kind[i]];
    const stage = pipeline.stages[this.columns.stage[i]];
    const { batch, index } = this.place(i);
    const which = kind === "U" ? "" : ` of micro-batch ${index + 1}`;
    return {
      title: `predicted: ${kindWords[kind]} (${kind})${which} of batch ${this.timeline.anchor + batch + 1}`,
      lines: [stage, duration(this.end[i] - this.begin[i])],
    };
  }
}

/// The states of a unit.
class UnitRow {
  constructor(pass, trace) {
    this.pass = pass;
    this.trace = trace;
    this.label = trace.unit.name;
    this.note = `states, on ${pipeline.devices[trace.unit.device]}`;
    this.height = 22;
    this.gap = 10;
    this.stretches = new Stretches(trace.from, trace.until, trace.state);
  }

  draw(context, view, y, palette) {
    this.stretches.draw(context, view, y, this.height, palette.states, (i) => this.text(i));
  }

  text(i) {
    const { trace, pass } = this;
    if (trace.state[i] !== computeState) return report.states[trace.state[i]];
    const action = trace.action[i];
    const kind = kinds[trace.kind[action]];
    return kind === "U" ? "U" : `${kind}${trace.microBatch[action] - trace.batch[action] * pass.per_batch + 1}`;
  }

  about(time) {
    const i = this.stretches.at(time);
    if (i < 0) return { title: `${this.label}: not recorded`, lines: [] };
    const { trace } = this;
    const action = trace.action[i];
    if (trace.state[i] === computeState) return aboutAction(this.pass, trace, action);
    const lines = [this.label, duration(trace.until[i] - trace.from[i])];
    if (action >= 0) lines.push(`before ${this.pass.actionName(trace, action)}`);
    return {
      title: trace.waitText(trace.state[i], action),
      lines,
      microBatch: action >= 0 && trace.kind[action] !== update ? trace.microBatch[action] : undefined,
    };
  }
}

/// How many micro-batches a link holds.
class LinkRow {
  constructor(pass, link) {
    this.label = link.name;
    this.note = `link, holds ${pipeline.link_capacity}`;
    this.height = 26;
    this.gap = 10;
    const of = (stage) => pass.units.filter((trace) => trace.unit.stage === stage);
    const times = (traces, column) => {
      const list = [];
      for (const trace of traces)
        for (let i = 0; i < trace.kind.length; ++i) if (kinds[trace.kind[i]] === "F") list.push(trace[column][i]);
      return Float64Array.from(list).sort();
    };
    const [from, to] = [of(link.from), of(link.to)];
    // Waiting: sent and not taken. Held: from the begin of the F that makes it to the end of the F that reads it.
    this.waiting = new Level(times(from, "end"), times(to, "begin"));
    this.held = new Level(times(from, "begin"), times(to, "end"));
    this.top = Math.max(1, Math.min(pipeline.link_capacity, this.held.highest + 1), this.held.highest);
  }

  draw(context, view, y, palette) {
    context.globalAlpha = 0.35;
    this.held.draw(context, view, y, this.height, this.top, palette.accent);
    context.globalAlpha = 1;
    this.waiting.draw(context, view, y, this.height, this.top, palette.accent);
    if (pipeline.link_capacity > this.top) return;
    const line = y + this.height - (pipeline.link_capacity / this.top) * this.height;
    context.fillStyle = palette.states[report.states.indexOf("blocked")];
    context.fillRect(view.left, line, view.width, 1);
  }

  about(time) {
    return {
      title: `link ${this.label}`,
      lines: [
        `${this.waiting.at(time)} sent and not taken`,
        `${this.held.at(time)} held, with those being made and read, of ${pipeline.link_capacity}`,
        `on average ${digits(this.waiting.mean, 2)} waiting, ${digits(this.held.mean, 2)} held`,
      ],
    };
  }
}

/// A number that goes up by one at each of `ups` and down by one at each of `downs`.
class Level {
  constructor(ups, downs) {
    this.times = new Float64Array(ups.length + downs.length);
    this.values = new Int32Array(this.times.length);
    let up = 0, down = 0, value = 0, area = 0;
    this.highest = 0;
    for (let i = 0; i < this.times.length; ++i) {
      const rises = down >= downs.length || (up < ups.length && ups[up] <= downs[down]);
      const time = rises ? ups[up++] : downs[down++];
      if (i > 0) area += value * (time - this.times[i - 1]);
      value = Math.max(0, value + (rises ? 1 : -1));
      this.times[i] = time;
      this.values[i] = value;
      this.highest = Math.max(this.highest, value);
    }
    const length = this.times.length > 0 ? this.times[this.times.length - 1] - this.times[0] : 0;
    this.mean = length > 0 ? area / length : 0;
  }

  at(time) {
    const i = firstAbove(this.times, time) - 1;
    return i >= 0 ? this.values[i] : 0;
  }

  /// As an area; of each column of pixels the highest value.
  draw(context, view, y, height, top, colour) {
    const width = Math.ceil(view.width);
    const highest = new Float32Array(width);
    let i = firstAbove(this.times, view.from);
    let value = i > 0 ? this.values[i - 1] : 0;
    for (let x = 0; x < width; ++x) {
      highest[x] = value;
      const until = view.from + (x + 1) / view.scale;
      for (; i < this.times.length && this.times[i] < until; ++i) {
        value = this.values[i];
        if (value > highest[x]) highest[x] = value;
      }
    }
    context.fillStyle = colour;
    for (let x = 0, from = 0; x < width; x = from) {
      while (from < width && highest[from] === highest[x]) ++from;
      const part = (highest[x] / top) * height;
      if (part > 0) context.fillRect(view.left + x, y + height - part, from - x, part);
    }
  }
}

/// What the tooltip says of an action.
function aboutAction(pass, trace, action) {
  const waits = trace.waits(action).map(([state, time]) => `${trace.waitText(state, action)} ${duration(time)}`);
  return {
    title: pass.actionName(trace, action),
    lines: [
      `${trace.unit.name} on ${pipeline.devices[trace.unit.device]}`,
      `${duration(trace.end[action] - trace.begin[action])}, at ${instant(trace.begin[action])}`,
      waits.length > 0 ? `before it: ${waits.join(", ")}` : "right behind the action before it",
    ],
    table: trace.steps(action).map(([name, time]) => [name, duration(time)]),
    microBatch: trace.kind[action] === update ? undefined : trace.microBatch[action],
  };
}
