// The page put together: who draws what when, the controls, the keys.

const PACE = 350; // Milliseconds of a sublayer while playing.

function drawTop() {
  element("name").textContent = page.name;
  element("about").textContent = page.about.map(([name, what]) => `${name}: ${what}`).join(" · ");
  element("time").max = String(TIMES - 1);
}

function drawWhere() {
  element("time").value = String(state.time);
  element("where").textContent = state.time === 0 ? "the embedding" : `after ${placeOf(state.time)}`;
  element("time").setAttribute("aria-valuetext", placeOf(state.time));
}

function drawMode() {
  const cuts = state.cut.size ? [`${state.cut.size} ${state.cut.size === 1 ? "head is" : "heads are"} cut`] : [];
  const edits = state.edited ? ["data are changed: the oracle's values are not known for them"] : [];
  let said = "These weights do not run in the page, as too large ones, 16 bits and some machines: values are those of the run that was recorded.";
  if (net && state.run) said = `Run in this page: ${[...edits, ...misfits(), ...cuts].join("; ")}.`;
  else if (net) said = "The weights are in the page: change a number, drag a point, cut a head, and they run again.";
  element("mode").textContent = said;
}

let timer = null;

function play(on) {
  state.playing = on;
  element("play").textContent = on ? "Pause" : "Play";
  element("play").setAttribute("aria-pressed", String(on));
  clearInterval(timer);
  if (!on) return;
  if (state.time === TIMES - 1) setTime(0);
  timer = setInterval(() => {
    setTime(state.time + 1);
    if (state.time === TIMES - 1) play(false);
  }, PACE);
}

const KEYS = {
  ",": () => setTime(state.time - 1),
  ".": () => setTime(state.time + 1),
  Home: () => setTime(0),
  End: () => setTime(TIMES - 1),
  " ": () => play(!state.playing),
};

function pressed(event) {
  const held = event.ctrlKey || event.metaKey || event.altKey;
  const typing = event.target.matches("input:not([type=range]):not([type=checkbox]), select, textarea");
  const own = event.key === " " && event.target.matches("button, summary, input, [role=button]");
  if (held || typing || own || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}

drawTop();
drawProgram();
drawGrid();
if (net) {
  drawEdit();
  drawScatter();
}

when("time", drawWhere);
when("time", light);
when("time run", colour);
when("cell", mark);
when("time cell run", drawHistory);
when("time run", drawHeads);
when("cell", frameReader);
when("time", drawNeurons);
when("time", drawSlots);
when("run", drawOutputs);
when("run", drawMode);
when("run", fill);
when("time run", drawPoints);

element("first").addEventListener("click", KEYS.Home);
element("last").addEventListener("click", KEYS.End);
element("back").addEventListener("click", KEYS[","]);
element("forth").addEventListener("click", KEYS["."]);
element("play").addEventListener("click", () => play(!state.playing));
element("time").addEventListener("input", () => setTime(Number(element("time").value)));
element("numbers").addEventListener("change", colour);
document.addEventListener("keydown", pressed);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  lookUpColours();
  changed("time");
});

for (const draw of new Set(listeners.map((listener) => listener.draw))) draw();

// For tests and for readers of the console: what the page knows, and what it can be told to do.
window.inspector = { page, state, variables, net, value, exact, mapsAt, setTime, choose, setInput, rerun, undo, forward };
