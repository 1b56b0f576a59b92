/** Quantities as Kubernetes writes them: `500m`, `2`, `1.5`, `128Mi`, `2G`, `1e3`. */

const binary = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const decimal = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const form = /^(\d+(?:\.\d*)?|\.\d+)(?:e([+-]?\d{1,2})|(m|[KMGTPE]i|[kMGTPE]))?$/;

/** The number that a quantity stands for; undefined when the text is none. */
export function quantityOf(text: string): number | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, digits = '', exponent, suffix = ''] = match;
  const number = Number(digits);
  if (exponent !== undefined) return number * 10 ** Number(exponent);
  if (suffix === 'm') return number / 1_000;
  return suffix.endsWith('i') ? number * 1_024 ** binary.indexOf(suffix) : number * 1_000 ** decimal.indexOf(suffix);
}
