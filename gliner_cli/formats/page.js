"use strict";
// Filters a page that is whole without it. Marks are read when a filter is first used, so that opening costs nothing.
const at = (id) => document.getElementById(id);
const main = at("documents"), panel = at("panel"), query = at("query"), score = at("score"), hits = at("hits");
const legend = [...panel.querySelectorAll("#legend button")];
const count = (number) => number.toLocaleString("en-US");
const many = (number, one, more) => `${count(number)} ${number === 1 ? one : more}`;

let read;
const documents = () => read ??= [...main.children].map((article) => ({ article, marks: [...article.querySelectorAll("mark")].map(markRead) }));

function markRead(mark) {
  const { l, s, n, t } = mark.dataset;
  return { mark, label: Number(l), score: s === undefined ? NaN : Number(s), last: n !== undefined, name: t, off: false };
}

// What was typed, any white space for a space; case is ignored, and no character changes its length by that.
function searched() {
  const words = query.value.replace(/…$/, "").trim().split(/\s+/u).filter(Boolean);
  const pattern = words.map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("\\s+");
  return pattern && new RegExp(pattern, "giu");
}

function filter() {
  const least = score ? Number(score.value) : 0, pattern = searched();
  const on = legend.map((button) => button.ariaPressed === "true");
  const labels = legend.map(() => 0), names = new Map();
  let shown = 0, entities = 0;
  for (const { article, marks } of documents()) {
    const matches = !pattern || article.textContent.search(pattern) >= 0;
    const seen = [];
    for (const one of marks) {
      const counts = !(one.score < least), off = !(counts && on[one.label]);
      if (one.off !== off) one.mark.classList.toggle("off", (one.off = off));
      if (one.last && counts && matches) labels[one.label]++;
      if (one.last && !off) seen.push(one);
    }
    article.hidden = !matches || (hits.checked && !seen.length);
    if (article.hidden) continue;
    shown++;
    entities += seen.length;
    seen.forEach((one) => named(names, one));
  }
  legend.forEach((button, label) => { button.lastChild.textContent = count(labels[label]); });
  drawFrequent(names);
  highlight(pattern);
  at("status").textContent = `${many(shown, "document", "documents")}, ${many(entities, "entity", "entities")} shown`;
}

function named(names, { mark, label, name }) {
  const text = name ?? mark.textContent, key = `${label} ${text}`;
  const known = names.get(key);
  if (known) known.number++;
  else names.set(key, { label, text, number: 1 });
}

function drawFrequent(names) {
  const list = at("frequent");
  if (!list) return;
  const most = [...names.values()].sort((a, b) => b.number - a.number).slice(0, Number(list.dataset.most));
  list.replaceChildren(...most.map(({ label, text, number }) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: legend[label].className });
    const parts = { bdi: text, small: legend[label].firstChild.textContent, span: count(number) };
    for (const [kind, content] of Object.entries(parts)) button.append(Object.assign(document.createElement(kind), { textContent: content }));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

// The first matches are coloured without touching the document; browsers that cannot, filter only.
function highlight(pattern) {
  if (!globalThis.Highlight) return;
  const ranges = [];
  for (const article of pattern ? main.children : []) {
    if (ranges.length >= 500) break;
    if (!article.hidden) ranges.push(...matchesIn(article, pattern));
  }
  CSS.highlights.set("found", new Highlight(...ranges));
}

function matchesIn(article, pattern) {
  const nodes = [], walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  for (let start = 0; walker.nextNode(); start += walker.currentNode.data.length) nodes.push({ node: walker.currentNode, start });
  const place = (offset, range, side) => {
    const { node, start } = nodes.findLast((one) => one.start < offset + (side === "setStart"));
    range[side](node, offset - start);
  };
  return [...article.textContent.matchAll(pattern)].map((match) => {
    const range = new Range();
    place(match.index, range, "setStart");
    place(match.index + match[0].length, range, "setEnd");
    return range;
  });
}

let waiting;
function soon() {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(filter);
}

main.before(panel); // so that it is also the first for keys and for readers aloud
at("filters").hidden = false;
if (at("both")) at("both").hidden = false;
if (matchMedia("(max-width: 860px)").matches) panel.querySelectorAll("details").forEach((one) => { one.open = false; });
query.addEventListener("input", soon);
hits.addEventListener("change", soon);
score?.addEventListener("input", () => { at("least").textContent = Number(score.value).toFixed(2); soon(); });
legend.forEach((button) => button.addEventListener("click", () => { button.ariaPressed = String(button.ariaPressed !== "true"); soon(); }));
at("both")?.querySelectorAll("button").forEach((button, none) => button.addEventListener("click", () => {
  legend.forEach((one) => { one.ariaPressed = String(!none); });
  soon();
}));
at("frequent")?.addEventListener("click", ({ target }) => {
  const chosen = target.closest("button");
  if (!chosen) return;
  query.value = chosen.querySelector("bdi").textContent;
  soon();
});
