"use strict";
// Makes the controls, so that the page reads well without them: sorting, filters, choice of columns and of figures.
(() => {
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  document.documentElement.classList.add("js");

  // numbers by their value, others by their text; what has no value stays last
  const sort = (table, head) => {
    const place = head.cellIndex;
    const best = head.dataset.best === "high" ? "descending" : "ascending";
    const other = best === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === best ? other : best;
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => {
      const cell = row.cells[place];
      if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
      return cell.classList.contains("n") ? null : cell.textContent.trim();
    };
    const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
    for (const cell of head.parentElement.cells) cell.setAttribute("aria-sort", cell === head ? order : "none");
  };
  for (const table of all("table.sortable")) {
    for (const head of table.tHead.rows[0].cells) {
      const button = make("button", { type: "button" }, ...head.childNodes);
      button.addEventListener("click", () => sort(table, head));
      head.append(button);
      head.setAttribute("aria-sort", "none");
    }
  }

  const addFilter = (tools, section) => {
    const count = make("output", { className: "note" });
    const field = make("input", { type: "search", autocomplete: "off" });
    const rows = all("table.sortable tbody tr", section);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const name = row.cells[0].textContent.toLowerCase();
        row.hidden = !words.every((word) => name.includes(word));
      }
      const inView = rows.filter((row) => !row.closest(".option[hidden]"));
      const shown = inView.filter((row) => !row.hidden);
      count.value = words.length ? `${shown.length} of ${inView.length} rows` : "";
    });
    tools.append(make("label", { className: "control" }, `Filter ${tools.dataset.rows} `, field), count);
    tools.append(make("span", { className: "note" }, "Click the head of a column to sort."));
  };

  const addColumns = (tools, section) => {
    const heads = all("th[data-measure]", section);
    if (!heads.length) return;
    const measures = new Map();
    for (const head of heads) {
      if (!measures.has(head.dataset.measure)) measures.set(head.dataset.measure, head);
    }
    const show = (measure, shown) => {
      for (const head of heads.filter((each) => each.dataset.measure === measure)) {
        for (const row of head.closest("table").rows) row.cells[head.cellIndex].hidden = !shown;
      }
    };
    const set = make("fieldset", {}, make("legend", { className: "unseen" }, "Measures that are shown"));
    for (const [measure, head] of measures) {
      const box = make("input", { type: "checkbox", checked: "main" in head.dataset, value: measure });
      box.addEventListener("change", () => show(measure, box.checked));
      show(measure, box.checked);
      const text = head.querySelector("button").firstChild.textContent.trim();
      set.append(make("label", { title: measure }, box, text));
    }
    tools.append(make("details", { className: "columns" }, make("summary", {}, "Choose measures"), set));
  };
  for (const tools of all(".tools")) {
    addFilter(tools, tools.parentElement);
    addColumns(tools, tools.parentElement);
  }

  // one option of several; choices of the same name within the page follow each other
  const choices = all(".choice").map((choice) => ({ choice, options: all(":scope > .option", choice) }));
  const choose = (name, text) => {
    for (const { choice, options } of choices) {
      if (choice.dataset.choice !== name || !options.some((option) => option.dataset.option === text)) continue;
      for (const option of options) option.hidden = option.dataset.option !== text;
      const select = choice.querySelector(":scope > .control select");
      if (select) select.value = text;
    }
  };
  for (const { choice, options } of choices) {
    if (options.length > 1) {
      const select = make("select", {}, ...options.map((option) => make("option", {}, option.dataset.option)));
      select.addEventListener("change", () => {
        const place = choice.getBoundingClientRect().top;
        choose(choice.dataset.choice, select.value);
        // charts above may have changed their height
        scrollBy({ top: choice.getBoundingClientRect().top - place, behavior: "instant" });
      });
      choice.prepend(make("label", { className: "control" }, `${choice.dataset.choice} `, select));
    }
    options.forEach((option, place) => { option.hidden = place > 0; });
  }

  addEventListener("beforeprint", () => all("details").forEach((each) => { each.open = true; }));
})();
