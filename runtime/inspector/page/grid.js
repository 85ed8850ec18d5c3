// The heat map: a row for each component of each variable, a column for each token, at the time that is shown.

const OPEN = 8; // Components of a variable that is shown whole from the beginning.
const rows = []; // {variable, component, line, cells}

function drawGrid() {
  const grid = element("grid");
  const head = made("tr", {}, made("td", {}));
  for (const token of page.tokens.slice(1)) head.append(made("th", { scope: "col", class: token.label.length > 4 ? "long" : false }, token.label));
  grid.append(made("thead", {}, head));
  for (const variable of variables) {
    const body = made("tbody");
    if (variable.size > OPEN) body.append(headOf(variable, body));
    for (let component = 0; component < variable.size; component++) {
      const line = made("tr", { hidden: variable.size > OPEN }, made("th", { scope: "row" }, label(variable, component)));
      const cells = Array.from({ length: TOKENS }, () => made("td", { role: "gridcell", tabindex: -1 }));
      line.append(...cells);
      body.append(line);
      rows.push({ variable, component, line, cells });
    }
    grid.append(body);
  }
  grid.addEventListener("click", (event) => pick(event.target));
  grid.addEventListener("focusin", (event) => pick(event.target));
  grid.addEventListener("keydown", walk);
  const first = rows.find((row) => !row.line.hidden);
  if (first) first.cells[0].tabIndex = 0;
}

/** The line over a variable of many components, with a button that opens it. */
function headOf(variable, body) {
  const words = `${variable.size} components of ${variable.name}`;
  const button = made("button", { type: "button", "aria-expanded": "false", "aria-label": words, title: words }, `+ ${variable.size}`);
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(open));
    button.textContent = `${open ? "−" : "+"} ${variable.size}`;
    for (const line of body.querySelectorAll("tr:not(.head)")) line.hidden = !open;
    colour();
  });
  const cell = made("td", { colspan: TOKENS, class: "note" });
  summaries.push({ variable, cell });
  return made("tr", { class: "head" }, made("th", { scope: "row" }, `${variable.name} `, button), cell);
}

const summaries = [];

/** What the line over a variable of many components says of them. */
function summed({ variable, cell }) {
  let [held, out] = [0, 0];
  for (let token = 0; token < TOKENS; token++) {
    if (value(variable, 0, token, state.time) === null) continue;
    held += 1;
    for (let component = 0; component < variable.size; component++) out += beyond(variable, component, token, state.time);
  }
  cell.textContent = held ? `at ${held} tokens${out ? `; ${out} numbers are beyond their bounds` : ""}` : "";
  cell.classList.toggle("bad", out > 0);
}

function colour() {
  const asNumbers = element("numbers").checked;
  element("grid").classList.toggle("numbers", asNumbers);
  for (const { variable, component, line, cells } of rows) {
    if (line.hidden) continue;
    for (let token = 0; token < TOKENS; token++) {
      const cell = cells[token];
      const was = cell.shown;
      const x = value(variable, component, token, state.time);
      const text = asNumbers && x !== null ? String(Number(x.toPrecision(3))) : "";
      if (cell.textContent !== text) cell.textContent = text;
      if (x === null) {
        if (was !== "") cell.className = cell.shown = "";
        continue;
      }
      const early = variable.exact.get(state.time, token, component) === null;
      const out = beyond(variable, component, token, state.time);
      const share = Number.isFinite(x) ? Math.sqrt(Math.min(1, Math.abs(x) / variable.most)) : 1;
      const kind = `${x < 0 ? "neg" : "pos"}${early ? " turn" : ""}${out ? " beyond" : ""}`;
      const percent = String(Math.round(100 * share));
      cell.shown = `${kind} ${percent}`;
      if (cell.shown === was) continue; // What changes is what is laid out again.
      cell.className = kind;
      cell.style.setProperty("--v", percent);
    }
  }
  summaries.forEach(summed);
  mark();
}

let chosen = null;

function mark() {
  chosen?.classList.remove("chosen");
  chosen = null;
  if (state.cell) {
    const { variable, component, token } = state.cell;
    chosen = rows.find((row) => row.variable === variable && row.component === component).cells[token];
    chosen.classList.add("chosen");
  }
  readOut();
}

function pick(cell) {
  const row = rows.find(({ cells }) => cells.includes(cell));
  if (!row) return;
  const token = row.cells.indexOf(cell);
  if (state.cell && state.cell.variable === row.variable && state.cell.component === row.component && state.cell.token === token) return;
  for (const other of element("grid").querySelectorAll("td[tabindex='0']")) other.tabIndex = -1;
  cell.tabIndex = 0;
  choose({ variable: row.variable, component: row.component, token });
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function walk(event) {
  const step = STEPS[event.key];
  const shown = rows.filter(({ line }) => !line.hidden);
  const at = shown.findIndex(({ cells }) => cells.includes(event.target));
  if (!step || at < 0) return;
  event.preventDefault();
  const token = shown[at].cells.indexOf(event.target) + step[1];
  shown[at + step[0]]?.cells[token]?.focus();
}

function readOut() {
  const box = element("readout");
  if (!state.cell) {
    box.replaceChildren(made("p", { class: "note" }, "Choose a cell: its value, the oracle's, the error and its bound stand here."));
    return;
  }
  const { variable, component, token } = state.cell;
  const { time } = state;
  const x = value(variable, component, token, time);
  const where = `${label(variable, component)} at ${page.tokens[token + 1].label} after ${placeOf(time)}`;
  if (x === null) {
    box.replaceChildren(made("p", {}, where), made("p", { class: "note" }, "The stream does not hold it here."));
    return;
  }
  const wanted = exact(variable, component, token, time);
  const list = made("dl");
  const say = (what, said, bad) => list.append(made("dt", {}, what), made("dd", { class: bad ? "bad" : false }, said));
  say("value", number(x));
  if (state.run) say("before the change", number(variable.found.get(time, token, component)));
  if (wanted !== null) {
    const out = beyond(variable, component, token, time);
    say("oracle", number(wanted));
    say("error", small(Math.abs(x - wanted)), out);
    say("bound", small(variable.bound[time]) + (out ? ": the error is beyond it" : ""));
  } else {
    say("oracle", state.edited ? "not known for data that were changed here" : "its turn in the scan has not come: nothing reads this");
  }
  say("compiled for", `${number(variable.low)} to ${number(variable.high)}`);
  box.replaceChildren(made("p", {}, where), list);
}
