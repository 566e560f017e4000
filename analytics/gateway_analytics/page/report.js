"use strict";
// Draws the report from the data beside it. Whatever names it holds become text nodes, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const [STEP, MODEL, KEY, CALLS, FAILED, INPUT, OUTPUT, COST, UNPRICED] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const chosen = { [MODEL]: -1, [KEY]: -1 };
const byId = (id) => document.getElementById(id);
const whole = (n) => Math.round(n).toLocaleString("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const axis = (unit, n) => (unit === dollars ? "$" : "")
  + (Math.abs(n) < 1e4 ? n.toLocaleString("en-US", { maximumSignificantDigits: Math.abs(n) < 100 ? 2 : 4 }) : short.format(n));
const dollars = (n) => "$" + n.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: n && Math.abs(n) < 1 ? 6 : 2 });

function element(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "path", "line", "text"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function rows() {
  return data.cube.filter((row) => [MODEL, KEY].every((n) => chosen[n] < 0 || row[n] === chosen[n]));
}

function filters() {
  for (const [column, title, names] of [[MODEL, "Model", data.models], [KEY, "Key", data.keys]]) {
    const select = element("select", { id: "filter-" + title.toLowerCase() });
    select.append(element("option", { value: "-1" }, "all"), ...names.map((name, n) => element("option", { value: n }, name)));
    select.addEventListener("change", () => { chosen[column] = Number(select.value); draw(); });
    byId("filters").append(element("label", {}, title + " ", select));
  }
}

function hover(node, text) {
  const show = (event) => {
    const tip = byId("tip");
    tip.textContent = text();
    tip.hidden = false;
    tip.style.left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = Math.max(event.clientY - tip.offsetHeight - 10, 4) + "px";
  };
  node.addEventListener("pointermove", show);
  node.addEventListener("pointerdown", show);
  node.addEventListener("pointerleave", () => { byId("tip").hidden = true; });
}

// Bars stacked per step, and lines on a scale of their own; tips are texts per step.
function chart(id, { stacks = [], lines = [], unit, tip, legend = [] }) {
  // As wide as its place, so that letters keep their size.
  const width = byId(id).clientWidth || 620, height = 200, left = 56, bottom = 22, top = 8, steps = data.steps.length || 1;
  const sums = data.steps.map((_, n) => stacks.reduce((sum, values) => sum + values[n], 0));
  const most = Math.max(...sums, ...lines.flat().filter((value) => value !== null), 0) || 1;
  const scale = (value) => height - bottom - (value / most) * (height - bottom - top);
  const slot = (width - left) / steps;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  for (const part of [0, 0.5, 1]) {
    const y = scale(most * part);
    svg.append(element("line", { class: "grid", x1: left, x2: width, y1: y, y2: y }),
      element("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, axis(unit, most * part)));
  }
  const every = Math.max(1, Math.ceil((steps * 90) / (width - left)));
  data.steps.forEach((step, n) => {
    // No label that the right edge would cut.
    if (n % every === 0 && left + n * slot < width - 40) svg.append(element("text", { x: left + n * slot, y: height - 6 }, step.slice(5).replace("T", " ")));
    let base = 0;
    stacks.forEach((values, k) => {
      if (values[n] > 0) {
        const y = scale(base + values[n]);
        svg.append(element("rect", { class: "f" + Math.min(k, 8), x: left + n * slot + slot * 0.1, y, width: Math.max(slot * 0.8, 0.5), height: Math.max(scale(base) - y, 0.2), "stroke-width": 0 }));
      }
      base += values[n];
    });
  });
  lines.forEach((values, k) => {
    let path = "";
    values.forEach((value, n) => {
      if (value !== null) path += `${path && values[n - 1] !== null ? "L" : "M"}${left + (n + 0.5) * slot},${scale(value)}`;
    });
    svg.append(element("path", { class: "f" + [0, 1, 4][k], d: path }));
  });
  data.steps.forEach((step, n) => {
    const area = element("rect", { class: "hover", x: left + n * slot, y: top, width: slot, height: height - bottom - top });
    hover(area, () => step + "\n" + tip(n));
    svg.append(area);
  });
  const names = legend.map(([color, name]) => element("span", {}, element("i", { class: "f" + color }), name));
  byId(id).replaceChildren(svg, element("div", { class: "legend" }, ...names));
}

function table(id, columns, lines) {
  const head = element("tr", {}, ...columns.map(([title, number]) => element("th", number ? { class: "number" } : {}, title)));
  const body = lines.map((line) => element("tr", {}, ...line.map((cell, n) => {
    const attributes = columns[n][1] ? { class: "number" } : columns[n][0] === "status" ? { class: String(cell).split(" ")[0] } : {};
    return element("td", attributes, cell === null ? "-" : String(cell));
  })));
  byId(id).replaceChildren(lines.length ? element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)) : "nothing");
}

function summed(list, column) {
  const total = data.steps.map(() => 0);
  for (const row of list) total[row[STEP]] += row[column];
  return total;
}

function largest(list, column, names) {
  const groups = names.map((name) => [name, 0, 0, 0, 0]);
  for (const row of list) {
    const group = groups[row[column]];
    group[1] += row[CALLS]; group[2] += row[FAILED]; group[3] += row[COST] / 1e6; group[4] += row[UNPRICED];
  }
  return groups.filter((group) => group[1] || group[4]).sort((a, b) => (a[0] === "other") - (b[0] === "other") || b[3] - a[3] || b[1] - a[1])
    .map(([name, calls, failed, cost, unpriced]) => [name, whole(calls), whole(failed), cost || !unpriced ? dollars(cost) : "unpriced", whole(unpriced)]);
}

function draw() {
  const list = rows(), all = chosen[MODEL] < 0 && chosen[KEY] < 0;
  const sum = (column) => list.reduce((total, row) => total + row[column], 0);
  const calls = sum(CALLS), failed = sum(FAILED), unpriced = sum(UNPRICED);
  const cost = all && data.totals.cost_usd !== null ? Number(data.totals.cost_usd) : sum(COST) / 1e6;
  const figures = [
    [all && data.totals.cost_usd === null ? "unpriced" : dollars(cost), "spent"], [whole(calls), "calls"],
    [calls ? ((100 * failed) / calls).toFixed(2) + " %" : "-", "failed"],
    [whole(sum(INPUT)), "input tokens"], [whole(sum(OUTPUT)), "output tokens"], [whole(unpriced), "attempts without a price"],
  ];
  byId("figures").replaceChildren(...figures.map(([value, title]) =>
    element("div", { class: "figure" }, element("b", {}, value), element("span", {}, title))));
  const spend = data.models.map((_, n) => summed(list.filter((row) => row[MODEL] === n), COST).map((value) => value / 1e6));
  chart("spend", { stacks: spend, unit: dollars, legend: data.models.map((name, n) => [Math.min(n, 8), name]), tip: (n) => data.models.map((name, k) => [name, spend[k][n]])
    .filter(([, value]) => value).map(([name, value]) => `${name}: ${dollars(value)}`).join("\n") || "nothing spent" });
  const perStep = summed(list, CALLS), failures = summed(list, FAILED);
  chart("calls", { stacks: [perStep.map((value, n) => value - failures[n]), [], [], [], failures].map((values) => values.length ? values : data.steps.map(() => 0)),
    unit: whole, legend: [[0, "answered"], [4, "failed"]], tip: (n) => `${whole(perStep[n])} calls\n${whole(failures[n])} failed` });
  const input = summed(list, INPUT), output = summed(list, OUTPUT);
  chart("tokens", { stacks: [input, output], unit: whole, legend: [[0, "input"], [1, "output"]], tip: (n) => `${whole(input[n])} input\n${whole(output[n])} output` });
  const columns = [["name", false], ["calls", true], ["failed", true], ["cost", true], ["unpriced", true]];
  table("models", columns, largest(list, MODEL, data.models));
  table("keys", columns, largest(list, KEY, data.keys));
}

function fixed() {
  byId("range").textContent = `${data.range.since ?? "the beginning"} to ${data.range.until ?? "now"}, days of ${data.range.tz}`;
  byId("made").textContent = `Made by gateway-analytics at ${data.made_at}. Costs beyond the largest models and keys are "other".`;
  const lines = ["p50", "p90", "p99"].map((name) => data.latency.map((step) => step && step[name]));
  chart("latency", { lines, unit: (n) => whole(n), legend: [[0, "p50"], [1, "p90"], [4, "p99"]], tip: (n) => data.latency[n]
    ? Object.entries(data.latency[n]).map(([name, value]) => `${name}: ${whole(value)} ms`).join("\n") : "no calls" });
  if (data.budgets === null) byId("budget-section").hidden = true;
  else table("budgets", [["budget", false], ["spent", true], ["limit", true], ["projected", true], ["status", false]],
    data.budgets.map((row) => [`${row.budget}, ${row.period}`, dollars(Number(row.spent_usd)), dollars(Number(row.limit_usd)),
      row.projected_usd === null ? null : dollars(Number(row.projected_usd)), row.status]));
  const remedies = data.quality.some((row) => row.remedy);
  table("quality", [["check", false], ["status", false], ["found", false], ...(remedies ? [["remedy", false]] : [])],
    data.quality.map((row) => [row.check, row.status, row.found, ...(remedies ? [row.remedy ?? ""] : [])]));
  byId("warnings").replaceChildren(...data.warnings.map((text) => element("li", {}, text)));
}

filters();
fixed();
draw();
let drawn = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === drawn) return; // a phone's address bar
  drawn = innerWidth;
  fixed();
  draw();
});
