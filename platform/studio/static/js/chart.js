// Draws <figure data-chart="ID"> from the JSON in <script id="ID" type="application/json">.
// Colours and fonts come from the style sheet, so a chart follows the theme. Plotly's own toolbar
// stays off: its buttons have no names for screen readers, and the table beside has the numbers.
const colours = () => {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  return {
    font: { family: value("--studio-font"), color: value("--chart-text"), size: 12 },
    grid: value("--chart-grid"),
    series: [1, 2, 3, 4, 5, 6].map((number) => value(`--chart-${number}`)),
  };
};

const axes = (layout, grid) => {
  const themed = {};
  for (const name of new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))])) {
    themed[name] = { automargin: true, ...layout[name], gridcolor: grid, linecolor: grid, zerolinecolor: grid };
  }
  return themed;
};

const draw = (figure) => {
  const { data, layout = {} } = JSON.parse(document.getElementById(figure.dataset.chart).textContent);
  const { font, grid, series } = colours();
  const themed = {
    margin: { l: 48, r: 16, t: 16, b: 40 },
    legend: { orientation: "h", y: -0.2 },
    ...layout,
    ...axes(layout, grid),
    font,
    colorway: series,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    autosize: true,
  };
  window.Plotly.react(figure, data, themed, { displayModeBar: false, responsive: true });
};

const drawAll = (root) => {
  for (const figure of root.querySelectorAll("figure[data-chart]")) draw(figure);
};

drawAll(document);
document.documentElement.addEventListener("themechange", () => drawAll(document));
document.addEventListener("htmx:load", (event) => drawAll(event.target));
document.addEventListener("poll:updated", (event) => drawAll(event.target));
