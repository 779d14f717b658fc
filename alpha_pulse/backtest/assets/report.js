"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const seconds = (t) => t.map((s) => data.t0 + s);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const utc = (ts) => uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC");
  const number = (v, digits) =>
    v == null ? "–" : v.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
  const stamp = (s) => new Date(s * 1e3).toISOString().slice(0, 16).replace("T", " ");
  const charts = [];

  // One zoom for all: whichever chart moved tells the others.
  const follow = (u, key) => {
    if (key !== "x") return;
    const { min, max } = u.scales.x;
    for (const other of charts) {
      const x = other.scales.x;
      if (other !== u && (x.min !== min || x.max !== max)) other.setScale("x", { min, max });
    }
  };

  // The grid at each moment: anchor and nodes as steps, drawn under the price.
  const drawNodes = (u) => {
    const { ctx } = u;
    const g = data.grid;
    const { left, top, width, height } = u.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    g.steps.forEach(([t, anchor, spacing], i) => {
      const from = Math.max(left, u.valToPos(data.t0 + t, "x", true));
      const to = Math.min(left + width, u.valToPos(data.t0 + (i + 1 < g.steps.length ? g.steps[i + 1][0] : g.end), "x", true));
      if (to <= from || !(anchor > 0)) return;
      let before = null;
      for (let k = -g.levels; k <= g.levels; k++) {
        const price = g.geometric ? anchor * Math.exp(k * Math.log1p(spacing)) : anchor * (1 + k * spacing);
        const y = Math.round(u.valToPos(price, "y", true)) + 0.5;
        if (k !== 0 && before !== null && Math.abs(before - y) < 4 * devicePixelRatio) continue;
        before = y;
        ctx.strokeStyle = css(k === 0 ? "anchor" : "node");
        ctx.lineWidth = (k === 0 ? 1.5 : 0.75) * devicePixelRatio;
        ctx.setLineDash(k === 0 ? [] : [3 * devicePixelRatio, 3 * devicePixelRatio]);
        ctx.beginPath();
        ctx.moveTo(from, y);
        ctx.lineTo(to, y);
        ctx.stroke();
      }
    });
    ctx.restore();
  };

  const MAKER = 0, TAKER = 1, STOP = 2;
  const KINDS = ["maker", "taker", "stop"];
  const drawFills = (u) => {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const r = 4.5 * devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    for (const [t, price, sign, kind] of data.fills) {
      const x = u.valToPos(data.t0 + t, "x", true);
      if (x < left - r || x > left + width + r) continue;
      const y = u.valToPos(price, "y", true);
      ctx.strokeStyle = ctx.fillStyle = kind === STOP ? css("bad") : css(sign > 0 ? "buy" : "sell");
      ctx.lineWidth = (kind === STOP ? 3 : 1.5) * devicePixelRatio;
      ctx.beginPath();
      if (kind === STOP) {
        ctx.moveTo(x - 1.3 * r, y - 1.3 * r); ctx.lineTo(x + 1.3 * r, y + 1.3 * r);
        ctx.moveTo(x - 1.3 * r, y + 1.3 * r); ctx.lineTo(x + 1.3 * r, y - 1.3 * r);
      } else {
        // The tip touches the price: buys point up from below, sells down from above.
        ctx.moveTo(x, y);
        ctx.lineTo(x - r, y + sign * 1.7 * r);
        ctx.lineTo(x + r, y + sign * 1.7 * r);
        ctx.closePath();
      }
      if (kind === MAKER) {
        ctx.fill();
        ctx.strokeStyle = css("card");
        ctx.lineWidth = devicePixelRatio;
      } else if (kind === TAKER) {
        ctx.fillStyle = css("card");
        ctx.fill();
      }
      ctx.stroke();
    }
    ctx.restore();
  };

  const tellFill = (u) => {
    const tip = u.tip;
    const { left, top } = u.cursor;
    let best = null, distance = 14;
    if (left >= 0) {
      for (const fill of data.fills) {
        const far = Math.hypot(u.valToPos(data.t0 + fill[0], "x") - left, u.valToPos(fill[1], "y") + fill[2] * 5 - top);
        if (far < distance) [best, distance] = [fill, far];
      }
    }
    tip.style.display = best ? "block" : "none";
    if (!best) return;
    const [t, price, sign, kind, quantity] = best;
    tip.textContent = `${stamp(data.t0 + t)}  ${sign > 0 ? "buy" : "sell"} ${quantity} ${data.base} at ${number(price, data.decimals)} (${KINDS[kind]})`;
    const x = u.over.offsetLeft + left;
    tip.style.left = Math.max(0, Math.min(x + 12, u.root.clientWidth - tip.offsetWidth)) + "px";
    tip.style.top = u.over.offsetTop + Math.max(0, top - 32) + "px";
  };

  const COLOUR = { last: "price", hedged: "hedged", unhedged: "unhedged", static: "static", position: "hedged", target: "target", floor: "floor", net: "price", funding: "good", fees: "bad", slippage: "floor" };
  const DASH = { static: [6, 4], target: [5, 3], floor: [2, 3], fees: [5, 3], slippage: [2, 3] };

  // uPlot's time labels, from the widest step to the narrowest: [step, label, and what is added when the year or the day changed].
  const TIMES = [
    [86400 * 28, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [86400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [3600, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
    [60, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  ];

  // Without a cursor the legend says where the run ended.
  const atRest = (u) => {
    if (u.cursor.idx == null) u.setLegend({ idx: u.data[0].length - 1 }, false);
  };

  const build = (name) => {
    const panel = data.panels[name];
    const host = document.getElementById("plot-" + name);
    host.textContent = "";
    const scale = panel.percent ? 100 : 1;
    const columns = panel.series.map((s) => s.values.map((v) => (v == null ? null : v * scale)));
    const show = (v) => number(v, panel.decimals) + (v == null ? "" : " " + panel.unit);
    const axis = { stroke: css("soft"), grid: { stroke: css("grid"), width: 1 }, ticks: { stroke: css("grid"), width: 1 }, font: "12px system-ui, sans-serif" };
    const compact = host.clientWidth < 560;
    const options = {
      width: host.clientWidth,
      height: compact ? Math.min(panel.height, 240) : panel.height,
      tzDate: utc,
      cursor: { sync: { key: "run", scales: ["x", null] }, drag: { x: true, y: false } },
      scales: { y: panel.floor == null ? {} : { range: (u, min, max) => {
        const low = Math.min(min, panel.floor * scale), high = Math.max(max, panel.roof * scale), pad = (high - low) * 0.04;
        return [low - pad, high + pad];
      } } },
      axes: [{ ...axis, values: TIMES }, { ...axis, size: compact ? 66 : 76, values: (u, ticks) => ticks.map((v) => {
        const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
        return number(v, Math.max(0, Math.min(8, Math.ceil(-Math.log10(step) - 1e-9)))) + (panel.percent ? " %" : "");
      }) }],
      series: [
        { label: "UTC", value: (u, v) => (v == null ? "–" : stamp(v)) },
        ...panel.series.map((s) => ({
          label: s.label,
          stroke: css(COLOUR[s.key]),
          width: s.key === "hedged" || s.key === "position" ? 2 : 1.5,
          dash: DASH[s.key],
          value: (u, v) => show(v),
          points: { show: false },
          paths: panel.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
        })),
      ],
      legend: { markers: { width: 0, fill: (u, i) => css(COLOUR[panel.series[i - 1].key]) } },
      hooks: { setScale: [follow], setCursor: [atRest] },
    };
    if (name === "price") Object.assign(options.hooks, { drawAxes: [drawNodes], draw: [drawFills], setCursor: [atRest, tellFill] });
    const u = new uPlot(options, [seconds(panel.t), ...columns], host);
    atRest(u);
    if (name === "price") {
      u.tip = document.createElement("div");
      u.tip.className = "tip";
      host.append(u.tip);
    }
    return u;
  };

  const rebuild = () => {
    const zoom = charts.length ? { min: charts[0].scales.x.min, max: charts[0].scales.x.max } : null;
    charts.splice(0).forEach((u) => u.destroy());
    for (const name of Object.keys(data.panels)) charts.push(build(name));
    if (zoom) charts.forEach((u) => u.setScale("x", zoom));
  };

  rebuild();
  let width = document.body.clientWidth;
  addEventListener("resize", () => {
    if (document.body.clientWidth === width) return;
    width = document.body.clientWidth;
    rebuild();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", rebuild);
  addEventListener("beforeprint", () => { document.documentElement.classList.add("print"); rebuild(); });
  addEventListener("afterprint", () => { document.documentElement.classList.remove("print"); rebuild(); });
})();
