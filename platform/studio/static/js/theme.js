// Runs before the first paint (a classic script in <head>), so that the page never flashes.
// Without JavaScript the server's choice stands and "auto" is light.
(() => {
  const root = document.documentElement;
  const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");

  const apply = () => {
    const theme = root.dataset.theme;
    const isDark = theme === "dark" || (theme === "auto" && systemIsDark.matches);
    root.dataset.bsTheme = isDark ? "dark" : "light";
    root.dispatchEvent(new CustomEvent("themechange"));
  };

  apply();
  systemIsDark.addEventListener("change", apply);

  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("[data-theme-form]");
    if (!form || !event.submitter) return;
    event.preventDefault();
    root.dataset.theme = event.submitter.value;
    apply();
    for (const button of form.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === event.submitter));
    }
    await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form, event.submitter)),
      headers: { "X-Requested-With": "fetch" },
    });
  });
})();
