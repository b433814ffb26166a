// Of the fields of <select data-alternatives> only those of the chosen value are shown and sent:
// <input data-for="ngram combined">. What folds away rows of a data set goes with its fields.
const show = (select) => {
  const group = select.closest("fieldset");
  for (const input of group.querySelectorAll("[data-for]")) {
    const isOther = !input.dataset.for.split(" ").includes(select.value);
    input.disabled = isOther;
    input.closest(".field").hidden = isOther;
  }
  for (const rows of group.querySelectorAll("details")) {
    rows.hidden = ![...rows.querySelectorAll("[data-for]")].some((input) => !input.disabled);
  }
};

for (const select of document.querySelectorAll("select[data-alternatives]")) {
  select.addEventListener("change", () => show(select));
  show(select);
}
