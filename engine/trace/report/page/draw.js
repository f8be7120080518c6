// Drawing stretches of time into a row of the canvas, whatever their number.

/// Colours of the style sheet as they are now (light, dark or print).
class Palette {
  constructor() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.states = report.states.map(colour);
    this.kinds = kinds.map(colour);
    for (const name of ["page", "text", "faint", "line", "idle", "veil", "path", "accent"]) this[name] = colour(name);
  }
}

/// Stretches of one row, sorted, none over another. `colour`: number in a palette.
class Stretches {
  constructor(begin, end, colour) {
    this.begin = begin;
    this.end = end;
    this.colour = colour;
  }

  /// The first one at a time, or not further from it than `slack`; else -1.
  at(time, slack = 0) {
    const i = firstAbove(this.end, time - slack);
    return i < this.begin.length && this.begin[i] <= time + slack ? i : -1;
  }

  /// Draws what `view` shows. Stretches narrower than a column (two pixels) are merged: each column is cut in proportion to
  /// the time of each colour. `label(i)` is written into those that are wide enough.
  draw(context, view, y, height, colours, label) {
    const width = view.width;
    const columns = Math.ceil(width / columnWidth);
    const merged = mergedColumns(colours.length, columns);
    let any = false;
    const wide = [];
    const { begin, end, colour } = this;
    for (let i = firstAbove(end, view.from); i < begin.length && begin[i] < view.to; ++i) {
      const x0 = Math.max((begin[i] - view.from) * view.scale, 0);
      const x1 = Math.min((end[i] - view.from) * view.scale, width);
      if (x1 - x0 >= columnWidth) {
        wide.push(i);
        continue;
      }
      const column = (x0 / columnWidth) | 0;
      if (column >= columns) continue;
      const border = Math.min(x1, (column + 1) * columnWidth);
      merged[colour[i] * columns + column] += border - x0;
      if (x1 > border && column + 1 < columns) merged[colour[i] * columns + column + 1] += x1 - border;
      any = true;
    }
    if (any) drawMerged(context, view, merged, y, height, colours, columns);
    drawWide(context, view, this, wide, y, height, colours, label);
  }
}

const columnWidth = 2;

let columnsBuffer = new Float32Array(0);
/// A cleared table [colour][column] of pixels of the column's width.
function mergedColumns(colours, columns) {
  if (columnsBuffer.length < colours * columns) columnsBuffer = new Float32Array(colours * columns);
  columnsBuffer.fill(0, 0, colours * columns);
  return columnsBuffer;
}

function drawMerged(context, view, merged, y, height, colours, columns) {
  const bottom = new Float32Array(columns).fill(y + height);
  colours.forEach((colour, number) => {
    context.fillStyle = colour;
    for (let column = 0; column < columns; ++column) {
      const share = merged[number * columns + column] / columnWidth;
      if (share === 0) continue;
      const part = Math.min(share, 1) * height;
      bottom[column] -= part;
      context.fillRect(view.left + column * columnWidth, bottom[column], columnWidth, part);
    }
  });
}

function drawWide(context, view, stretches, wide, y, height, colours, label) {
  let last = -1;
  const texts = [];
  for (const i of wide) {
    const x0 = view.left + Math.max(Math.round((stretches.begin[i] - view.from) * view.scale), 0);
    const x1 = view.left + Math.min(Math.round((stretches.end[i] - view.from) * view.scale), view.width);
    if (stretches.colour[i] !== last) {
      last = stretches.colour[i];
      context.fillStyle = colours[last];
    }
    // A pixel apart where there is room for it, so that neighbours of one colour can be told apart.
    context.fillRect(x0, y, Math.max(x1 - x0 - (x1 - x0 > 6 ? 1 : 0), 1), height);
    if (label && x1 - x0 > 16) texts.push([i, x0, x1]);
  }
  if (!label) return;
  context.fillStyle = "#000000";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = "11px system-ui, sans-serif";
  for (const [i, x0, x1] of texts) {
    const text = label(i);
    if (text && text.length * 6.4 < x1 - x0 - 3) context.fillText(text, (x0 + x1) / 2, y + height / 2 + 0.5);
  }
}

/// Numbers between which a scale from `from` to `to` is marked, about `wanted` of them: 1, 2 or 5 times a power of ten.
function marks(from, to, wanted) {
  const rough = (to - from) / Math.max(wanted, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999);
  const list = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to * (1 + 1e-12); ++i) list.push(i * step);
  return { list, step };
}

/// The text cut to what fits into `width`, with "..." where something is left out.
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) --length;
  return `${text.slice(0, length)}…`;
}
