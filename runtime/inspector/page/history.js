// The chosen component in every sublayer: times down, tokens across.

const STEP = 7; // Pixels of a time.

function drawHistory() {
  const canvas = element("times");
  const what = element("history-what");
  const cell = state.cell ?? (rows.length ? { variable: rows[0].variable, component: rows[0].component, token: 0 } : null);
  if (!cell) return;
  const { variable, component } = cell;
  const wide = Math.max(6, Math.min(22, Math.floor(420 / TOKENS)));
  canvas.width = wide * TOKENS;
  canvas.height = STEP * TIMES;
  const context = canvas.getContext("2d");
  const { neg, pos, empty, ink } = colours;
  for (let time = 0; time < TIMES; time++) {
    for (let token = 0; token < TOKENS; token++) {
      const x = value(variable, component, token, time);
      context.globalAlpha = 1;
      context.fillStyle = empty;
      context.fillRect(token * wide, time * STEP, wide - 1, STEP - 1);
      if (x === null) continue;
      const early = variable.exact.get(time, token, component) === null;
      context.globalAlpha = Math.sqrt(Math.min(1, Math.abs(x) / variable.most)) * (early ? 0.35 : 1);
      context.fillStyle = x < 0 ? neg : pos;
      context.fillRect(token * wide, time * STEP, wide - 1, STEP - 1);
    }
  }
  context.globalAlpha = 1;
  context.strokeStyle = ink;
  context.strokeRect(0.5, state.time * STEP - 0.5, canvas.width - 1, STEP);
  const said = `${label(variable, component)}: the embedding above, then sublayer by sublayer; tokens from left to right. A click goes there.`;
  what.textContent = said;
  canvas.setAttribute("aria-label", `${said} The table of values says the same, one sublayer at a time.`);
}

element("times").addEventListener("click", (event) => {
  const canvas = element("times");
  const box = canvas.getBoundingClientRect();
  const token = Math.floor(((event.clientX - box.left) / box.width) * TOKENS);
  const cell = state.cell ?? { variable: rows[0].variable, component: rows[0].component };
  state.cell = { ...cell, token: Math.max(0, Math.min(TOKENS - 1, token)) };
  setTime(Math.floor(((event.clientY - box.top) / box.height) * TIMES));
});
