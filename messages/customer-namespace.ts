/** Which namespace a Customer may be given: the api takes no other, and a pool worker uses no other. */
import { quoted } from '../agenda/cut.ts';

/** Longest name of a namespace: that of a DNS label. */
export const mostNamespaceCharacters = 63;

const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** Of the cluster itself, or of whoever names none. */
const reserved = /^(kube-.*|default)$/;

/** What is wrong with a name, and a stable word for it. */
export interface NamespaceFault {
  readonly code: 'tooLarge' | 'invalid' | 'notAllowed';
  /** The rest of a sentence that begins with what is named. */
  readonly message: string;
}

/** The first thing that is wrong with the name; undefined: nothing. */
export function namespaceFault(name: string): NamespaceFault | undefined {
  if (name.length > mostNamespaceCharacters)
    return {
      code: 'tooLarge',
      message: `may have at most ${mostNamespaceCharacters} characters, has ${name.length}: ${quoted(name)}.`,
    };
  if (!dnsLabel.test(name))
    return {
      code: 'invalid',
      message:
        'must be a DNS label: lower case letters, digits and "-", and neither its first nor its last character ' +
        `is "-"; is ${quoted(name)}.`,
    };
  if (reserved.test(name))
    return {
      code: 'notAllowed',
      message: `must not be "default" or begin with "kube-", is ${quoted(name)}.`,
    };
  return undefined;
}
