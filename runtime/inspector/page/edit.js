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
  const body = page.inputs.flatMap((field) =>
    field.tokens.flatMap((token) =>
      field.values[token].map((_, component) => {
        const name = `${label(field, component)} at ${page.tokens[token + 1].label}`;
        const box = made("input", { type: "number", step: "any", "aria-label": name });
        box.addEventListener("change", () => setInput(field, token, component, Number(box.value)));
        boxes.push({ box, field, token, component });
        return made("tr", {}, made("th", { scope: "row" }, name), made("td", {}, box));
      }),
    ),
  );
  element("fields").append(made("tbody", {}, ...body));
  fill();
}

const boxes = [];

function fill() {
  if (!net) return;
  element("reset").disabled = !state.run;
  for (const { box, field, token, component } of boxes) {
    const text = String(Number(input(field, token, component).toPrecision(6)));
    if (box.value !== text) box.value = text;
  }
}
