// One call to the server, and what came of it in a word: ok, refused, malformed, many, failed or
// network. With it comes what the server answered, if that can be read.
const patience = 20000; // ms

export async function call(path, body) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), patience);
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Accept-Language": document.documentElement.lang },
      body: JSON.stringify(body),
      signal: abort.signal,
    });
    const text = await answer.text();
    if (answer.ok) {
      return { outcome: "ok", ...JSON.parse(text) };
    }
    return { outcome: outcomes[answer.status] || "failed" };
  } catch (error) {
    return { outcome: error instanceof SyntaxError ? "failed" : "network" };
  } finally {
    clearTimeout(timer);
  }
}

const outcomes = { 400: "malformed", 403: "refused", 413: "malformed", 422: "malformed", 429: "many" };
