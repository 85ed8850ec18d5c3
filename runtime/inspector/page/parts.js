// The neurons of the layer that is shown, the slots of the stream and whose they are, and the output.

function drawNeurons() {
  const box = element("neurons");
  const time = state.time === 0 ? 2 : state.time + (state.time % 2);
  element("mlp-title").textContent = TIMES > 1 ? `Neurons of layer ${time / 2 - 1}` : "Neurons";
  const kinds = TIMES > 1 ? doing(time).neurons : [];
  if (!kinds.length) {
    box.replaceChildren(made("p", { class: "note" }, "No neuron does anything in this layer."));
    return;
  }
  const all = kinds.reduce((sum, { count }) => sum + count, 0);
  const list = made("ul", {}, ...kinds.map((kind) => made("li", {}, kindOf(kind))));
  box.replaceChildren(made("p", { class: "note" }, `${all.toLocaleString("en")} neurons, by what they are for`), list);
}

function kindOf({ what, count, groups }) {
  const head = `${count.toLocaleString("en")}: ${what}`;
  if (!groups.length) return head;
  const gated = groups.some(({ gate }) => gate.length);
  const rows = () => groups.map(({ gate, reads, writes, count: few }) => {
    const read = gated ? `${gate.join(" + ") || "constant"} × ${reads.join(" + ") || "constant"}` : reads.join(", ") || "constant";
    return made("tr", {}, made("td", { class: "words" }, read), made("td", { class: "words" }, writes.join(", ") || "nothing that is named"), made("td", {}, String(few)));
  });
  const names = [["words", gated ? "gate × value read" : "read together"], ["words", "written"], ["", "neurons"]];
  const header = made("tr", {}, ...names.map(([kind, text]) => made("th", { scope: "col", class: kind }, text)));
  const table = () => made("table", { class: "plain" }, made("thead", {}, header), made("tbody", {}, ...rows()));
  return opening(head, head, () => made("div", { class: "scroll", tabindex: 0 }, table()));
}

// Slots ---------------------------------------------------------------------------------------------

const HUES = page.owners.map((_, k) => `oklch(0.68 0.13 ${Math.round((k * 137.5) % 360)})`);

function holds(owner) {
  const number = state.time === 0 ? -1 : stored(state.time);
  return owner.first <= number && (owner.last === null || number <= owner.last);
}

function drawSlots() {
  const names = new Array(page.width).fill(null);
  page.owners.forEach((owner, k) => {
    if (holds(owner)) owner.slots.forEach((slot) => (names[slot] = k));
  });
  const cells = names.map((k, slot) => {
    const title = k === null ? `slot ${slot}: free` : `slot ${slot}: ${page.owners[k].label}`;
    return made("span", { title, class: k === null ? false : "own", style: k === null ? false : `--owner: ${HUES[k]}` });
  });
  element("slots").replaceChildren(...cells);
  const used = names.filter((k) => k !== null).length;
  element("slots").setAttribute("aria-label", `${used} of ${page.width} slots are used after ${placeOf(state.time)}; the table says by what.`);
  const head = ["owner", "what", "slots", "sublayers of the program"].map((text, k) => made("th", { scope: "col", class: k < 2 ? "words" : "" }, text));
  const body = page.owners.map((owner, k) => {
    const name = made("th", { scope: "row" }, made("span", { class: "dot", style: `--owner: ${HUES[k]}` }), owner.label);
    const what = [owner.names.length ? `${owner.names.join(", ")}; ` : "", owner.what].join("");
    const from = owner.first < 0 ? "the embedding" : owner.first;
    const until = `${from} to ${owner.last ?? "the end"}`;
    return made("tr", { class: holds(owner) ? "" : "gone" }, name, made("td", { class: "words" }, what), made("td", {}, spans(owner.slots)), made("td", {}, until));
  });
  element("owners").className = "plain";
  element("owners").replaceChildren(made("thead", {}, made("tr", {}, ...head)), made("tbody", {}, ...body));
}

/** 4–11, 20. */
function spans(slots) {
  const runs = [];
  for (const slot of [...slots].sort((a, b) => a - b)) {
    const last = runs[runs.length - 1];
    if (last && last[1] === slot - 1) last[1] = slot;
    else runs.push([slot, slot]);
  }
  return runs.map(([a, b]) => (a === b ? String(a) : `${a}–${b}`)).join(", ");
}

// Output --------------------------------------------------------------------------------------------

/** [component, token number in `output.tokens`] → what the run that is shown gives. */
function given(k, component) {
  const { tokens, found } = page.output;
  return state.run ? state.run.output[tokens[k] + 1][component] : found[k][component];
}

function drawOutputs() {
  const { tokens, found, exact: wanted, labels, bounds } = page.output;
  const columns = ["at", "output", ...(state.run ? ["before"] : []), ...(state.edited ? [] : ["oracle", "error"])];
  const head = made("tr", {}, ...columns.map((text) => made("th", { scope: "col" }, text)));
  const body = tokens.flatMap((token, k) =>
    found[k].map((before, component) => {
      const x = given(k, component);
      const name = page.tokens[token + 1].label + labels[component];
      const bound = bounds[component];
      const error = x === null ? NaN : Math.abs(x - wanted[k][component]);
      const cells = [made("td", {}, number(x))];
      if (state.run) cells.push(made("td", {}, number(before)));
      if (!state.edited) {
        cells.push(made("td", {}, number(wanted[k][component])));
        cells.push(made("td", { class: bound === null || error <= bound ? false : "bad" }, small(error)));
      }
      return made("tr", {}, made("th", { scope: "row" }, name), ...cells);
    }),
  );
  const table = element("outputs");
  table.className = "plain";
  const caption = made("caption", { class: "note" }, state.edited ? "of the data as you changed them" : `bound of the error on this task: ${[...new Set(bounds)].map(small).join(", ")}`);
  table.replaceChildren(caption, made("thead", {}, head), made("tbody", {}, ...body));
}
