// One account on this phone: another name for the phone, setting it up again, removing it.

import * as accounts from "./accounts.js";
import * as enroll from "./enroll.js";
import * as memory from "./memory.js";
import * as proof from "./proof.js";
import { $, at, go, onBack, press, say, submit } from "./screens.js";
import * as settings from "./settings.js";
import { text, watch } from "./texts.js";

let account = null;
let alone = ""; // why the server was not told: removing it here is offered all the same

// open shows an account.
export function open(which) {
  account = which;
  alone = "";
  $("rename-input").value = account.label;
  asking(false);
  say("account", "");
  write();
  go("account");
}

function write() {
  $("account-name").textContent = account.name;
  $("account-lead").textContent = account.issuer;
  $("remove-question").textContent = text("account.remove." + (alone || "ask"), { device: account.label, name: account.name });
  $("remove-confirm").textContent = text(alone ? "account.remove.anyway" : "account.remove.yes");
}
watch(() => {
  if (at() === "account") write();
});

// tell asks the server for something in the name of this phone.
async function tell(action, label) {
  try {
    await accounts.unlock(account);
  } catch {
    throw new Error(text("locked.failed"));
  }
  return proof.send(account, action, label);
}

submit("account", async (fields) => {
  const label = enroll.printable(fields.label.value);
  if (!label) throw new Error(text("account.label.missing"));
  const answer = await tell("rename", label);
  await accounts.rename(account, answer.label);
  account = accounts.find(account.device);
  $("rename-input").value = account.label;
  say("account", text("account.renamed"), true);
});

press("anew", () => enroll.begin(account.email ?? memory.read("email") ?? ""));

press("remove", () => ask(""));
press("remove-cancel", () => {
  asking(false);
  say("account", "");
  $("remove").focus();
});

function ask(why) {
  alone = why;
  write();
  asking(true);
  $("remove-ask").focus();
}

// asking shows the question, and nothing else that could be pressed instead.
function asking(whether) {
  $("remove-ask").hidden = !whether;
  for (const e of [$("account").querySelector("form"), $("anew"), $("remove")]) e.hidden = whether;
}

press("remove-confirm", async () => {
  if (!alone) {
    try {
      await tell("remove");
    } catch (error) {
      ask(error.status === 403 ? "unknown" : "alone");
      throw error;
    }
  }
  await accounts.remove(account);
  if (accounts.current()) settings.open();
  else enroll.begin();
});

press("account-back", () => settings.open());
onBack("account", () => settings.open());
