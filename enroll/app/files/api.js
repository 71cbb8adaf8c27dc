// Calls of the server. What they throw has a message for people: what happened, and what to do.

import { span, text } from "./texts.js";

const patience = 20000; // ms

// Refused is an answer that is no success. Its status is 0 when there was no answer.
export class Refused extends Error {
  constructor(message, status, type = "") {
    super(message);
    this.status = status;
    this.type = type;
  }
}

// post calls the server. reasons says which text explains a status or a type of this call.
export async function post(path, body, reasons = {}) {
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), patience);
  try {
    const answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: end.signal,
    });
    if (answer.ok) return await answer.json();
    throw await refusal(answer, reasons);
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(text(navigator.onLine === false ? "error.offline" : "error.network"), 0);
  } finally {
    clearTimeout(timer);
  }
}

async function refusal(answer, reasons) {
  const problem = await answer.json().catch(() => ({}));
  const type = String(problem.type ?? "").replace("urn:otpgate:", "");
  const wait = Number(answer.headers.get("Retry-After"));
  const usual = { 400: "error.malformed", 403: "error.refused", 429: wait ? "error.too_many" : "error.too_many.while" };
  const name = reasons[type] ?? reasons[answer.status] ?? usual[answer.status] ?? "error.unavailable";
  return new Refused(text(name, { time: wait ? span(wait) : "" }), answer.status, type);
}
