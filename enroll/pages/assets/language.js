// The page in another language without losing what it holds: the server's page in that language is
// asked for, and its words are put in the place of the present ones.

// switchInPlace is for the links to other languages. holds says whether there is something to lose;
// if not, the browser just goes there. changed is called with true once the words are others, and
// with false if they could not be had.
export function switchInPlace(holds, changed) {
  for (const link of document.querySelectorAll(".languages a")) {
    link.addEventListener("click", async (event) => {
      if (!holds() || event.ctrlKey || event.metaKey || event.shiftKey) {
        return;
      }
      event.preventDefault();
      const other = await page(link.href);
      const done = other !== null && adopt(other);
      if (done) {
        history.replaceState(null, "", link.href);
      }
      changed(done);
    });
  }
}

// page asks for a document. XMLHttpRequest parses it without anything that Trusted Types forbid.
function page(url) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.responseType = "document";
    request.timeout = 20000;
    request.onload = () => resolve(request.status === 200 ? request.response : null);
    request.onerror = request.ontimeout = () => resolve(null);
    request.open("GET", url);
    request.send();
  });
}

// adopt takes the words of the same page in another language, all or nothing.
function adopt(other) {
  const mine = texts(document);
  const theirs = texts(other);
  if (mine.length !== theirs.length || mine.length === 0) {
    return false;
  }
  mine.forEach((element, i) => { element.textContent = theirs[i].textContent; });
  document.title = other.title;
  document.documentElement.lang = other.documentElement.lang;
  for (const link of document.querySelectorAll(".languages a")) {
    if (link.lang === document.documentElement.lang) {
      link.setAttribute("aria-current", "true");
    } else {
      link.removeAttribute("aria-current");
    }
  }
  for (const link of document.querySelectorAll("a[href*='?lang=']:not(.languages a)")) {
    link.search = "?lang=" + document.documentElement.lang;
  }
  return true;
}

// texts are the elements with words, in the page and in its templates, but not in what a script
// made of those: it is made anew.
function texts(root) {
  const all = [...root.querySelectorAll("[data-text]")].filter((element) => !element.closest("[data-made]"));
  for (const template of root.querySelectorAll("template")) {
    all.push(...template.content.querySelectorAll("[data-text]"));
  }
  return all;
}
