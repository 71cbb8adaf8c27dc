// Light, dark, or as the phone has it.

import { $ } from "./screens.js";
import * as memory from "./memory.js";

const colours = { light: "#f3f5f8", dark: "#10141a" };

// start shows the theme that was chosen last, and lets it be chosen.
export function start() {
  const theme = memory.read("theme") ?? "system";
  apply(theme);
  $("theme").value = theme;
  $("theme").addEventListener("change", () => {
    apply($("theme").value);
    memory.keep("theme", $("theme").value);
  });
}

function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  // The bar of the browser or of the phone has the colour of the page.
  for (const meta of document.querySelectorAll("meta[name=theme-color]")) {
    meta.content = colours[theme] ?? colours[meta.media.includes("dark") ? "dark" : "light"];
  }
}
