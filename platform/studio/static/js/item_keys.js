// j and k follow the links marked data-item-key="j" and "k". Not while somebody types or composes
// Chinese, not with a modifier, and not at all once switched off (WCAG 2.1.4); the choice is kept
// in this browser.
const STORED = "item-keys";
const button = document.querySelector("button[data-item-keys]");
let isOn = localStorage.getItem(STORED) !== "off";

const show = () => button?.setAttribute("aria-pressed", String(isOn));

if (button) {
  button.hidden = false;
  show();
  button.addEventListener("click", () => {
    isOn = !isOn;
    localStorage.setItem(STORED, isOn ? "on" : "off");
    show();
  });
}

document.addEventListener("keydown", (event) => {
  if (!isOn || event.isComposing || event.keyCode === 229) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  document.querySelector(`a[data-item-key="${CSS.escape(event.key)}"]`)?.click();
});
