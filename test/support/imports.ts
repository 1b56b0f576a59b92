/** What a TypeScript file imports, read by a parser. */
import { parseSync } from '@swc/core';

/** One import, export from, or `import()` of a file. */
export interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** `type`: gone when the program runs. `dynamic`: loaded when it is come to. */
  readonly kind: 'static' | 'dynamic' | 'type';
}

/** All of a source text, in whatever form. @throws when it is no TypeScript */
export function importsOf(source: string): Import[] {
  const found: Import[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const one = importIn(node as Node);
    if (one !== undefined) found.push(one);
    for (const each of Object.values(node)) visit(each);
  };
  visit(parseSync(source, { syntax: 'typescript', target: 'es2022' }).body);
  return found;
}

/** The fields of the parser's nodes that matter here. */
interface Node {
  readonly type?: string;
  readonly source?: { readonly value: string } | null;
  readonly typeOnly?: boolean;
  readonly isTypeOnly?: boolean;
  readonly callee?: { readonly type: string };
  readonly arguments?: readonly { readonly expression: Expression }[];
  readonly argument?: { readonly value: string };
  readonly moduleRef?: { readonly expression?: { readonly value: string } };
}

interface Expression {
  readonly type: string;
  readonly value?: unknown;
  readonly quasis?: readonly { readonly cooked: string }[];
}

/** A text that stands in the source. What is named at run time only (a registry's module) cannot be known here. */
function textOf(expression: Expression | undefined): string | undefined {
  if (expression?.type === 'StringLiteral') return expression.value as string;
  const [only, ...more] = (expression?.type === 'TemplateLiteral' && expression.quasis) || [];
  return more.length === 0 ? only?.cooked : undefined;
}

function importIn(node: Node): Import | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportAllDeclaration':
    case 'ExportNamedDeclaration':
      // `import { type A }` keeps the import when types are stripped: only `import type` does not run.
      if (node.source === null || node.source === undefined) return undefined;
      return { specifier: node.source.value, kind: node.typeOnly === true ? 'type' : 'static' };
    case 'CallExpression': {
      if (node.callee?.type !== 'Import') return undefined;
      const specifier = textOf(node.arguments?.[0]?.expression);
      return specifier === undefined ? undefined : { specifier, kind: 'dynamic' };
    }
    case 'TsImportType':
      return node.argument === undefined ? undefined : { specifier: node.argument.value, kind: 'type' };
    case 'TsImportEqualsDeclaration': {
      const specifier = node.moduleRef?.expression?.value;
      return specifier === undefined ? undefined : { specifier, kind: node.isTypeOnly === true ? 'type' : 'static' };
    }
    default:
      return undefined;
  }
}
