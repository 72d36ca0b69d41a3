// Validates objects of the Gateway API, a JSON list on standard input. Prints what is wrong; exit code 1 then. It does not find keys
// that the schema does not have.
import { text } from "node:stream/consumers";
import * as models from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";

let isWrong = false;
for (const object of JSON.parse(await text(process.stdin))) {
  try {
    new models[object.kind](object).validate();
  } catch (error) {
    console.log(`${object.kind} ${object.metadata.name}: ${error.message}`);
    isWrong = true;
  }
}
process.exitCode = isWrong ? 1 : 0;
