// <div id="answer-B" lang="zh-Hans" data-diff-from="answer-A" data-added="added:" data-removed="removed:">
// shows what differs from the text of the element it names, word by word; Intl.Segmenter finds the
// words of Chinese. Built from text nodes only: answers are whatever a model wrote. Without
// JavaScript, and for texts too different to compare in time, the plain answer stays.
const TIMEOUT_MS = 500;

const segmenter = (element) => {
  const lang = element.closest("[lang]")?.lang || "zh-Hans";
  return new Intl.Segmenter(lang, { granularity: "word" });
};

const marked = (name, text, sign, spoken) => {
  const element = document.createElement(name);
  const word = document.createElement("span");
  word.className = "visually-hidden";
  word.textContent = `${spoken} `;
  const mark = document.createElement("span");
  mark.className = "diff-mark";
  mark.setAttribute("aria-hidden", "true");
  mark.textContent = sign;
  element.append(word, mark, text);
  return element;
};

const compare = (element, before, after) => {
  const parts = window.Diff.diffWords(before, after, { intlSegmenter: segmenter(element), timeout: TIMEOUT_MS });
  if (!parts) return;
  const { added, removed } = element.dataset;
  element.replaceChildren(...parts.map((part) => {
    if (part.added) return marked("ins", part.value, "+", added);
    if (part.removed) return marked("del", part.value, "\u2212", removed);
    return part.value;
  }));
};

// All texts are read before any is replaced: the baseline's answer may itself be compared.
const targets = [...document.querySelectorAll("[data-diff-from]")];
const texts = targets.map((element) => [
  element,
  document.getElementById(element.dataset.diffFrom)?.textContent,
  element.textContent,
]);
for (const [element, before, after] of texts) {
  if (before !== undefined) compare(element, before, after);
}
