// The program's text: a line is lit in the sublayers that compute it.

const lines = [];

function drawProgram() {
  const times = new Map(); // line → the times at which it is computed
  const note = (line, time) => times.set(line, [...(times.get(line) ?? []), time]);
  page.field_lines.forEach((line) => note(line, 0));
  for (let time = 1; time < TIMES; time++) doing(time).lines.forEach((line) => note(line, time));
  page.text.replace(/\n+$/, "").split("\n").forEach((text, k) => {
    const at = times.get(k + 1) ?? [];
    const [code, comment] = text.split(/(?=#)/s, 2).concat("");
    const words = [code, made("span", { class: "comment" }, text.slice(code.length))];
    const shown = code.startsWith("#") ? [made("span", { class: "comment" }, text)] : words;
    const body = at.length
      ? made("button", { type: "button", class: "text", title: `computed in ${counted(at.length)}`, onclick: () => goTo(at) }, ...shown)
      : made("span", { class: "text" }, ...shown);
    const line = made("li", {}, made("span", { class: "number", "aria-hidden": "true" }, String(k + 1)), body);
    element("lines").append(line);
    lines.push({ line, at: new Set(at) });
  });
}

const counted = (count) => (count === 1 ? "one sublayer" : `${count} sublayers`);

/** The next of these times, or the first again. */
function goTo(times) {
  setTime(times.find((time) => time > state.time) ?? times[0]);
}

function light() {
  for (const { line, at } of lines) {
    const lit = at.has(state.time);
    line.classList.toggle("lit", lit);
    if (lit) line.setAttribute("aria-current", "step");
    else line.removeAttribute("aria-current");
  }
  const says = state.time === 0 ? ["puts roles, positions and fields into the stream"] : doing(state.time).says;
  element("says").replaceChildren(...(says.length ? says : ["nothing"]).map((text) => made("li", {}, text)));
  element("called").textContent = called(says.join(" "));
}

/** "%10 holds P, w.1 holds w": what the program calls that which a text names otherwise. */
function called(text) {
  const named = new Set(text.match(/%\d+|\w+\.\d+/g));
  const own = page.owners.filter(({ label: name, names }) => named.has(name) && names.length);
  return own.map(({ label: name, names }) => `${name} holds ${names.join(" and ")}`).join(", ");
}
