"use strict";
// The data of the page, and how its numbers are written. Times are microseconds from the begin of a pass.

const report = JSON.parse(document.getElementById("report-data").textContent);
const timelineData = JSON.parse(document.getElementById("timeline-data").textContent);
const result = report.result;
const pipeline = report.pipeline;

/// Of each unit, device and (by number) step, what the page works with: states' seconds in the order of report.states.
const inOrder = (seconds) => report.states.map((name) => seconds[name] ?? 0);
const unitStates = result.stages.map((stage) => inOrder(stage.seconds));
const deviceStates = pipeline.devices.map((name) =>
  inOrder(result.devices.find((device) => device.name === name)?.seconds ?? {}));
const steps = result.steps.map((step, i) => ({ ...step, ...report.steps[i] }));

const kinds = ["F", "I", "W", "B", "U"];
const kindWords = {
  F: "forward", I: "gradients of the inputs", W: "gradients of the parameters", B: "backward", U: "update",
};
const update = kinds.indexOf("U");
const computeState = report.states.indexOf("compute");
const stateWords = {
  compute: "a kernel, the loss or the update runs",
  transfer: "a copy that is not hidden behind compute",
  launch: "submitted to the device, which has not started yet",
  sync: "all is there, and the host thread wakes up or hands the message over",
  blocked: "a link downstream is full",
  starved: "activations, gradients or pixels have not come",
  no_credit: "as many micro-batches are in flight as are admitted",
  contended: "all is there, but the device runs another stage, or its cores another device",
  optimizer: "waiting for an update by another",
  fill: "the stages before it have not brought it the batch's first micro-batch",
  drain: "other stages still end the batch before, or the pass",
  unaccounted: "not known: events were lost",
};

/// "1,234,567".
function count(value) {
  return Math.round(value).toLocaleString("en-US");
}

function digits(value, decimals) {
  return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/// Three or four digits and a unit: "12.3 µs", "4.56 ms".
function duration(microseconds) {
  const scales = [[1, "µs"], [1e3, "ms"], [1e6, "s"]];
  let [scale, unit] = scales[0];
  for (const [larger, name] of scales) if (Math.abs(microseconds) >= larger) [scale, unit] = [larger, name];
  const value = microseconds / scale;
  return `${digits(value, Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2)} ${unit}`;
}

/// A moment of a pass, to the microsecond.
function instant(microseconds) {
  return `${digits(microseconds / 1e3, 3)} ms`;
}

function seconds(value) {
  return duration(value * 1e6);
}

function percent(share, decimals = 1) {
  return Number.isFinite(share) ? `${(100 * share).toFixed(decimals)}%` : "-";
}

function bytes(value) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (value < 1024) return `${value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} GiB`;
}

/// "1.23 GFLOP".
function amount(value, unit) {
  const prefixes = ["", "k", "M", "G", "T"];
  let prefix = 0;
  while (value >= 1000 && prefix < prefixes.length - 1) [value, prefix] = [value / 1000, prefix + 1];
  const number = value >= 100 || prefix === 0 ? Math.round(value) : value.toFixed(value >= 10 ? 1 : 2);
  return `${number} ${prefixes[prefix]}${unit}`;
}

/// An element with attributes and children; a text among the children stays text.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

function svgElement(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

function setAttributes(made, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") for (const [key, text] of Object.entries(value)) made.style.setProperty(key, text);
    else made.setAttribute(name, value);
  }
}

/// A legend's entry: a colour of the style sheet and a word.
function legendEntry(colour, word) {
  return element("span", {}, element("i", { style: { background: `var(--${colour})` } }), word);
}

/// The first index in a sorted array whose value is above `value`.
function firstAbove(sorted, value) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/// What a pass did, as the timeline needs it.
class Pass {
  constructor(data) {
    Object.assign(this, data);
    this.units = data.units.map((columns, number) => new UnitTrace(columns, number));
    // Where only the first actions were kept, the timeline ends with them.
    this.end = data.whole ? data.length : Math.max(1, ...this.units.map((unit) => unit.last()));
    this.batchBegins = this.findBatchBegins();
  }

  findBatchBegins() {
    const begins = [];
    for (const unit of this.units)
      for (let i = 0; i < unit.batch.length; ++i) {
        const batch = unit.batch[i];
        if (!(begins[batch] <= unit.begin[i])) begins[batch] = unit.begin[i];
      }
    return begins;
  }

  /// "micro-batch 3 of batch 12"; batches and micro-batches count from 0 in schedules, from 1 in words.
  actionName(unit, action) {
    const kind = kinds[unit.kind[action]];
    const batch = unit.batch[action];
    if (kind === "U") return `update after batch ${batch + 1}`;
    const index = unit.microBatch[action] - batch * this.per_batch;
    return `${kindWords[kind]} (${kind}) of micro-batch ${index + 1} of batch ${batch + 1}`;
  }
}

/// Microseconds; what an action waited for less than that is left out.
const worthTelling = 0.15;

/// One unit's actions and states.
class UnitTrace {
  constructor(columns, number) {
    this.number = number;
    this.unit = pipeline.units[number];
    this.kind = columns.kind;
    this.microBatch = columns.micro_batch;
    this.batch = columns.batch;
    this.begin = Float64Array.from(columns.begin);
    this.end = Float64Array.from(columns.end);
    this.inputFrom = columns.input_from;
    this.roomFrom = columns.room_from;
    this.stepTimes = columns.steps;
    this.firstStep = new Int32Array(this.kind.length + 1);
    this.kind.forEach((kind, i) => (this.firstStep[i + 1] = this.firstStep[i] + this.unit.steps[kind].length));
    // Stretches of one state each, from the begin of the pass on without a gap.
    this.state = Uint8Array.from(columns.state);
    this.until = Float64Array.from(columns.until);
    this.action = Int32Array.from(columns.action);
    this.from = new Float64Array(this.until.length);
    this.from.set(this.until.subarray(0, -1), 1);
  }

  last() {
    return this.end.length > 0 ? this.end[this.end.length - 1] : 0;
  }

  /// Names and microseconds of an action's steps.
  steps(action) {
    return this.unit.steps[this.kind[action]].map((name, i) => [name, this.stepTimes[this.firstStep[action] + i]]);
  }

  /// What an action waited for: [state, microseconds], in the order of time.
  waits(action) {
    const waits = [];
    let i = firstAbove(this.until, action > 0 ? this.end[action - 1] : 0);
    for (; i < this.action.length && this.action[i] === action; ++i)
      if (this.state[i] !== computeState) waits.push([this.state[i], this.until[i] - this.from[i]]);
    return waits.filter(([, time]) => time >= worthTelling);
  }

  /// "starved (input from conv1)": who an action waited for in a state, where that is known.
  waitText(state, action) {
    const name = report.states[state];
    if (action < 0) return name;
    if (name === "blocked")
      return this.roomFrom[action] < 0 ? name : `${name} (by ${pipeline.stages[this.roomFrom[action]]})`;
    if (!["starved", "fill", "transfer"].includes(name)) return name;
    return `${name} (from ${this.inputFrom[action] < 0 ? "the reader" : pipeline.stages[this.inputFrom[action]]})`;
  }
}

const passes = timelineData.passes.map((pass) => new Pass(pass));
