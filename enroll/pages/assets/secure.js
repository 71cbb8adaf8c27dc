// Whether the page came by a connection that browsers trust. If not, it says so, and asks for
// nothing: what is typed here, or held by a link, would travel in clear text.
export const secure = window.isSecureContext;

if (!secure) {
  for (const element of document.querySelectorAll("[data-insecure]")) {
    element.hidden = false;
  }
  for (const element of document.querySelectorAll("[data-secure]")) {
    element.hidden = true;
  }
}
