// What is shown, and what is known of it: the run as it was recorded, and the run in the page once a reader changes it.
//
// Time 0 is the embedding, time k + 1 the k-th sublayer that runs. Tokens count without the rest token, as the trace's do.

const page = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const TIMES = page.run.length + 1;
const TOKENS = page.tokens.length - 1;
const net = page.live && network(page.live);

const variables = page.variables.map((variable) => ({
  ...variable,
  size: variable.found.rows.shape[1],
  found: table(variable.found, TOKENS),
  exact: table(variable.exact, TOKENS),
  placed: net ? net.layout.filter((placed) => placed.name === variable.name) : [],
  places: [],
}));
for (const variable of variables) {
  variable.most = variable.found.rows.reduce((most, x) => Math.max(most, Number.isFinite(x) ? Math.abs(x) : 0), 0) || 1;
}

const state = {
  time: TIMES - 1,
  cell: null, // {variable, component, token}
  playing: false,
  cut: new Set(),
  edited: false,
  run: null, // the run in the page, where something was changed
};

const listeners = [];

/** Draws again what depends on `what` ("time", "cell" or "run") when it changes. */
function when(what, draw) {
  listeners.push({ what: what.split(" "), draw });
}

function changed(what) {
  for (const listener of listeners) if (listener.what.includes(what)) listener.draw();
}

function setTime(time) {
  state.time = Math.max(0, Math.min(TIMES - 1, time));
  changed("time");
}

function choose(cell) {
  state.cell = cell;
  changed("cell");
}

/** Runs the weights on the features as they are now, without the heads that are cut. */
function rerun() {
  state.run = state.edited || state.cut.size ? forward(net, net.features, state.cut) : null;
  changed("run");
}

// The run as it is without any change: whose maps are shown until there is one.
let unchanged = null;
function mapsAt(time) {
  if (!net) return recordedMaps(time);
  if (state.run) return state.run.maps[time];
  unchanged ??= forward(net, decoded(page.live.features), new Set());
  return unchanged.maps[time];
}

function recordedMaps(time) {
  if (!page.maps || time === 0) return [];
  return page.maps.at[time - 1].map(({ number, map, most }) => {
    const steps = decoded(page.maps.kept[map]);
    return { number, shares: Float64Array.from(steps, (step) => (step * Math.abs(step) * most) / 127 ** 2) };
  });
}

const stored = (time) => (time === 0 ? null : page.run[time - 1].stored);
const doing = (time) => (time === 0 ? null : page.stored[stored(time)]);

// Values --------------------------------------------------------------------------------------------

/** What the run that is shown holds of a component, or null. */
function value(variable, component, token, time) {
  const recorded = variable.found.get(time, token, component);
  if (!state.run || recorded === null) return recorded;
  return dot(placedAt(variable, time)[token].matrix, component, state.run.streams[time], (token + 1) * net.width);
}

/** Where a variable stands at each token, of the places that its name has in time. */
function placedAt(variable, time) {
  const number = stored(time) ?? 0;
  variable.places[time] ??= page.tokens
    .slice(1)
    .map(({ kind }) => variable.placed.find((p) => p.first <= number && number <= p.last && p.kinds.includes(kind)));
  return variable.places[time];
}

/** What the oracle says, or null: nothing of inputs that a reader has changed. */
function exact(variable, component, token, time) {
  return state.edited ? null : variable.exact.get(time, token, component);
}

function beyond(variable, component, token, time) {
  const wanted = exact(variable, component, token, time);
  return wanted !== null && variable.bound[time] !== null && !(Math.abs(value(variable, component, token, time) - wanted) <= variable.bound[time]);
}

/** w, w[2] or P[0, 1]. */
function label(variable, component) {
  const { shape, name } = variable;
  if (!shape.length) return name;
  if (shape.length === 1) return `${name}[${component}]`;
  return `${name}[${Math.floor(component / shape[1])}, ${component % shape[1]}]`;
}

function number(x) {
  if (x === null || x === undefined) return "–";
  if (!Number.isFinite(x)) return String(x);
  if (x === 0) return "0";
  return Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5 ? String(Number(x.toPrecision(6))) : x.toExponential(3);
}

const small = (x) => (x === null ? "–" : x === 0 ? "0" : x.toExponential(1));

function placeOf(time) {
  if (time === 0) return "the embedding";
  const { side, pass } = page.run[time - 1];
  const again = pass === null ? "" : `, pass ${pass} of its loop`;
  return `sublayer ${time - 1} (${side === "mlp" ? "MLP" : "attention"} of layer ${Math.floor((time - 1) / 2)}${again})`;
}

// The style's colours, looked up once: to ask for them makes the browser lay the page out.
const colours = {};
function lookUpColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["neg", "pos", "empty", "ink", "accent"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
}
lookUpColours();

const opened = new Set();

/** A part that opens, and stays open when it is drawn anew under the same name. */
function opening(name, summary, fill) {
  const found = made("details", {}, made("summary", {}, summary));
  const open = () => {
    opened[found.open ? "add" : "delete"](name);
    if (found.open && found.children.length === 1) found.append(fill());
  };
  found.addEventListener("toggle", open);
  if (opened.has(name)) {
    found.open = true;
    open();
  }
  return found;
}

/** An element with attributes and children. */
function made(tag, attributes = {}, ...children) {
  const found = document.createElement(tag);
  for (const [name, x] of Object.entries(attributes)) {
    if (name.startsWith("on")) found.addEventListener(name.slice(2), x);
    else if (x !== false && x !== null) found.setAttribute(name, x === true ? "" : x);
  }
  found.append(...children);
  return found;
}
