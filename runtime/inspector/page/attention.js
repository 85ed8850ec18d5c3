// The heads of the layer that is shown: who reads whom, and what for.

const PIXELS = 220; // Of a map's side, about.

function drawHeads() {
  const time = state.time === 0 ? 1 : state.time - ((state.time - 1) % 2);
  const box = element("heads");
  element("attention-title").textContent = TIMES > 1 ? `Heads of layer ${(time - 1) / 2}` : "Heads";
  if (TIMES === 1) return;
  const maps = mapsAt(time);
  if (!maps.length) {
    const why = !net && !page.maps ? "Attention is left out of this page: there is too much of it." : "No head does anything in this layer.";
    box.replaceChildren(made("p", { class: "note" }, why));
    return;
  }
  painted.length = 0;
  box.replaceChildren(...maps.map((map) => figureOf(map, time)));
}

const painted = []; // Of the layer that is shown: draws a map again.

/** The row of the chosen token is framed: whom it reads. */
function frameReader() {
  for (const paintAgain of painted) paintAgain();
}

function figureOf({ number: head, shares }, time) {
  const what = doing(time).heads[head] ?? "";
  const key = `${stored(time)}:${head}`;
  const side = page.tokens.length;
  const pixels = Math.max(2, Math.floor(PIXELS / side));
  const canvas = made("canvas", { role: "img", width: pixels * side, height: pixels * side });
  canvas.setAttribute("aria-label", `Head ${head}: ${what}. Readers from top to bottom, what they read from left to right, the rest token first.`);
  painted.push(() => paint(canvas, shares, side, pixels));
  painted.at(-1)();
  const figure = made("figure", { class: state.cut.has(key) ? "cut" : false }, made("figcaption", {}, `${head}: ${what}`), canvas);
  const words = () => made("ul", { tabindex: 0 }, ...told(shares, side).map((text) => made("li", {}, text)));
  figure.append(opening(`head ${head}`, "who reads whom", words));
  if (net) {
    const box = made("input", { type: "checkbox" });
    box.checked = state.cut.has(key);
    box.addEventListener("change", () => {
      const place = [...figure.parentElement.children].indexOf(figure);
      state.cut[box.checked ? "add" : "delete"](key);
      rerun(); // which draws all heads anew
      element("heads").querySelectorAll("input")[place].focus();
    });
    figure.append(made("label", { class: "note" }, box, page.run.filter((r) => r.stored === stored(time)).length > 1 ? " cut, in every pass" : " cut"));
  }
  return figure;
}

function paint(canvas, shares, side, pixels) {
  const context = canvas.getContext("2d");
  const { pos: neg, accent: pos, empty, ink } = colours;
  const most = shares.reduce((m, x) => Math.max(m, Math.abs(x)), 0) || 1;
  context.fillStyle = empty;
  context.fillRect(0, 0, canvas.width, canvas.height);
  for (let t = 0; t < side; t++) {
    for (let s = 0; s < side; s++) {
      const share = shares[t * side + s] / most;
      if (share === 0) continue;
      context.globalAlpha = Math.sqrt(Math.abs(share));
      context.fillStyle = share < 0 ? neg : pos;
      context.fillRect(s * pixels, t * pixels, pixels, pixels);
    }
  }
  if (!state.cell) return;
  context.globalAlpha = 1;
  context.strokeStyle = ink;
  context.strokeRect(0.5, (state.cell.token + 1) * pixels - 0.5, canvas.width - 1, pixels + 1);
}

/** "y1 reads x1 (100 %)": the three that each token reads most. */
function told(shares, side) {
  const least = 0.005;
  return page.tokens.map((token, t) => {
    const read = Array.from(shares.subarray(t * side, (t + 1) * side), (share, s) => ({ share, s }))
      .filter(({ share }) => Math.abs(share) > least)
      .sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
    const said = (share) => (page.linear ? share.toPrecision(2) : `${(100 * share).toFixed(0)} %`);
    const named = read.slice(0, 3).map(({ share, s }) => `${page.tokens[s].label} (${said(share)})`);
    const more = read.length > 3 ? ` and ${read.length - 3} more` : "";
    return `${token.label} reads ${named.join(", ") || "nothing"}${more}`;
  });
}
