// Pushes three lines by winston-loki: protobuf, or JSON when the second argument is "json".
import winston from "winston";
import LokiTransport from "winston-loki";

const [host, form, tenant] = process.argv.slice(2);
const transport = new LokiTransport({
  host,
  json: form === "json",
  labels: { app: `winston-${form}` },
  headers: { "X-Scope-OrgID": tenant },
  batching: false,
  onConnectionError: (error) => {
    console.error(error);
    process.exit(1);
  },
});
const logger = winston.createLogger({ transports: [transport] });
for (const k of [1, 2, 3]) {
  logger.info({ message: `winston line ${k}`, labels: { k: String(k) } });
  await new Promise((done) => setTimeout(done, 50));
}
await new Promise((done) => setTimeout(done, 500));
process.exit(0);
