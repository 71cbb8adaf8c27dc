// The page behind the link in the mail about a new device. The token is behind the "#", where no
// server and no log sees it, and nothing happens before the button is pressed: scanners of mail
// open links, too.
import { call } from "./call.js";
import { switchInPlace } from "./language.js";
import { secure } from "./secure.js";

const button = document.getElementById("revoke");
const row = document.getElementById("revoke-row");
let token = "";

function show(outcome) {
  for (const p of document.querySelectorAll("[data-outcome]")) {
    p.hidden = p.dataset.outcome !== outcome;
  }
}

async function revoke() {
  button.disabled = true;
  show("working");
  const answer = await call("/v1/revocations", { token });
  button.disabled = false;
  switch (answer.outcome) {
    case "ok":
      row.hidden = true;
      token = "";
      return show("done");
    case "refused":
    case "malformed":
      row.hidden = true;
      token = "";
      return show("invalid");
    default:
      return show(answer.outcome);
  }
}

// takeToken takes it out of the address bar, so that it is not in a screenshot or a shared link.
function takeToken() {
  const found = location.hash.slice(1);
  if (!found) {
    return false;
  }
  history.replaceState(null, "", location.pathname + location.search);
  token = found;
  row.hidden = false;
  show("");
  return true;
}

if (secure) {
  switchInPlace(() => token !== "", () => {});
  button.addEventListener("click", revoke);
  window.addEventListener("hashchange", takeToken);
  if (!takeToken()) {
    show("missing");
  }
}
