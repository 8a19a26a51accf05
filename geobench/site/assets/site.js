"use strict";
// Sorts, filters and chooses; draws figures anew. Without it all tables and figures are there.
const start = (root) => {
  const one = (id) => document.getElementById(root.dataset.board + id);
  const all = (selector, within = root) => [...within.querySelectorAll(selector)];
  const data = JSON.parse(one("data").textContent);
  const shown = data.rows.map(() => true);

  // -- what was packed: whole numbers of cells, lines that are told elsewhere or as usual
  const unpacked = (flat, scales) => {
    const ends = (kind) => {
      const [value, down, up] = flat.slice(3 * kind);
      return value === null ? [null, null, null] : [value, value - down, value + up].map((whole) => whole / 10 ** scales[kind]);
    };
    return [ends(0), ends(1), flat.length > 6 ? ends(2) : null];
  };
  for (const column of data.columns) column.cells = column.cells.map((row) => row.map((flat) => unpacked(flat, column.scales)));
  const ofCells = ([place, what]) => data.columns[place].cells.map((cells, row) => {
    const kind = ["score", "excess", "skill"].indexOf(what), each = cells.map((cell) => cell[kind] ?? [null, null, null]);
    if (what === "skill") return { row, y: each.map(([value]) => value) };
    const clear = ([, low]) => what === "score" || (low !== null && low > 0);
    const drawn = (end) => each.map((own) => (clear(own) ? own[end] : null));
    const most = each.flatMap((own, lead) => (!clear(own) && own[1] !== null && own[2] > 0 ? [[data.leads[lead], own[2]]] : []));
    return { row, y: drawn(0), low: drawn(1), high: drawn(2), most };
  });
  for (const { variants } of Object.values(data.figures)) for (const { chart } of variants) {
    if (chart.cells) Object.assign(chart, { series: ofCells(chart.cells), along: data.leads });
    geobenchCharts.unpack(chart, data.styles);
  }

  // -- how numbers are written, as in the pages themselves
  const number = (value, digits) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return "–";
    const text = Math.abs(value).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return value < 0 && Number(text.replaceAll(",", "")) !== 0 ? "−" + text : text;
  };
  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  // -- sorting
  const key = (row, place) => row.cells[place].dataset.sort ?? row.cells[place].textContent;
  const sort = (table, head, place) => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    const isText = head.dataset.kind === "text";
    const rows = all("tbody tr", table);
    const compare = (a, b) => {
      if (isText) return (up ? 1 : -1) * a.cells[place].textContent.trim().localeCompare(b.cells[place].textContent.trim());
      const [x, y] = [a, b].map((row) => parseFloat(key(row, place)));
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return (up ? 1 : -1) * (x - y);
    };
    rows.sort(compare);
    table.tBodies[0].append(...rows);
    all("thead th", table).forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
  };
  for (const table of all("table.sortable")) {
    all("thead th", table).forEach((head, place) => {
      if (head.dataset.kind === "none") return;
      const word = head.querySelector("a");  // it leads to the glossary
      const button = element("button", undefined, { type: "button", "aria-label": `Sort by ${word.textContent}` });
      head.abbr = word.textContent;
      word.after(button);
      button.addEventListener("click", () => sort(table, head, place));
    });
  }

  // -- which entries are shown
  const filter = one("filter");
  const refresh = () => {
    const words = filter.value.trim().toLocaleLowerCase();
    const off = (name) => new Set(all(`input[name=${name}]:not(:checked)`).map((each) => each.value));
    const [models, seeds] = [off("model"), off("seed")];
    data.rows.forEach((row, place) => {
      shown[place] = !models.has(row.label) && !seeds.has(String(row.seed)) && row.label.toLocaleLowerCase().includes(words);
    });
    all("[data-row]").forEach((each) => { each.hidden = !shown[each.dataset.row]; });
    one("shown").textContent = `${shown.filter(Boolean).length} of ${shown.length} entries shown`;
    for (const figure of drawn) draw(figure);
  };
  filter.addEventListener("input", refresh);
  all("input", one("models")).forEach((each) => each.addEventListener("change", refresh));
  filter.form.addEventListener("submit", (event) => event.preventDefault());

  // -- which scores tables show: of the variable, and those whose names have all the words, in any order
  const columns = one("columns"), variable = one("variable");
  const choose = () => {
    const words = columns.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    for (const table of all("table[data-scores]")) {
      let left = 0;
      all("thead th", table).forEach((head, place) => {
        if (head.dataset.score === undefined) return;
        const names = head.dataset.score.toLocaleLowerCase().split(/\s+/);
        const other = variable && variable.value && ![variable.value, ""].includes(head.dataset.variable);
        const wanted = !other && words.every((word) => names.some((name) => name.startsWith(word)));
        for (const row of table.rows) row.cells[place].hidden = !wanted;
        left += wanted;
      });
      table.parentElement.hidden = left === 0;
    }
  };
  for (const each of [columns, variable]) each?.addEventListener("input", choose);

  // -- what tables of scores show
  const fill = () => {
    const lead = Number(one("lead").value), view = Number(one("view").value);
    const name = data.leadNames[lead];
    all("[data-lead-name]").forEach((each) => { each.textContent = name; });
    all("[data-view-name]").forEach((each) => { each.textContent = one("view").selectedOptions[0].textContent; });
    for (const cell of all("td[data-column]")) {
      const row = Number(cell.parentElement.dataset.row), column = data.columns[cell.dataset.column];
      const told = column.cells[row][lead][view], digits = view === 2 ? 3 : column.digits + view;
      cell.dataset.sort = told?.[0] ?? "";
      cell.classList.toggle("best", column.best[lead].includes(row));
      const text = number(told?.[0], digits);
      cell.replaceChildren(text);
      if (told && text !== "–") cell.append(element("small", `${number(told[1], digits)} to ${number(told[2], digits)}`));
    }
    for (const table of all("table[data-scores]")) all("th[aria-sort]", table).forEach((each) => each.removeAttribute("aria-sort"));
  };
  for (const id of ["lead", "view"]) one(id).addEventListener("change", fill);

  // -- the scorecard
  const card = () => {
    const option = one("card-score").selectedOptions[0];
    const chosen = data.cards[option.dataset.card], reference = Number(one("card-reference").value);
    const columns = option.value === "all" ? chosen.columns.map((_, i) => i) : [Number(option.value)];
    const body = one("card-table").tBodies[0];
    body.replaceChildren();
    data.rows.forEach((row, place) => columns.forEach((column) => {
      const line = element("tr", undefined, { "data-row": place });
      const head = element("th", undefined, { scope: "row" });
      head.append(element("bdi", data.styles[place].name));
      line.append(head, element("td", chosen.columns[column], { class: "left" }));
      const means = chosen.means[column], other = means[reference];
      means[place].forEach((mean, lead) => {
        const value = mean === null || !other[lead] ? null : chosen.sign * 100 * (mean - other[lead]) / Math.abs(other[lead]);
        const clear = value !== null && chosen.clear[column][reference][place * data.leads.length + lead] === "1";
        const mark = clear ? (value > 0 ? "▲ " : "▼ ") : "";
        const cell = element("td", mark + number(value, 1));
        if (clear) { cell.className = value > 0 ? "better" : "worse"; cell.style.setProperty("--depth", Math.min(1, Math.abs(value) / 20)); }
        line.append(cell);
      });
      line.hidden = !shown[place];
      body.append(line);
    }));
    root.querySelector("[data-card-score]").textContent = option.textContent;
    root.querySelector("[data-card-reference]").textContent = data.styles[reference].name;
  };
  if (one("card-table")) for (const id of ["card-score", "card-reference"]) one(id).addEventListener("change", card);

  // -- figures
  const drawn = new Set();
  const seen = (series) => series.row === null || shown[series.row];
  const draw = (figure) => {
    const own = data.figures[figure.dataset.figure];
    geobenchCharts.draw(figure.querySelector(".live"), own.variants[own.chosen].chart, data.styles, seen);
  };
  const numbers = (figure) => {
    const own = data.figures[figure.dataset.figure], { chart } = own.variants[own.chosen];
    const table = figure.querySelector("[data-numbers]");
    table.caption.textContent = `${chart.y.title}, by ${chart.x.title}`;
    table.tHead.rows[0].cells[1].querySelector("a").textContent = `${chart.x.title}: ${chart.y.title}`;
    table.tBodies[0].replaceChildren(...chart.series.map((series) => {
      const row = element("tr"), head = element("th", undefined, { scope: "row" });
      head.append(element("bdi", series.name));
      row.append(head, element("td", geobenchCharts.points(series), { class: "left wrap" }));
      return row;
    }));
  };
  const wake = (figure) => {
    if (typeof Plotly === "undefined" || drawn.has(figure)) return;
    const still = figure.querySelector(".still"), live = element("div", undefined, { class: "live", role: "img", "aria-label": still.getAttribute("aria-label") });
    still.after(live);
    still.style.display = "none";
    drawn.add(figure);
    draw(figure);
  };
  all("select[data-variant]").forEach((select) => select.addEventListener("change", () => {
    const figure = select.closest("figure"), own = data.figures[figure.dataset.figure];
    own.chosen = Number(select.value);
    wake(figure);
    draw(figure);
    numbers(figure);
    figure.querySelector(".live").setAttribute("aria-label", `${figure.querySelector("h3").textContent}, ${select.selectedOptions[0].textContent}. The numbers are in the table below it.`);
  }));
  const watcher = new IntersectionObserver((found) => found.filter((each) => each.isIntersecting).forEach((each) => wake(each.target)), { rootMargin: "200px" });
  all("figure[data-figure]").forEach((figure) => watcher.observe(figure));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const figure of drawn) draw(figure); });
  choose();
  refresh();
};
for (const root of document.querySelectorAll("[data-board]")) start(root);
