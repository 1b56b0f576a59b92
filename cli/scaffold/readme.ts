/** The README of a new handler. */
export function readmeOf(
  name: string,
  what: { readonly files: readonly string[]; readonly commands: readonly string[] },
): string {
  const lines = [
    [`pop handler run ${name} --payload ${name}/payload.json`, 'as a pool worker runs it'],
    ['pop run --local agenda.json', 'a whole Agenda, without a server'],
    ['pop up --registry registry.json', 'a whole system with this registry'],
    [`docker build -t ${name.toLowerCase()} ${name}`, 'an image for pools that run containers or Pods'],
  ] as const;
  const width = Math.max(...lines.map(([line]) => line.length));
  return `# ${name}

Does Operations of the type \`${name}\` for POP (Priority Operation Processing). It is started
once for each of them: it reads its payload, does its work, and ends; exit code 0 is success.

\`\`\`sh
${what.commands.join('\n')}
\`\`\`

${what.files.map((line) => `- ${line}`).join('\n')}
- \`payload.json\`: a payload to try it with

The registry (\`registry.json\`, beside this folder) names it. With that, from the folder of the registry:

\`\`\`sh
${lines.map(([line, does]) => `${line.padEnd(width)}    # ${does}`).join('\n')}
\`\`\`

In the registry of such a pool the image, under the name that it was pushed by, takes the place of \`command\`:
\`"${name}": { "podConfig": { "imageName": "registry.example/${name.toLowerCase()}:1", "runSeconds": 600 } }\`.

An Agenda that uses it:

\`\`\`json
{ "customerId": "demo", "operations": [{ "name": "first", "type": "${name}", "payload": { "text": "one two three" } }] }
\`\`\`

What a handler gets and may say is in the guide for authors, \`docs/handlers.md\` of POP.
`;
}

/** What every new handler is tried with. */
export const payloadFile = `${JSON.stringify({ text: 'one two three' }, null, 2)}\n`;
