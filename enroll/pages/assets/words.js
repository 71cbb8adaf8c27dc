// What the script says, in the language of the page: its words are in the page, out of sight.

// word returns a text with its {name}s replaced.
export function word(name, values = {}) {
  const element = document.querySelector(`[data-word="${name}"]`);
  return element ? element.textContent.replace(/\{(\w+)\}/g, (all, key) => values[key] ?? all) : name;
}

// moment is a date and a time as the person's browser writes them, in the language of the page.
export function moment(date) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(date);
}

// locale is the browser's variant of the page's language (British dates, say), if it has one.
function locale() {
  const language = document.documentElement.lang;
  const primary = (tag) => tag.split("-")[0];
  return (navigator.languages || []).find((tag) => primary(tag) === primary(language)) || (language === "zh-Hant" ? "zh-TW" : language);
}
