/** Which method of the worker a message to it calls: of a verb of the table its own name. */
import { VERBS } from '../../src/protocol/verbs.js';

/** The method's name in a message of comlink's. */
export function calledMethod(message: unknown): string {
  const { path = [], argumentList = [] } = message as {
    path?: readonly string[];
    argumentList?: readonly { value: unknown }[];
  };
  const name = path.join('.');
  if (name !== 'invoke' && name !== 'openCursor') return name;
  const verb = argumentList.map(({ value }) => value).find((value) => typeof value === 'string' && value in VERBS);
  return verb as string;
}
