// Reads queries as a JSON list from stdin; writes which of them Grafana's grammar accepts.
import { parser } from "@grafana/lezer-logql";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const queries = JSON.parse(Buffer.concat(chunks).toString());
const accepted = queries.map((query) => {
  let good = true;
  parser.parse(query).iterate({
    enter: ({ type }) => {
      if (type.isError) good = false;
    },
  });
  return good;
});
process.stdout.write(JSON.stringify(accepted));
