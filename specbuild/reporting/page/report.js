"use strict";
// Draws the charts and the forecasts of the page from the numbers in #payload. The colors are those of the style
// sheet, so that the charts follow the reader's choice of light or dark.
(() => {
  const data = JSON.parse(document.getElementById("payload").textContent);
  const find = (id) => document.getElementById(id);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const line = (place) => color(`c${place % 8}`);
  const dashes = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
  const marks = ["circle", "square", "x", "triangle-up", "diamond", "triangle-down"];
  const range = (count) => Array.from({ length: count }, (_, index) => index);
  // Plotly reads a few HTML tags in text; names are shown as they are.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const redraws = [];

  const clear = (hex) => {
    const parts = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
    return `rgba(${parts.join(",")},0.2)`;
  };

  const layout = (more) => {
    const narrow = window.innerWidth < 640;
    const axis = { gridcolor: color("grid"), zeroline: false, linecolor: color("line"), automargin: true, fixedrange: true };
    return {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: color("ink"), size: narrow ? 12 : 13, family: "system-ui, sans-serif" },
      margin: { l: 48, r: 12, t: 30, b: 40 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: color("ink") } },
      hovermode: "x unified",
      hoverlabel: { bgcolor: color("paper"), font: { color: color("ink") } },
      dragmode: false,
      ...more,
      xaxis: { ...axis, showgrid: false, ...more.xaxis },
      yaxis: { ...axis, ...more.yaxis },
    };
  };

  const plot = (id, traces, more) =>
    Plotly.react(find(id), traces, layout(more), { responsive: true, displayModeBar: false, showTips: false });

  // Marks at whole numbers alone, about eight of them.
  const whole = (numbers) => {
    const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
    const step = [1, 2, 5].flatMap((digit) => [0, 1, 2, 3, 4, 5, 6].map((power) => digit * 10 ** power)).sort((a, b) => a - b)
      .find((each) => each * 8 >= most - least) ?? most - least;
    return { tickmode: "linear", tick0: 0, dtick: step };
  };
  // Labels of categories, as many as fit.
  const some = (labels) => {
    const room = Math.max(2, Math.floor(window.innerWidth / (9 * Math.max(...labels.map((label) => label.length)) + 8)));
    const every = Math.ceil(labels.length / Math.min(room, 14));
    return { type: "category", categoryorder: "array", categoryarray: labels, tickvals: labels.filter((_, at) => at % every === 0), tickangle: 0 };
  };

  const fill = (select, labels) => {
    select.replaceChildren(...labels.map((label, index) => new Option(label, String(index))));
  };

  // The area between two rows of values; where an end is not known there is none.
  const band = (x, low, high, shade, group) => [
    { x, y: low, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false, legendgroup: group },
    {
      x, y: high, mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: clear(shade), hoverinfo: "skip",
      showlegend: false, legendgroup: group,
    },
  ];

  // Scores

  const group = find("score-group");
  const choice = find("score-choice");

  const drawScores = () => {
    const groupAt = group ? Number(group.value) : 0;
    const chart = data.scores[groupAt].charts[Number(choice.value)];
    const traces = [];
    const leads = [...new Set(chart.lines.flatMap((each) => each.leads))];
    for (const each of chart.lines) {
      const shade = line(each.place);
      const alone = each.leads.length === 1 && each.low.length === 1 && each.low[0] !== null;
      if (each.low.length > 1) traces.push(...band(each.leads, each.low, each.high, shade, each.name));
      traces.push({
        x: each.leads, y: each.values, name: plain(each.name), legendgroup: each.name, mode: "lines+markers",
        line: { color: shade, width: each.solid ? 3 : 2, dash: each.solid ? "solid" : dashes[1 + (each.place % 5)] },
        marker: { symbol: marks[each.place % marks.length], size: leads.length > 24 ? 4 : 7, color: shade },
        ...(alone ? { error_y: { symmetric: false, array: [each.high[0] - each.values[0]], arrayminus: [each.values[0] - each.low[0]] } } : {}),
      });
    }
    const shapes = chart.zero
      ? [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 0, y1: 0, line: { color: color("soft"), width: 1 } }]
      : [];
    const known = chart.lines.flatMap((each) => each.values.filter((value) => value !== null));
    const far = chart.units === "%" && Math.min(...known) < -200 && Math.max(...known) > -200;
    const title = chart.units ? `${chart.label} (${chart.units})` : chart.label;
    plot("score-chart", traces, {
      shapes,
      xaxis: { title: { text: "lead time" }, ...some(leads) },
      yaxis: {
        title: { text: plain(title) },
        ...(chart.units === "%" ? { ticksuffix: " %" } : {}),
        ...(far ? { range: [-200, 100] } : {}),
      },
    });
    find("score-chart").setAttribute("aria-label", `${title} by lead time, as in the table below`);
    for (const table of document.querySelectorAll(".score-table")) {
      table.hidden = table.dataset.group !== String(groupAt) || table.dataset.chart !== choice.value;
    }
    for (const part of document.querySelectorAll(".score-group")) part.hidden = part.dataset.group !== String(groupAt);
  };

  if (choice) {
    choice.addEventListener("change", drawScores);
    group?.addEventListener("change", () => {
      const before = choice.selectedOptions[0]?.textContent;
      const labels = data.scores[Number(group.value)].charts.map((chart) => chart.label);
      fill(choice, labels);
      choice.value = String(Math.max(labels.indexOf(before), 0));
      drawScores();
    });
    redraws.push(drawScores);
  }

  // Training

  const curve = find("curve-choice");

  const drawCurves = () => {
    const name = curve.value;
    const traces = [];
    const shapes = [];
    data.curves.forEach((run, at) => {
      const prefix = run.run ? `${run.run}: ` : "";
      [[name, name === "learning_rate" ? name : "training", 0], [`val_${name}`, "validation", 1]].forEach(([key, label, kind]) => {
        if (!run.series[key]) return;
        const shade = line(data.curves.length > 1 ? at : kind);
        traces.push({
          x: run.epochs, y: run.series[key], name: plain(prefix + label), mode: run.epochs.length > 40 ? "lines" : "lines+markers",
          line: { color: shade, width: 2.5, dash: kind || data.curves.length === 1 ? "solid" : "dot" }, marker: { color: shade, size: 6 },
        });
      });
      const rule = (epoch, dash) => shapes.push({
        type: "line", yref: "paper", y0: 0, y1: 1, x0: epoch, x1: epoch,
        line: { color: data.curves.length > 1 ? line(at) : color("ink"), width: 1.5, dash },
      });
      if (run.best !== null) rule(run.best, "dot");
      run.resumed.forEach((epoch) => rule(epoch + 0.5, "dash"));
      if (run.best !== null) {
        traces.push({
          x: [run.best], y: [(run.series[`val_${name}`] || run.series[name] || [])[run.epochs.indexOf(run.best)] ?? null],
          name: plain(`${prefix}best epoch, ${run.best}`), mode: "markers",
          marker: { symbol: "star", size: 13, color: data.curves.length > 1 ? line(at) : color("ink") },
        });
      }
    });
    const values = traces.flatMap((trace) => trace.y).filter((value) => value !== null);
    const wide = values.length && Math.min(...values) > 0 && Math.max(...values) > 20 * Math.min(...values);
    plot("curve-chart", traces, {
      shapes,
      xaxis: { title: { text: "epoch" }, ...whole(data.curves.flatMap((run) => run.epochs)) },
      yaxis: { title: { text: plain(name) }, type: wide ? "log" : "linear" },
    });
    find("curve-chart").setAttribute("aria-label", `${name} by epoch, as in the table below`);
  };

  if (curve) {
    const names = [...new Set(data.curves.flatMap((run) => Object.keys(run.series).map((key) => key.replace(/^val_/, ""))))];
    names.sort((a, b) => (b === "loss") - (a === "loss"));
    curve.replaceChildren(...names.map((name) => new Option(name, name)));
    curve.addEventListener("change", drawCurves);
    redraws.push(drawCurves);
  }

  // Forecasts

  const runs = find("browser-runs");
  const layers = find("browser-layers");
  const windowSlider = find("browser-window");
  const leadSlider = find("browser-lead");

  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const browser = () => data.forecasts[Number(runs.value)];
  const layer = () => browser().layers[Number(layers.value)];
  const shownWindow = () => layer().windows[Number(windowSlider.value)];

  const tick = (axis, at, text) => {
    const made = element("span", { class: `tick ${axis}`, "aria-hidden": "true" }, text);
    made.style[axis === "x" ? "left" : "top"] = `${100 * at}%`;
    return made;
  };

  // Pictures are made once for a variable; the sliders then change their sources and texts alone.
  const buildPanels = () => {
    const now = layer();
    const box = find("browser-panels");
    box.style.setProperty("--least", now.aspect > 1.3 ? "10rem" : "12rem");
    box.hidden = now.kind === "point";
    find("browser-bars").hidden = now.kind === "point";
    const past = now.windows[0].past ? [{ name: "last past frame" }] : [];
    box.replaceChildren(
      ...(now.kind === "point" ? [] : [...past, ...now.panels]).map((panel) => {
        const frame = element("div", { class: "frame" }, element("img", { alt: "" }));
        frame.style.aspectRatio = `1 / ${now.aspect}`;
        if (now.kind === "map") frame.append(element("span", { class: "ring", "aria-hidden": "true" }));
        for (const [at, text] of now.x) frame.append(tick("x", at, text));
        for (const [at, text] of now.y) frame.append(tick("y", at, text));
        const sides = `${now.x.length ? "with-x" : ""} ${now.y.length ? "with-y" : ""}`;
        return element(
          "figure", { class: "panel" },
          element("figcaption", {}, element("strong", {}, panel.name), " ", element("span")),
          element("div", { class: `map ${sides}` }, frame),
        );
      }),
    );
    find("browser-bars").replaceChildren(
      ...now.bars.map((bar) => {
        const ends = `${bar.ticks[0]?.[1]} to ${bar.ticks[bar.ticks.length - 1]?.[1]}`;
        const colors = element("div", { class: "colors" }, element("img", { src: bar.image, alt: `Color scale of ${bar.label}, ${ends}` }));
        for (const [at, text] of bar.ticks) colors.append(tick("x", at, text));
        return element("div", {}, element("p", {}, bar.label), colors);
      }),
    );
    const notes = [];
    if (now.kind !== "point") notes.push("Gray marks missing values; values beyond the ends of a scale have the color of its end.");
    if (now.skewed && now.kind !== "point") notes.push("The color scale is a square-root scale.");
    if (now.boxes > 1) notes.push(`Pictures show means over boxes of ${now.boxes} × ${now.boxes} pixels; errors are computed from all pixels.`);
    if (now.left_out) notes.push(`${now.left_out} more lead times are not shown.`);
    if (now.words) notes.push(`Axes: ${now.words}.`);
    if (now.kind === "map") notes.push("The ring marks the pixel of the time series below, where the observations of the window vary most.");
    find("browser-note").textContent = notes.join(" ");
    windowSlider.max = String(now.windows.length - 1);
    leadSlider.max = String(now.leads.length - 1);
    if (Number(windowSlider.value) >= now.windows.length) windowSlider.value = "0";
    if (Number(leadSlider.value) >= now.leads.length) leadSlider.value = "0";
    find("browser-lead-row").hidden = now.leads.length < 2;
  };

  const drawPanels = () => {
    const now = layer();
    const shown = shownWindow();
    const leadAt = Number(leadSlider.value);
    const lead = shown.leads[leadAt];
    const units = now.units ? ` ${now.units}` : "";
    const windowText = `${Number(windowSlider.value) + 1} of ${now.windows.length}: ${shown.label}${shown.why ? ` (${shown.why})` : ""}. ${shown.errors}`;
    const leadText = lead?.time ? `${now.leads[leadAt]}, ${lead.time}` : now.leads[leadAt];
    find("browser-window-text").textContent = windowText;
    windowSlider.setAttribute("aria-valuetext", windowText);
    find("browser-lead-text").textContent = leadText;
    leadSlider.setAttribute("aria-valuetext", leadText);
    const names = now.panels.map((panel) => `${panel.name}, ${leadText}`);
    const past = shown.past ? [shown.past] : [];
    if (past.length) names.unshift("last past frame");
    const images = [...past, ...lead.images];
    find("browser-panels").querySelectorAll(".panel").forEach((figure, at) => {
      const image = figure.querySelector("img");
      const error = lead.errors[at - past.length] ?? null;
      image.src = images[at];
      image.alt = `${names[at]}, window ${shown.label}`;
      figure.querySelector("figcaption span").textContent = error === null ? "" : `RMSE ${error}${units}`;
      const ring = figure.querySelector(".ring");
      if (ring) {
        ring.style.left = `${100 * shown.line.at[0]}%`;
        ring.style.top = `${100 * shown.line.at[1]}%`;
      }
    });
  };

  const drawLine = () => {
    const now = layer();
    const { past, leads, before, rows, low, high, where } = shownWindow().line;
    const times = [...past, ...leads];
    const gap = range(past.length).map(() => null);
    const traces = low && high && low !== high ? band(leads, rows[low], rows[high], line(0), "band") : [];
    if (traces.length) Object.assign(traces[1], { name: plain(`${low} to ${high}`), showlegend: true });
    let place = 0;
    for (const [name, values] of Object.entries(rows)) {
      if (name === low || name === high) continue;
      const observed = name === "observed";
      const shade = observed ? color("ink") : line(place);
      traces.push({
        x: times, y: [...(observed ? before : gap), ...values], name: plain(name), mode: "lines+markers",
        line: { color: shade, width: observed ? 3 : 2.5, dash: observed ? "solid" : dashes[1 + (place % 5)] },
        marker: { color: shade, size: 6, symbol: observed ? "circle" : marks[1 + (place % 5)] },
      });
      if (!observed) place += 1;
    }
    const last = past.length - 0.5;
    find("line-heading").textContent = `Time series ${where || "of the window shown"}`;
    plot("line-chart", traces, {
      shapes: [{ type: "line", yref: "paper", y0: 0, y1: 1, x0: last, x1: last, line: { color: color("soft"), width: 1, dash: "dot" } }],
      xaxis: { title: { text: "time from the last past frame" }, ...some(times) },
      yaxis: { title: { text: plain(now.label) } },
    });
    const cell = (value) => (value === null ? "–" : String(Number(value.toPrecision(3))));
    const head = element("tr", {}, ...["time", ...Object.keys(rows)].map((name) => element("th", { scope: "col" }, name)));
    const body = times.map((time, at) => {
      const values = Object.entries(rows).map(([name, row]) => {
        if (at >= past.length) return cell(row[at - past.length]);
        return name === "observed" ? cell(before[at]) : "";
      });
      return element("tr", {}, element("th", { scope: "row" }, time), ...values.map((value) => element("td", {}, value)));
    });
    find("line-table").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
  };

  const drawErrors = () => {
    const { units, numbers, labels, lines, shown } = browser().errors;
    const words = labels.map((label, at) => plain(`window ${numbers[at]}: ${label}${shown[at] === null ? "" : `, shown as ${shown[at] + 1}`}`));
    const traces = Object.entries(lines).map(([name, values], place) => ({
      x: numbers, y: values, name: plain(name), text: words, hovertemplate: "%{text}<br>%{y:.3g}", mode: "lines+markers",
      line: { color: line(place), width: 1.5, dash: place ? "dash" : "solid" },
      marker: { color: line(place), size: 6, symbol: marks[place] },
    }));
    const model = Object.values(lines)[0];
    const places = range(numbers.length).filter((at) => shown[at] !== null);
    traces.push({
      x: places.map((at) => numbers[at]), y: places.map((at) => model[at]), name: "shown above", mode: "markers", hoverinfo: "skip",
      marker: { symbol: "circle-open", size: 14, color: color("ink"), line: { width: 2 } },
    });
    plot("errors-chart", traces, {
      xaxis: { title: { text: "window of the split" }, ...whole(numbers) },
      yaxis: { title: { text: plain(units ? `RMSE (${units})` : "RMSE") }, rangemode: "tozero" },
      hovermode: "closest",
    });
  };

  if (data.forecasts.length) {
    fill(runs, data.forecasts.map((each) => each.title));
    find("browser-run").hidden = data.forecasts.length < 2;
    const start = () => {
      fill(layers, browser().layers.map((each) => each.label));
      find("browser-layer").hidden = browser().layers.length < 2;
      buildPanels();
      drawPanels();
    };
    start();
    // A typical window first, at the lead time where forecasts are hardest.
    windowSlider.value = String(Math.max(0, layer().windows.findIndex((each) => each.why === "median")));
    leadSlider.value = leadSlider.max;
    drawPanels();
    runs.addEventListener("change", () => { start(); drawLine(); drawErrors(); });
    layers.addEventListener("change", () => { buildPanels(); drawPanels(); drawLine(); });
    windowSlider.addEventListener("input", () => { drawPanels(); drawLine(); });
    leadSlider.addEventListener("input", drawPanels);
    redraws.push(drawLine, drawErrors);

    // The lead times one after the other, from the first again at the end, until the button is pressed again.
    const play = find("browser-play");
    let timer = 0;
    const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; };
    const step = () => {
      leadSlider.value = String((Number(leadSlider.value) + 1) % (Number(leadSlider.max) + 1));
      drawPanels();
    };
    play.addEventListener("click", () => {
      if (timer) return stop();
      play.textContent = "Pause";
      timer = setInterval(step, 700);
      step();
    });
    [runs, layers, leadSlider].forEach((each) => each.addEventListener("input", stop));
  }

  const redraw = () => redraws.forEach((draw) => draw());
  redraw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // In print there are no controls: everything that can be folded is shown.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
})();
