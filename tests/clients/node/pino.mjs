// Pushes three lines by pino-loki, with structured metadata.
import pino from "pino";
import { pinoLoki } from "pino-loki";

const [host, tenant] = process.argv.slice(2);
const stream = pinoLoki({
  host,
  batching: false,
  labels: { app: "pino" },
  headers: { "X-Scope-OrgID": tenant },
  structuredMetaKey: "meta",
  silenceErrors: false,
});
const logger = pino({ level: "info" }, stream);
for (const k of [1, 2, 3]) {
  logger.info({ meta: { k: String(k) } }, `pino line ${k}`);
}
await new Promise((done) => setTimeout(done, 1000));
process.exit(0);
