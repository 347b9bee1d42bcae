// Answers policy simulations: one JSON document a line in, one answer a line out. Run as
//   node oracle.mjs DIRECTORY
// where DIRECTORY holds the installed package; `scripts/aws-clients oracle` says where that is.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { join } from "node:path";

const { runSimulation } = createRequire(join(process.argv[2], "package.json"))("@cloud-copilot/iam-simulate");

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await runSimulation(JSON.parse(line), {}).catch((error) => ({
    resultType: "error",
    errors: { message: String(error) },
  }));
  const { resultType, overallResult, errors, result } = answer;
  console.log(JSON.stringify({ resultType, overallResult, errors, ignored: result?.ignoredContextKeys ?? [] }));
}
