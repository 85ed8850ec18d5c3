// Examples as points: an input's component across, the label up. A point is dragged, or moved with the arrow keys.

const [WIDE, HIGH, EDGE] = [360, 260, 26];
const plot = { inner: null, component: 0, line: null };

/** The vector (or number) and the number that make an example, where the program has just such two. */
function pair() {
  const label = page.inputs.filter((field) => !field.shape.length && field.tokens.length).at(-1);
  const inner = page.inputs.filter((field) => field !== label && field.shape.length < 2 && field.tokens.length)[0];
  return page.inputs.length === 2 && label && inner ? { inner, label } : null;
}

/** The variable that is the slope of a line: w, if it is shaped as the input. */
function slopeOf(inner) {
  return variables.find((v) => v.name === "w" && String(v.shape) === String(inner.shape)) ?? null;
}

function drawScatter() {
  const found = pair();
  if (!found) return;
  Object.assign(plot, found);
  plot.line = slopeOf(plot.inner);
  const size = plot.inner.shape[0] ?? 1;
  const across = made("select", { "aria-label": "across" });
  for (let k = 0; k < size; k++) across.append(made("option", { value: k }, label(plot.inner, k)));
  across.addEventListener("change", () => {
    plot.component = Number(across.value);
    drawPoints();
  });
  plot.svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  plot.svg.setAttribute("viewBox", `0 0 ${WIDE} ${HIGH}`);
  plot.svg.setAttribute("role", "group");
  plot.svg.setAttribute("aria-label", "Examples as points; all inputs are in the table below");
  const words = made("p", { class: "note" }, "Drag a point: the weights run again. × is what the transformer says at an x.");
  if (plot.line) words.append(` The line is ${plot.line.name} at the last token that holds it in this sublayer, all other components 0.`);
  element("scatter-box").append(made("div", { class: "choose" }, made("label", {}, "across: ", across), `up: ${plot.label.name}`), plot.svg, words);
  element("inputs").open = false;
  scale();
  drawPoints();
}

/** From data to the picture, fixed while points move. */
function scale() {
  const ends = (xs) => {
    const most = Math.max(1e-9, ...xs.map(Math.abs));
    return 1.25 * most;
  };
  const xs = plot.inner.tokens.flatMap((t) => plot.inner.values[t]);
  const ys = plot.label.tokens.flatMap((t) => plot.label.values[t]).concat(page.output.found.flat());
  plot.x = ends(xs);
  plot.y = ends(ys);
}

const toX = (x) => WIDE / 2 + (x / plot.x) * (WIDE / 2 - EDGE);
const toY = (y) => HIGH / 2 - (y / plot.y) * (HIGH / 2 - EDGE);

function drawn(tag, attributes, text = "") {
  const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, x] of Object.entries(attributes)) found.setAttribute(name, x);
  found.textContent = text;
  return found;
}

function drawPoints() {
  if (!plot.svg) return;
  const { svg, inner, label: up, component } = plot;
  const focus = svg.contains(document.activeElement) ? document.activeElement.dataset.number : null;
  const parts = [
    drawn("line", { class: "axis", x1: EDGE, x2: WIDE - EDGE, y1: toY(0), y2: toY(0) }),
    drawn("line", { class: "axis", x1: toX(0), x2: toX(0), y1: EDGE, y2: HIGH - EDGE }),
    drawn("text", { x: WIDE - EDGE, y: toY(0) - 4, "text-anchor": "end" }, label(inner, component)),
    drawn("text", { x: toX(0) + 4, y: EDGE - 4 }, up.name),
    drawn("text", { x: WIDE - EDGE, y: toY(0) + 13, "text-anchor": "end" }, plot.x.toPrecision(2)),
  ];
  const slope = plot.line && lineOf(plot.line, component);
  if (slope !== null && slope !== undefined) {
    const end = plot.x;
    parts.push(drawn("line", { class: "line", x1: toX(-end), x2: toX(end), y1: toY(-slope * end), y2: toY(slope * end) }));
  }
  page.output.tokens.forEach((token, k) => {
    if (!inner.tokens.includes(token)) return;
    const [x, y] = [toX(input(inner, token, component)), toY(given(k, 0))];
    parts.push(drawn("path", { class: "guess", d: `M${x - 4} ${y - 4}L${x + 4} ${y + 4}M${x - 4} ${y + 4}L${x + 4} ${y - 4}` }));
  });
  up.tokens.forEach((token, k) => parts.push(point(inner.tokens[k], token, k)));
  svg.replaceChildren(...parts);
  if (focus !== null) svg.querySelector(`[data-number="${focus}"]`)?.focus();
}

/** What the line variable says of this component at the last token that holds it. */
function lineOf(variable, component) {
  for (let token = TOKENS - 1; token >= 0; token--) {
    const x = value(variable, component, token, state.time);
    if (x !== null && variable.exact.get(state.time, token, component) !== null) return x;
  }
  return null;
}

function point(across, up, k) {
  const { inner, label: labelled } = plot;
  const [x, y] = [input(inner, across, plot.component), input(labelled, up, 0)];
  const circle = drawn("circle", { cx: toX(x), cy: toY(y), r: 6, tabindex: 0, role: "button", "data-number": k });
  circle.setAttribute("aria-label", `example ${k + 1}: ${label(inner, plot.component)} ${number(x)}, ${labelled.name} ${number(y)}; arrow keys move it`);
  circle.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    if (step[1]) setInput(inner, across, plot.component, x + (step[1] * plot.x) / 40);
    else setInput(labelled, up, 0, y - (step[0] * plot.y) / 40);
  });
  circle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    drag(across, up);
  });
  return circle;
}

let dragged = null;

/** Follows the pointer, once a frame. */
function drag(across, up) {
  dragged = { across, up, at: null, waiting: false };
  window.addEventListener("pointermove", follow);
  window.addEventListener("pointerup", drop, { once: true });
}

function follow(event) {
  dragged.at = event;
  if (dragged.waiting) return;
  dragged.waiting = true;
  requestAnimationFrame(() => {
    if (!dragged) return;
    dragged.waiting = false;
    const box = plot.svg.getBoundingClientRect();
    const x = ((dragged.at.clientX - box.left) / box.width) * WIDE;
    const y = ((dragged.at.clientY - box.top) / box.height) * HIGH;
    const wide = net.embedding.columns;
    net.features[(dragged.across + 1) * wide + plot.inner.columns[0] + plot.component] = ((x - WIDE / 2) / (WIDE / 2 - EDGE)) * plot.x;
    setInput(plot.label, dragged.up, 0, ((HIGH / 2 - y) / (HIGH / 2 - EDGE)) * plot.y);
  });
}

function drop() {
  window.removeEventListener("pointermove", follow);
  dragged = null;
}
