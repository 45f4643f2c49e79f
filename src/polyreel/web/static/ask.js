// Asking the server: JSON in, JSON out, and one kind of error for "a token is needed".
export class NeedsToken extends Error {}

export async function fetchJson(address, body = null) {
  const isFile = body instanceof Blob;
  const headers = { "content-type": isFile ? "application/octet-stream" : "application/json" };
  const asked = body === null ? {} : { method: "POST", headers, body: isFile ? body : JSON.stringify(body) };
  const answer = await fetch(address, { credentials: "same-origin", ...asked });
  if (answer.status === 204) return null;
  const said = await answer.json().catch(() => ({}));
  if (answer.status === 401) throw new NeedsToken(said.detail);
  if (!answer.ok) throw new Error(typeof said.detail === "string" ? said.detail : `HTTP ${answer.status}`);
  return said;
}
