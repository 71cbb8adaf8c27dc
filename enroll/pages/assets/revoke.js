// The page behind the link in the mail about a new device. The token is behind the "#", where no
// server and no log sees it, and nothing happens before the button is pressed: scanners of mail
// open links, too.
"use strict";

const button = document.getElementById("revoke");

function show(outcome) {
  for (const p of document.querySelectorAll("[data-outcome]")) {
    p.hidden = p.dataset.outcome !== outcome;
  }
}

async function revoke(token) {
  button.disabled = true;
  show("working");
  try {
    const answer = await fetch("/v1/revocations", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    if (answer.ok) {
      button.hidden = true;
      show("done");
      return;
    }
    const final = answer.status === 403 || answer.status === 400;
    button.hidden = final;
    show(final ? "invalid" : "failed");
  } catch {
    show("failed");
  }
  button.disabled = false;
}

const token = location.hash.slice(1);
if (token) {
  // Out of the address bar, so that it is not in a screenshot or a shared link.
  history.replaceState(null, "", location.pathname);
  button.addEventListener("click", () => revoke(token));
  button.hidden = false;
} else {
  show("missing");
}
