// What this phone may ask of the server about itself: it proves with its key that it is this phone.

import * as accounts from "./accounts.js";
import { post } from "./api.js";
import * as clock from "./clock.js";
import * as key from "./key.js";

// send asks for an action, remove or rename (which has a label), for an account that is open.
export async function send(account, action, label) {
  // The proof is good for two minutes around the server's time.
  if (!clock.state().measured) await clock.measure().catch(() => {});
  const { account: id, device } = account;
  const at = String(Math.round(clock.now()));
  const proof = await key.prove(accounts.opened(account), action, id, device, at, label ?? "");
  const request = { device, account: id, at, proof };
  if (label !== undefined) request.label = label;
  return post("/v1/devices/" + action, request, { "proof-invalid": "account.unknown" });
}
