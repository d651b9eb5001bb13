// Waiting for what will be: by looking again, never by sleeping for long enough.

/** A machine that does other things too is slow. */
const LIMIT_MS = 120_000;

/** Waits until `look` gives something true, and returns it. */
export async function eventually(what, look, limit_ms = LIMIT_MS) {
  const end = Date.now() + limit_ms;
  let found;
  while (Date.now() < end) {
    found = await look();
    if (found) {
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`it did not come to pass that ${what}: ${JSON.stringify(found)}`);
}
