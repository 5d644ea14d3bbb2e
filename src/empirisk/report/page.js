"use strict";
document.documentElement.classList.add("js");

// The numbers behind a button are wanted on paper too.
addEventListener("beforeprint", () => document.querySelectorAll("details.more").forEach((d) => { d.open = true; }));

// Filter pictures by group.
document.querySelectorAll("ul.tiles").forEach((list) => {
  const items = [...list.children], groups = [...new Set(items.map((i) => i.dataset.group).filter(Boolean))];
  if (groups.length < 2) return;
  const bar = document.createElement("div");
  bar.className = "filter";
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Show only");
  ["all", ...groups].forEach((name, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.setAttribute("aria-pressed", String(at === 0));
    button.addEventListener("click", () => {
      items.forEach((i) => { i.hidden = at > 0 && i.dataset.group !== name; });
      bar.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
    });
    bar.append(button);
  });
  list.before(bar);
});

// Operating point: the rows of the figure's own table, the prevalence of the reader.
document.querySelectorAll(".dial").forEach((dial) => {
  const rows = [...dial.closest("figure").querySelectorAll("details.numbers tbody tr")]
    .map((r) => [...r.cells].map((c) => parseFloat(c.textContent.replace("−", "-"))));
  const [threshold, prevalence] = dial.querySelectorAll("input");
  const put = (name, text) => dial.querySelectorAll(`[data-out=${name}]`).forEach((e) => { e.textContent = text; });
  const share = (v) => !isFinite(v) ? "–" : v >= 0.9995 ? "1.000" : v.toFixed(3).slice(1);
  const range = (v, low, high) => isFinite(low) ? `${share(v)} [${share(low)}, ${share(high)}]` : share(v);
  const update = () => {
    const [t, se, seLow, seHigh, sp, spLow, spHigh] = rows[+threshold.value], p = prevalence.value / 100;
    const tp = p * se, fn = p * (1 - se), fp = (1 - p) * (1 - sp), tn = (1 - p) * sp;
    put("threshold", share(t));
    put("prevalence", `${prevalence.value} %`);
    put("sensitivity", range(se, seLow, seHigh));
    put("specificity", range(sp, spLow, spHigh));
    put("ppv", share(tp / (tp + fp)));
    put("npv", share(tn / (tn + fn)));
    Object.entries({ tp, fn, fp, tn }).forEach(([name, v]) => put(name, Math.round(1000 * v)));
    threshold.setAttribute("aria-valuetext", share(t));
  };
  threshold.max = rows.length - 1;
  threshold.value = dial.dataset.row;
  [threshold, prevalence].forEach((i) => i.addEventListener("input", update));
  update();
});
