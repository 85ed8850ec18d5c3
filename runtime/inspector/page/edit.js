// Inputs as a reader changes them: the features that the run in the page starts from.

/** A component of a field at a token, as it is now. */
function input(field, token, component) {
  return net.features[(token + 1) * net.embedding.columns + field.columns[0] + component];
}

function setInput(field, token, component, x) {
  if (!Number.isFinite(x)) return;
  net.features[(token + 1) * net.embedding.columns + field.columns[0] + component] = x;
  state.edited = true;
  rerun();
}

function undo() {
  net.features.set(decoded(page.live.features));
  state.cut.clear();
  state.edited = false;
  rerun();
}

function drawEdit() {
  element("try").hidden = false;
  element("reset").addEventListener("click", undo);
  const columns = page.inputs.flatMap((field) => field.values[0].map((_, component) => ({ field, component })));
  const names = columns.map(({ field, component }) => made("th", { scope: "col" }, label(field, component)));
  const body = page.tokens.slice(1).map((token, t) => {
    const cells = columns.map(({ field, component }) => cellOf(field, t, component));
    return made("tr", {}, made("th", { scope: "row" }, token.label), ...cells);
  });
  element("fields").append(made("thead", {}, made("tr", {}, made("td"), ...names)), made("tbody", {}, ...body));
}

function cellOf(field, token, component) {
  if (!field.tokens.includes(token)) return made("td");
  const name = `${label(field, component)} at ${page.tokens[token + 1].label}`;
  const box = made("input", { type: "number", step: "any", "aria-label": name });
  box.addEventListener("change", () => setInput(field, token, component, Number(box.value)));
  boxes.push({ box, field, token, component });
  return made("td", {}, box);
}

/** Whether an input lies where the weights were compiled for. */
function fits({ field, token, component }) {
  const x = input(field, token, component);
  return field.low === null || (field.low <= x && x <= field.high);
}

/** The inputs that do not, in words. */
function misfits() {
  const [first, ...others] = boxes.filter((one) => !fits(one));
  if (!first) return [];
  const { low, high } = first.field;
  const more = others.length ? ` and ${others.length} more are` : " is";
  return [`${first.box.ariaLabel}${more} outside of what the weights were compiled for, ${number(low)} to ${number(high)}: expect errors`];
}

const boxes = [];

function fill() {
  if (!net) return;
  element("reset").disabled = !state.run;
  for (const one of boxes) {
    const { box, field, token, component } = one;
    box.setAttribute("aria-invalid", String(!fits(one)));
    const text = String(Number(input(field, token, component).toPrecision(4)));
    if (box.value !== text) box.value = text;
  }
}
