"use strict";
// Draws charts with plotly, from what `geobench.charts.interactive` writes.
const geobenchCharts = (() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const safe = (name) => name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const cut = (name) => safe(name.length > 28 ? name.slice(0, 27) + "…" : name);
  const digits = (value) => Number(value.toPrecision(4));

  // -- series: what was left out as usual is put back
  const usual = (styles, along) => (series) => ({ row: null, name: styles[series.row]?.name, x: along, low: [], high: [], most: [], second: false, band: false, ...series });
  const unpack = (chart, styles) => { chart.series = chart.series.map(usual(styles, chart.along)); };

  // -- traces
  const look = (series, styles) => {
    const own = series.row === null ? { colour: colour("soft"), dash: "dash", symbol: "circle" } : styles[series.row];
    return { ...own, ink: own.colour || colour("ink") };
  };
  const interval = (series, ink) => ({ type: "data", symmetric: false, thickness: 1, width: 2, color: ink,
    array: series.high.map((v, i) => v === null ? 0 : v - series.y[i]), arrayminus: series.low.map((v, i) => v === null ? 0 : series.y[i] - v) });
  const line = (chart, series, styles) => {
    const { ink, dash, symbol } = look(series, styles), points = chart.kind === "points";
    const made = {
      type: "scatter", x: series.x, y: series.y, name: cut(series.name), mode: points ? "markers" : "lines+markers",
      line: { color: ink, dash: series.second ? "dot" : dash, width: 1.8 },
      marker: { color: ink, symbol, size: series.row === null || series.second ? 1 : points ? 10 : 6 },
      showlegend: !series.second, legendgroup: String(series.row), hovertemplate: `%{y:.4g}<extra>${cut(series.name)}</extra>`,
    };
    if (points) Object.assign(made, { hovertemplate: `%{x:.4g}, %{y:.4g}<extra>${cut(series.name)}</extra>` });
    if (series.low.length && !series.band) made.error_y = interval(series, ink);
    return made;
  };
  const band = (series, styles) => {
    const edge = { type: "scatter", mode: "lines", x: series.x, line: { width: 0 }, showlegend: false, legendgroup: String(series.row), hoverinfo: "skip" };
    return [{ ...edge, y: series.low }, { ...edge, y: series.high, fill: "tonexty", fillcolor: `${look(series, styles).ink}33` }];
  };
  const atMost = (series, styles) => ({ type: "scatter", mode: "markers", x: series.most.map(([x]) => x), y: series.most.map(([, y]) => y),
    name: cut(series.name), legendgroup: String(series.row), showlegend: series.y.every((v) => v === null),
    marker: { color: look(series, styles).ink, symbol: "triangle-down-open", size: 9 + 2 * (series.row % 3), line: { width: 1.5 } },
    hovertemplate: `at most %{y:.4g}<extra>${cut(series.name)}</extra>` });
  const bars = (series, styles) => ({ type: "bar", x: series.x, y: series.y, name: cut(series.name), marker: { color: look(series, styles).ink, opacity: 0.75 },
    hovertemplate: `%{y:.4g}<extra>${cut(series.name)}</extra>`, ...(series.low.length ? { error_y: interval(series, colour("ink")) } : {}) });
  // The basic bundle of plotly has no heat maps: cells are shapes, with texts in them.
  const decimals = (list) => {
    const largest = Math.max(...list.flatMap((series) => series.y.filter((v) => v !== null).map(Math.abs)));
    return largest > 0 ? Math.min(6, Math.max(0, 3 - Math.floor(Math.log10(largest)))) : 3;
  };
  const written = (value, places) => value === null ? "–" : value.toFixed(places).replace("-", "−");
  const heat = (series, place, columns, places) => ({ type: "scatter", mode: "text", showlegend: false, x: series.x.map((x) => columns.indexOf(x)), y: series.x.map(() => place),
    text: series.y.map((v) => written(v, places)), customdata: series.y,
    hovertemplate: `%{customdata:.4g}<extra>${cut(series.name)}</extra>` });
  const cells = (list, columns) => {
    const values = list.flatMap((series) => series.y.filter((v) => v !== null)), low = Math.min(...values), high = Math.max(...values);
    const strength = (v) => low < 0 ? v / Math.max(-low, high) : high > low ? (v - low) / (high - low) : 0;
    return list.flatMap((series, place) => series.x.map((x, i) => {
      const own = series.y[i] === null ? 0 : strength(series.y[i]), column = columns.indexOf(x);
      return { type: "rect", layer: "below", x0: column - 0.5, x1: column + 0.5, y0: place - 0.5, y1: place + 0.5, line: { width: 0 },
        fillcolor: `rgba(${colour(own < 0 ? "worse" : "better")}, ${0.45 * Math.abs(own)})` };
    }));
  };

  // -- axes
  const axis = ({ title, log }) => ({ title: { text: safe(title), font: { size: 12 }, standoff: 8 }, type: log ? "log" : "linear", gridcolor: colour("line"), linecolor: colour("soft"),
    zeroline: false, automargin: true, ...(log ? { dtick: 1, exponentformat: "power", minor: { showgrid: false } } : {}) });
  const plain = (names) => ({ tickvals: names.map((_, i) => i), ticktext: names, showgrid: false, ticks: "" });
  const layout = (chart, list, columns) => {
    const x = axis(chart.x), y = axis(chart.y);
    const dashed = { type: "line", line: { color: colour("soft"), width: 1, dash: "dash" } };
    const shapes = chart.guides.map(([height]) => ({ ...dashed, xref: "paper", x0: 0, x1: 1, y0: height, y1: height }));
    if (chart.diagonal) shapes.push({ ...dashed, x0: 0, y0: 0, x1: 1, y1: 1 });
    if (chart.x.ticks.length) Object.assign(x, { tickvals: chart.x.ticks, ticktext: chart.x.names.length ? chart.x.names.map(safe) : chart.x.ticks.map(String), dtick: undefined });
    if (chart.kind === "heat") {
      Object.assign(x, plain(chart.x.names.length ? chart.x.names.map(safe) : columns.map(String)));
      Object.assign(y, plain(list.map((series) => cut(series.name))), { title: { text: "" }, autorange: "reversed" });
      shapes.push(...cells(list, columns));
    }
    return { xaxis: x, yaxis: y, shapes, barmode: "group", margin: { l: 10, r: 12, t: 12, b: 10 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, DejaVu Sans, sans-serif", size: 12, color: colour("ink") }, hovermode: "closest",
      legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, font: { size: 11 } }, hoverlabel: { namelength: -1 } };
  };

  const traces = (chart, list, styles, columns) => {
    if (chart.kind === "bars") return list.map((series) => bars(series, styles));
    if (chart.kind === "heat") return list.map((series, place) => heat(series, place, columns, decimals(list)));
    return list.flatMap((series) => [
      ...(series.band ? band(series, styles) : []),
      ...(series.y.some((y) => y !== null) ? [line(chart, series, styles)] : []),
      ...(series.most.length ? [atMost(series, styles)] : []),
    ]);
  };
  const draw = (live, chart, styles, seen) => {
    const list = chart.series.filter(seen), columns = [...new Set(list.flatMap((series) => series.x))].sort((a, b) => a - b);
    const made = traces(chart, list, styles, columns), names = made.filter((each) => each.showlegend ?? true).map((each) => Math.min(28, each.name.length));
    const abreast = Math.max(1, Math.floor(live.clientWidth / (62 + 6.5 * Math.max(1, ...names))));
    live.style.height = chart.kind === "heat" ? `${6 + 1.6 * list.length}rem` : `${18 + 1.35 * Math.ceil(names.length / abreast)}rem`;
    Plotly.react(live, made, layout(chart, list, columns), { displayModeBar: false, responsive: true });
  };

  // -- the same numbers as text
  const points = (series) => [
    ...series.y.flatMap((y, i) => y === null ? [] : [`${digits(series.x[i])}: ${digits(y)}; `]),
    ...series.most.map(([x, y]) => `${digits(x)}: at most ${digits(y)}; `),
  ].join("");
  return { draw, points, unpack };
})();
