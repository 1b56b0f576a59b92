/** The namespace of a Customer, as its pool's clusters have it. */
import { z } from '@hono/zod-openapi';
import { mostNamespaceCharacters, namespaceFault } from '../../messages/customer-namespace.ts';

/** Where its Pods go; which prefixes are allowed is each pool worker's to say. */
export const namespaceSchema = z
  .string()
  .superRefine((name, context) => {
    const fault = namespaceFault(name);
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault.message, params: { code: fault.code } });
  })
  .openapi({
    maxLength: mostNamespaceCharacters,
    description:
      'The namespace of its Pods, of types whose registry entry has one for each Customer; absent: one that is named ' +
      'after its id. A DNS label, not `default` and not `kube-…`; pool workers take those with the prefixes of their ' +
      '`POP_CUSTOMER_NAMESPACES`. Set by the owner of its ResourcePool.',
    example: 'pop-acme',
  });
